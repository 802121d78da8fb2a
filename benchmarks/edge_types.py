"""Kinds of links between passages that the graph could have: how often each joins what questions need, and its fan-out.

    python benchmarks/edge_types.py --data ../shared/data --indexes runs

Over the questions of the split train: of pairs of gold passages of one question the share that a link joins, and the
same of random pairs; of the gold passages that hybrid search does not rank among its first five, the share that a link
leads to from one of these five; and the share that hybrid itself has among as many passages after its first five.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import combinations
from pathlib import Path

import numpy as np
from trailhound import EnvironmentSettings
from trailhound.envs._question_set import QuestionSet
from trailhound.index.index import Index
from trailhound.learning.made_questions._passage_reading import PassageReading
from trailhound.learning.made_questions._statements import defined
from trailhound.retrievers._fusion import reciprocal_rank_fusion
from trailhound.retrievers.records import Query
from trailhound.retrievers.words._analyser import identifiers, words

SETS = (
    "techdocs", "medical", "tools", "finance-tables", "excerpts", "code-search", "bright-leetcode", "scifact",
    "entailmentbank", "musique", "hotpotqa", "2wiki-train",
)  # fmt: skip
FIRST = 5
DEPTH = 200
MOST = 10
"""Passages that may have a defined term or an identifier for it to link them, and nearest passages that are linked."""

Neighbours = Callable[[int], set[int]]


def main() -> None:
    """Print a row for every set and kind of link."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--indexes", type=Path, required=True, help="folder with SET.index of every set")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--most", type=int, default=300, help="questions of a set")
    parsed = parser.parse_args()
    print("| set | link | a passage has | gold pairs joined | random pairs | misses led to | hybrid's next as many |")
    print("|---|---|---|---|---|---|---|")
    for name in parsed.sets:
        index = Index.open(parsed.indexes / f"{name}.index", threads=1, verify=False)
        questions = QuestionSet.load(index, parsed.data / name, "train", EnvironmentSettings(), lambda message: None)
        asked = [(item.question.text, sorted(item.gold)) for item in questions.items[: parsed.most]]
        measure(name, index, asked)


def measure(name: str, index: Index, asked: list[tuple[str, list[int]]]) -> None:
    """Print the rows of one set."""
    rng = np.random.default_rng(0)
    rankings = [ranked(index, text) for text, _ in asked]
    pairs = [pair for _, gold in asked for pair in combinations(gold, 2)]
    random = rng.integers(len(index), size=(max(2000, len(pairs)), 2)).tolist()
    sample = rng.permutation(len(index))[:300].tolist()
    for kind, near in kinds(index).items():
        joined, chance = (share([b in near(a) or a in near(b) for a, b in some]) for some in (pairs, random))
        led, further = [], []
        for (_, gold), ranking in zip(asked, rankings, strict=True):
            head = ranking[:FIRST]
            reached = set().union(*(near(row) for row in head)).difference(head)
            missed = [row for row in gold if row not in head]
            led += [row in reached for row in missed]
            further += [row in ranking[FIRST : FIRST + len(reached)] for row in missed]
        fan = float(np.mean([len(near(row)) for row in sample]))
        if fan:
            print(
                f"| {name} | {kind} | {fan:.1f} | {joined} | {chance} | {share(led)} of {len(led)} | {share(further)} |"
            )


def share(found: list[bool]) -> str:
    """Return a share in per cent."""
    return f"{100 * float(np.mean(found)):.1f}" if found else "-"


def ranked(index: Index, text: str) -> list[int]:
    """Return the rows of hybrid search."""
    query = index.query(text)
    hits = reciprocal_rank_fusion([index.lexical.search(query, DEPTH), index.dense.search(query, DEPTH)], DEPTH)
    rows: list[int] = hits.rows.tolist()
    return rows


def kinds(index: Index) -> dict[str, Neighbours]:
    """Return the kinds of links: those of the graph, and those that it could have."""
    readings = [PassageReading(row, index.store.passage(row)) for row in range(len(index))]
    _, documents = index.store.columns()
    texts = [" ".join(words(reading.passage.text)) for reading in readings]
    found = {
        group: (lambda row, group=group: set(index.graph.neighbours(row, group).rows.tolist()))
        for group in ("mentions", "mentioned_by", "shares", "adjacent")
    }
    found["same page or file"] = of_keys([{document.split("#")[0]} for document in documents])
    found["next in the corpus"] = lambda row: {other for other in (row - 1, row + 1) if 0 <= other < len(index)}
    found["definition and use"] = of_terms([definitions(reading) for reading in readings], texts)
    names = [{name for one in identifiers(reading.passage.text) for name in one.terms[:1]} for reading in readings]
    found["identifier"] = of_keys(names, MOST)
    found["nearest by meaning"] = nearest(index)
    return found


def definitions(reading: PassageReading) -> set[str]:
    """Return the terms that a passage defines, as the analyser has them."""
    names = (defined(sentence)[0] for sentence in reading.sentences)
    return {" ".join(words(name)) for name in names if name}


def of_keys(keys: list[set[str]], most: int = 200) -> Neighbours:
    """Link passages that have a key in common, unless more than ``most`` have it."""
    having: dict[str, list[int]] = defaultdict(list)
    for row, own in enumerate(keys):
        for key in own:
            having[key].append(row)
    return lambda row: {o for key in keys[row] if len(having[key]) <= most for o in having[key]} - {row}


def of_terms(defining: list[set[str]], texts: list[str]) -> Neighbours:
    """Link passages that define a term to those that use it, both ways, where few do."""
    places: dict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        for word in set(text.split()):
            places[word].append(row)
    links: dict[int, set[int]] = defaultdict(set)
    for row, terms in enumerate(defining):
        for term in terms:
            rarest: Iterable[int] = min((places[word] for word in term.split()), key=len, default=[])
            users = [other for other in rarest if f" {term} " in f" {texts[other]} " and other != row]
            for other in users if len(users) <= MOST else ():
                links[row].add(other)
                links[other].add(row)
    return lambda row: links.get(row, set())


def nearest(index: Index) -> Neighbours:
    """Link a passage to those whose vectors are nearest."""
    known: dict[int, set[int]] = {}

    def near(row: int) -> set[int]:
        if row not in known:
            query = Query("", index.dense.reconstruct(np.array([row]))[0])
            known[row] = set(index.dense.search(query, MOST + 1).rows.tolist()) - {row}
        return known[row]

    return near


if __name__ == "__main__":
    main()
