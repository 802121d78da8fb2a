"""The dense memories side by side: what each takes, what it costs to build and to ask, and what it still finds.

    python benchmarks/memories.py --index scifact.index --questions ../shared/data/scifact --split train \
        --index 2wiki.index --questions ../shared/data/2wiki --split dev --json runs/memories.json

The indexes are exact ones: their vectors are what every memory is built from. R@20 is the share of a question's
supporting passages among the first 20, "of exact" the share of the exact memory's first 20; both are means over
questions. Memories are built and asked on one thread; seconds and milliseconds are CPU time of that thread.
Vectors that were made shorter by a learned map (``--dimension``) stand below, kept exactly and by ``opq``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from trailhound.index.index import Index
from trailhound.retrievers.questions.labelled import load_questions
from trailhound.retrievers.records import Query, Vectors
from trailhound.retrievers.vectors.dense import KINDS, DenseIndex, DenseKind
from trailhound.retrievers.vectors.projection import ProjectedEncoder, learn_projection

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
    memory: str
    recall: float
    of_exact: float
    code_bytes: float
    bytes_per_passage: float
    build_seconds: float
    milliseconds_p50: float
    milliseconds_p95: float


def questions(index: Index, folder: Path, split: str) -> Asked:
    """Load a split's questions and encode them."""
    asked, qrels = load_questions(folder, split)
    supporting = [{index.store.row_of(p) for p, grade in qrels[q.id].items() if grade > 0} for q in asked]
    return Asked(index.encoder.encode([question.text for question in asked]), supporting)


def ask(memory: DenseIndex, vectors: Vectors) -> tuple[list[set[int]], list[float]]:
    """Return the first rows of every question, and the milliseconds each took."""
    found, milliseconds = [], []
    memory.search(Query("", vectors[0]), LIMIT)
    for vector in vectors:
        started = time.thread_time()
        hits = memory.search(Query("", vector), LIMIT)
        milliseconds.append(1000 * (time.thread_time() - started))
        found.append(set(hits.rows.tolist()))
    return found, milliseconds


def measure(corpus: str, name: str, kind: DenseKind, vectors: Vectors, asked: Asked, exact: list[set[int]]) -> Row:
    """Build one memory, ask it, and compare."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        DenseIndex.build(Path(folder) / "dense", vectors, kind)
        seconds = time.process_time() - started
        memory = DenseIndex(Path(folder) / "dense", kind)
        found, milliseconds = ask(memory, asked.vectors)
    pairs = zip(found, asked.supporting, strict=True)
    return Row(
        corpus,
        name,
        100 * float(np.mean([len(rows & wanted) / len(wanted) for rows, wanted in pairs])),
        100 * float(np.mean([len(rows & best) / len(best) for rows, best in zip(found, exact, strict=True)]))
        if exact
        else 100.0,
        memory.memory().passage_bytes,
        memory.memory().bytes_per_passage,
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
    lines = [
        "| corpus | memory | R@20 | of exact | bytes of a code | bytes a passage | build s | query ms p50 | p95 |",
        "|---" * 9 + "|",
    ]
    for row in rows:
        lines.append(
            f"| {row.corpus} | {row.memory} | {row.recall:.2f} | {row.of_exact:.2f} | {row.code_bytes:,.0f}"
            f" | {row.bytes_per_passage:,.0f} | {row.build_seconds:.2f}"
            f" | {row.milliseconds_p50:.2f} | {row.milliseconds_p95:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, action="append", required=True)
    parser.add_argument("--questions", type=Path, action="append", required=True)
    parser.add_argument("--split", action="append", required=True)
    parser.add_argument("--dense", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--dimension", type=int, nargs="*", default=[256, 192, 128], help="of vectors made shorter")
    parser.add_argument("--json", type=Path, default=None)
    parsed = parser.parse_args()
    import faiss

    faiss.omp_set_num_threads(1)
    rows = []
    for place, folder, split in zip(parsed.index, parsed.questions, parsed.split, strict=True):
        rows += compare(place, folder, split, parsed.dense, parsed.dimension, ["exact", "opq"])
    print(table(rows))
    if parsed.json:
        parsed.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
