"""Access lists: does anything of a hidden document come out, what does hiding cost, and what is still found?

    python benchmarks/access_lists.py --index entailmentbank.index --questions ../shared/data/entailmentbank --split dev

Draws --lists random lists of documents that may be seen, of shares from a hundredth to nearly all, and asks one
question under each: every id of the result is held against the list. Then, for some shares, an index is built of the
visible documents alone, and the same questions are asked of both: recall among the visible labels, and time.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from time import process_time

import numpy as np
from table import markdown
from trailhound import Document, Index, SearchAgent, SearchResult, Where

SHARES = (0.01, 0.05, 0.2, 0.5, 0.9)
SYSTEMS = ("lexical", "dense", "hybrid", "policy")


def questions_of(folder: Path, split: str) -> list[tuple[str, set[str]]]:
    """Return the questions of a split, each with the ids of its labels."""
    texts = {}
    for line in (folder / "queries.jsonl").read_text("utf-8").splitlines():
        record = json.loads(line)
        texts[record["_id"]] = record["text"]
    labels: dict[str, set[str]] = {}
    for line in (folder / "qrels" / f"{split}.tsv").read_text("utf-8").splitlines()[1:]:
        question, document, grade = line.split("\t")
        if int(grade) > 0:
            labels.setdefault(question, set()).add(document)
    return [(texts[name], found) for name, found in labels.items()]


def leaks(result: SearchResult, visible: set[str], document_of: dict[str, str]) -> int:
    """Return how many ids of a result are those of hidden documents."""
    said = {one.passage.document_id for one in result.evidence}
    said |= {document_of[name] for step in result.path for name in step.passages}
    if result.answer is not None and result.answer.passage is not None:
        said.add(document_of[result.answer.passage])
    return len(said - visible)


def drawn(names: list[str], share: float, draw: np.random.Generator) -> set[str]:
    """Return a random share of the documents, at least one."""
    return {name for name in names if draw.random() < share} or {names[0]}


def alone(index: Index, visible: set[str], folder: Path) -> Index:
    """Build an index of some documents of another."""
    documents = [index.store.document(name) for name in index.store.document_ids() if name in visible]
    kept = [Document(d.id, d.title, d.text, d.source, d.atomic, d.metadata, d.markup) for d in documents]
    return Index.build(kept, folder / "alone.index", settings=index.settings, threads=1)


def recall(results: list[SearchResult], labels: list[set[str]]) -> float:
    """Return the mean share of the labels among the first five passages, in per cent."""
    shares = [
        len({one.passage.document_id for one in result.evidence[:5]} & mine) / len(mine)
        for result, mine in zip(results, labels, strict=True)
        if mine
    ]
    return 100 * float(np.mean(shares))


def main() -> None:
    """Print how many ids leaked, and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--lists", type=int, default=1000)
    parser.add_argument("--compared", type=int, default=60, help="questions that are asked of both indexes")
    parser.add_argument("--seed", type=int, default=0)
    parsed = parser.parse_args()
    index, draw = Index.open(parsed.index), np.random.default_rng(parsed.seed)
    questions, names = questions_of(parsed.questions, parsed.split), index.store.document_ids()
    document_of = {passage.id: passage.document_id for passage in index.store}
    agents = {system: SearchAgent(index, system=system) for system in SYSTEMS}
    found = 0
    for number in range(parsed.lists):
        visible = drawn(names, float(draw.choice(SHARES)), draw)
        question = questions[int(draw.integers(len(questions)))][0]
        result = agents[SYSTEMS[number % len(SYSTEMS)]].search(question, 50, where=Where(visible))
        found += leaks(result, visible, document_of)
    print(f"{parsed.lists} lists over {len(names)} documents: {found} ids of hidden documents\n")
    rows = []
    for share in SHARES[1:4]:
        rows += compared(agents, questions[: parsed.compared], drawn(names, share, draw), share)
    headings = ["share seen", "system", "recall@5, hidden", "alone", "CPU of a search, all seen", "hidden", "alone"]
    print(markdown(headings, rows))


def compared(
    agents: dict[str, SearchAgent], asked: list[tuple[str, set[str]]], visible: set[str], share: float
) -> list[list[str]]:
    """Return a row for each system: the same questions over the visible part, and over an index of it alone."""
    where, labels, rows = Where(visible), [mine & visible for _, mine in asked], []
    index = agents[SYSTEMS[0]].index
    with tempfile.TemporaryDirectory() as folder:
        other = alone(index, visible, Path(folder))
        for system, agent in agents.items():
            found, milliseconds = [], []
            for searching, condition in ((agent, None), (agent, where), (SearchAgent(other, system=system), None)):
                searching.search(asked[0][0], where=condition)
                started = process_time()
                found.append([searching.search(text, where=condition) for text, _ in asked])
                milliseconds.append(1000 * (process_time() - started) / len(asked))
            shown = [f"{recall(found[place], labels):.1f}" for place in (1, 2)]
            rows.append([str(share), system, *shown, *(f"{one:.1f} ms" for one in milliseconds)])
    return rows


if __name__ == "__main__":
    main()
