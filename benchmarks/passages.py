"""Which size of passages finds most: long documents cut to several sizes, searched by words, by vectors, and by both.

    python benchmarks/passages.py --data ../shared/data --sets techdocs:1 medical:8 finance-tables:8

``medical:8`` joins every 8 passages of a corpus, in its order, to one document; the labels are then places in it.
``document`` is nDCG@10 of the documents, each by its best passage. ``read`` is the share of the labelled text in the
first passages of 1,000 tokens together: it favours neither long nor short ones. ``both`` adds reciprocal ranks.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from collections.abc import Iterator, Sequence
from math import log2
from pathlib import Path
from typing import NamedTuple

import numpy as np
from trailhound.retrievers.compiling import _chunking
from trailhound.retrievers.compiling._chunking import chunk
from trailhound.retrievers.compiling._window import Window, text_with_lead
from trailhound.retrievers.records import Document, Passage, Query
from trailhound.retrievers.vectors._encoder import MiniLMEncoder
from trailhound.retrievers.words._lexical import LexicalIndex

READ = 1000
"""Tokens of passages that are read for an answer."""

DEPTH = 100


class Place(NamedTuple):
    """Where a labelled passage stands."""

    document: str
    start: int
    end: int


class Corpus(NamedTuple):
    """Long documents, and where the evidence of each question stands in them."""

    documents: list[Document]
    questions: list[str]
    evidence: list[list[Place]]


def joined(folder: Path, together: int) -> Corpus:
    """Return a corpus whose documents are several passages of a data set each."""
    records = [json.loads(line) for line in (folder / "corpus.jsonl").open(encoding="utf-8")]
    documents, places = [], dict[str, Place]()
    for first in range(0, len(records), together):
        text, name = "", f"{first // together}"
        for record in records[first : first + together]:
            places[record["_id"]] = Place(name, len(text), len(text) + len(record["text"]))
            text += record["text"] + "\n\n"
        documents.append(Document(name, records[first].get("title", "") if together == 1 else "", text))
    texts = {}
    for line in (folder / "queries.jsonl").open(encoding="utf-8"):
        record = json.loads(line)
        texts[record["_id"]] = record["text"]
    labels: dict[str, list[Place]] = {}
    for path in sorted(folder.glob("qrels/*.tsv")):
        for question, passage, relevance in list(csv.reader(path.open(encoding="utf-8"), delimiter="\t"))[1:]:
            if int(relevance) > 0 and question in texts:
                labels.setdefault(question, []).append(places[passage])
    return Corpus(documents, [texts[name] for name in labels], list(labels.values()))


def ndcg(ranked: Sequence[Passage], evidence: Sequence[Place]) -> float:
    """Return nDCG@10 of documents, each by its best passage."""
    wanted = {place.document for place in evidence}
    found = list(dict.fromkeys(passage.document_id for passage in ranked))[:10]
    gained = sum(1 / log2(rank + 2) for rank, name in enumerate(found) if name in wanted)
    return gained / sum(1 / log2(rank + 2) for rank in range(min(10, len(wanted))))


def read(ranked: Sequence[Passage], tokens: Sequence[int], evidence: Sequence[Place]) -> float:
    """Return the share of the labelled characters in the first passages that are ``READ`` tokens together."""
    covered, used = 0, 0
    for passage, count in zip(ranked, tokens, strict=True):
        used += count
        if used > READ:
            break
        for place in evidence:
            if place.document == passage.document_id:
                covered += max(0, min(place.end, passage.end) - max(place.start, passage.start))
    return covered / sum(place.end - place.start for place in evidence)


def rankings(
    passages: Sequence[Passage], questions: Sequence[str], window: Window, encoder: MiniLMEncoder
) -> Iterator[tuple[str, list[list[int]]]]:
    """Yield the name of every system with the rows that it finds for each question."""
    pairs = [(passage.title, text_with_lead(passage)) for passage in passages]
    with tempfile.TemporaryDirectory() as folder:
        lexical = LexicalIndex.build(Path(folder, "lexical"), pairs, len(pairs), None) or LexicalIndex(
            Path(folder, "lexical")
        )
        by_words = [lexical.search(Query(question), DEPTH).rows.tolist() for question in questions]
    vectors = encoder.encode(window.embedded(passages, [""] * len(passages)))
    by_vectors = np.argsort(-(encoder.encode(questions) @ vectors.T), axis=1, kind="stable")[:, :DEPTH].tolist()
    yield "words", by_words
    yield "vectors", by_vectors
    both = []
    for lists in zip(by_words, by_vectors, strict=True):
        score: dict[int, float] = {}
        for rows in lists:
            for rank, row in enumerate(rows):
                score[row] = score.get(row, 0.0) + 1 / (60 + rank)
        both.append(sorted(score, key=lambda row: -score[row]))
    yield "both", both


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=["techdocs:1", "medical:8", "finance-tables:8"], metavar="NAME:N")
    parser.add_argument("--tokens", nargs="+", type=int, default=[64, 96, 128, 160, 208, 254])
    parser.add_argument("--smallest", nargs="+", type=float, default=[_chunking.SMALLEST])
    parsed = parser.parse_args()
    encoder = MiniLMEncoder()
    window = Window(encoder)
    print("| documents | most tokens | merged below | passages | system | document | read |")
    print("|---|--:|--:|--:|---|--:|--:|")
    for name, _, together in (wanted.partition(":") for wanted in parsed.sets):
        corpus = joined(parsed.data / name, int(together))
        for tokens in parsed.tokens:
            for smallest in parsed.smallest:
                _chunking.SMALLEST = smallest
                passages = [passage for document in corpus.documents for passage in chunk(document, tokens, window)]
                counts = window.counts([passage.text for passage in passages])
                for system, rows in rankings(passages, corpus.questions, window, encoder):
                    found = [[passages[row] for row in some] for some in rows]
                    sizes = [[counts[row] for row in some] for some in rows]
                    document = np.mean([ndcg(*each) for each in zip(found, corpus.evidence, strict=True)])
                    share = np.mean([read(*each) for each in zip(found, sizes, corpus.evidence, strict=True)])
                    print(
                        f"| {name}, {together} together | {tokens} | {smallest:g} | {len(passages):,} | {system} |"
                        f" {document:.1%} | {share:.1%} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
