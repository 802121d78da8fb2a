"""The kinds of dense index side by side: what each takes, what it costs to build and to ask, and what it still finds.

    python benchmarks/dense_kinds.py --index scifact.index --questions ../shared/data/scifact --split train \
        --index 2wiki.index --questions ../shared/data/2wiki --split dev --json runs/dense.json

The indexes are exact ones: their vectors are what every kind is built from. R@20 is the share of a question's
supporting passages among the first 20, "of exact" the share of the exact index's first 20; both are means over
questions. Indexes are built and asked on one thread; seconds and milliseconds are CPU time of that thread.
Vectors that were made shorter by a learned map (``--dimension``) stand below, kept exactly and by ``opq``.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from inputs import add_corpora, arguments, corpora, parse, supporting
from table import markdown, show, write
from trailhound.index.index import Index
from trailhound.retrievers.protocols import query_vectors
from trailhound.retrievers.records import Query, Vectors
from trailhound.retrievers.vectors._dense import KINDS, PIECE, DenseIndex, DenseKind
from trailhound.retrievers.vectors._encoder import ProjectedEncoder, learn_projection

LIMIT = 20


@dataclass(frozen=True)
class Asked:
    """Questions with their vectors, and the rows of their supporting passages."""

    vectors: Vectors
    supporting: list[set[int]]


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    corpus: str
    kind: str
    recall: float
    of_exact: float
    code_bytes: float
    bytes_per_passage: float
    build_seconds: float
    milliseconds_p50: float
    milliseconds_p95: float


def questions(index: Index, folder: Path, split: str) -> Asked:
    """Load a split's questions and encode them."""
    asked, rows = supporting(index, folder, split)
    return Asked(query_vectors(index.encoder, [question.text for question in asked]), rows)


def ask(dense: DenseIndex, vectors: Vectors) -> tuple[list[set[int]], list[float]]:
    """Return the first rows of every question, and the milliseconds each took."""
    found, milliseconds = [], []
    dense.search(Query("", vectors[0]), LIMIT)
    for vector in vectors:
        started = time.thread_time()
        hits = dense.search(Query("", vector), LIMIT)
        milliseconds.append(1000 * (time.thread_time() - started))
        found.append(set(hits.rows.tolist()))
    return found, milliseconds


def code_bytes(kind: DenseKind, dimension: int) -> float:
    """Return what one passage's vector or code takes; of cells with its row, of codes in them with its place too."""
    whole, piece = 4.0 * dimension, dimension / PIECE
    return {"sq8": float(dimension), "pq": piece, "opq": piece, "lsh": piece, "ivfpq": piece + 16}.get(kind, whole)


def measure(corpus: str, name: str, kind: DenseKind, vectors: Vectors, asked: Asked, exact: list[set[int]]) -> Row:
    """Build one index, ask it, and compare."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        DenseIndex.build(Path(folder) / "dense", vectors, kind)
        seconds = time.process_time() - started
        dense = DenseIndex(Path(folder) / "dense", kind)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.*")) / len(dense)
        found, milliseconds = ask(dense, asked.vectors)
    pairs = zip(found, asked.supporting, strict=True)
    return Row(
        corpus,
        name,
        100 * float(np.mean([len(rows & wanted) / len(wanted) for rows, wanted in pairs])),
        100 * float(np.mean([len(rows & best) / len(best) for rows, best in zip(found, exact, strict=True)]))
        if exact
        else 100.0,
        code_bytes(kind, dense.dimension),
        size,
        seconds,
        *np.percentile(milliseconds, [50, 95]).tolist(),
    )


def compare(
    place: Path, folder: Path, split: str, kinds: list[DenseKind], dimensions: list[int], shortened: list[DenseKind]
) -> list[Row]:
    """Measure every kind over one index, and some of them over vectors that were made shorter."""
    index = Index.open(place, threads=1)
    vectors = np.array(index.dense.vectors)
    asked = questions(index, folder, split)
    exact, _ = ask(index.dense, asked.vectors)
    rows = [measure(folder.name, kind, kind, vectors, asked, exact) for kind in kinds]
    for dimension in dimensions:
        short = ProjectedEncoder(index.encoder, learn_projection(vectors, dimension))
        fewer = Asked(short.shortened(asked.vectors), asked.supporting)
        for kind in shortened:
            name = f"{kind}, {dimension} numbers"
            rows.append(measure(folder.name, name, kind, short.shortened(vectors), fewer, exact))
    return rows


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    headings = [
        "corpus",
        "kind",
        "R@20",
        "of exact",
        "bytes of a code",
        "bytes a passage",
        "build s",
        "query ms p50",
        "p95",
    ]
    return markdown(
        headings,
        [
            [
                *(row.corpus, row.kind, f"{row.recall:.2f}", f"{row.of_exact:.2f}", f"{row.code_bytes:,.0f}"),
                *(f"{row.bytes_per_passage:,.0f}", f"{row.build_seconds:.2f}"),
                *(f"{row.milliseconds_p50:.2f}", f"{row.milliseconds_p95:.2f}"),
            ]
            for row in rows
        ],
    )


def main() -> None:
    """Measure what the command line names."""
    parser = arguments(__doc__)
    add_corpora(parser)
    parser.add_argument("--dense", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--dimension", type=int, nargs="*", default=[256, 192, 128], help="of vectors made shorter")
    parsed = parse(parser)
    rows = []
    for place, folder, split in corpora(parsed):
        rows += compare(place, folder, split, parsed.dense, parsed.dimension, ["exact", "opq"])
    show("dense index kinds", table(rows), parsed)
    write([asdict(row) for row in rows], parsed)


if __name__ == "__main__":
    main()
