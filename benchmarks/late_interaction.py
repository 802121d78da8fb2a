"""Late interaction: what signs of word pieces lose against their vectors, and what both gain over hybrid search.

    python benchmarks/late_interaction.py --index tools.index --questions ../shared/data/tools --split dev \
        --work runs/late --json runs/late-tools.json

"hybrid" is the fixed system. "signs" is the fixed system `late`: the first 200 of lexical and of dense search, ordered
by the index's word pieces. "float" orders the same passages by the vectors that the signs stand for, in 16 bits.
Milliseconds are CPU time to score 150 passages for one question, without encoding it.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from inputs import add_corpora, arguments, corpora, parse, supporting
from numpy.typing import NDArray
from table import markdown, show, write
from trailhound.agent._fixed_systems import COMPARED, FixedSystem
from trailhound.index.index import Index
from trailhound.retrievers.protocols import TokenVectors
from trailhound.retrievers.records import Rows, Vectors
from trailhound.retrievers.vectors._encoder import MiniLMEncoder, embedding_text

SHOWN = (5, 20)
TIMED = 150
"""Passages that are scored together for the time."""


@dataclass(frozen=True)
class Row:
    """One line of the table; measures are in percent."""

    corpus: str
    kind: str
    ndcg_10: float
    recall_5: float
    recall_20: float
    bytes_per_passage: float
    milliseconds: float


class Exact:
    """Word pieces in 16 bits, encoded when they are first compared and kept in a folder."""

    def __init__(self, texts: list[str], place: Path) -> None:
        files = [place.with_suffix(f".{part}.npy") for part in ("offsets", "pieces")]
        if not all(file.exists() for file in files):
            place.parent.mkdir(parents=True, exist_ok=True)
            pieces = MiniLMEncoder(threads=1).encode_with_pieces(texts)[1]
            for file, array in zip(files, (pieces.offsets, pieces.vectors), strict=True):
                np.save(file, array)
        self.pieces = TokenVectors(*(np.load(file, mmap_mode="r") for file in files))

    def score(self, asked: Vectors, rows: Rows) -> NDArray[np.float32]:
        """Return MaxSim of passages, float32 [n]."""
        parts = (self.pieces.of(row).astype(np.float32) for row in rows.tolist())
        best = [float((asked @ part.T).max(axis=1).mean()) if len(part) else -1.0 for part in parts]
        return np.array(best, np.float32)


def measures(ranked: list[Rows], wanted: list[set[int]]) -> tuple[float, float, float]:
    """Return nDCG@10, R@5 and R@20 over questions, in percent."""
    gains = 1 / np.log2(np.arange(2, 12))
    found = []
    for rows, right in zip(ranked, wanted, strict=True):
        hits = np.array([row in right for row in rows[:10].tolist()], np.float64)
        ndcg = float((hits * gains[: len(hits)]).sum() / gains[: len(right)].sum())
        found.append([ndcg, *(len(right & set(rows[:k].tolist())) / len(right) for k in SHOWN)])
    ndcg, first, second = (100 * np.mean(found, axis=0)).tolist()
    return ndcg, first, second


def compare(place: Path, folder: Path, split: str, work: Path, most: int) -> list[Row]:
    """Measure one corpus."""
    index = Index.open(place, threads=1)
    assert index.pieces is not None, f"{place} keeps no word pieces: build it with --late-interaction on"
    texts = [embedding_text(passage.title, passage.text) for passage in index.store]
    asked, wanted = supporting(index, folder, split, most)
    exact = Exact(texts, work / folder.name)
    hybrid = FixedSystem(index, "hybrid")
    ranked: dict[str, list[Rows]] = {"hybrid": [], "float": [], "signs": []}
    milliseconds = []
    for question in asked:
        query = index.query(question.text)
        assert query.pieces is not None
        found = (one.search(query, COMPARED).rows for one in (index.lexical, index.dense))
        rows = np.unique(np.concatenate(list(found)))
        ranked["hybrid"].append(hybrid.rank(question.text, SHOWN[-1]).rows)
        for kind, scorer in (("float", exact), ("signs", index.pieces)):
            ranked[kind].append(rows[np.lexsort((rows, -scorer.score(query.pieces, rows)))])
        started = time.thread_time()
        index.pieces.score(query.pieces, rows[:TIMED])
        milliseconds.append(1000 * (time.thread_time() - started))
    sizes = {"hybrid": 0.0, "float": exact.pieces.vectors.nbytes / len(index)}
    sizes["signs"] = sum(path.stat().st_size for path in place.rglob("pieces/*")) / len(index)
    times = {"hybrid": 0.0, "float": 0.0, "signs": float(np.median(milliseconds))}
    return [Row(folder.name, kind, *measures(rows, wanted), sizes[kind], times[kind]) for kind, rows in ranked.items()]


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    return markdown(
        ["corpus", "ordered by", "nDCG@10", "R@5", "R@20", "bytes a passage", f"ms for {TIMED}"],
        [
            [
                *(row.corpus, row.kind, f"{row.ndcg_10:.1f}", f"{row.recall_5:.1f}", f"{row.recall_20:.1f}"),
                *(f"{row.bytes_per_passage:,.0f}" if row.bytes_per_passage else "",),
                *(f"{row.milliseconds:.1f}" if row.milliseconds else "",),
            ]
            for row in rows
        ],
    )


def main() -> None:
    """Measure what the command line names."""
    parser = arguments(__doc__, "work", "most", work=Path("runs/late"))
    add_corpora(parser)
    parsed = parse(parser)
    rows = []
    for place, folder, split in corpora(parsed):
        rows += compare(place, folder, split, parsed.work, parsed.most)
    show("late interaction", table(rows), parsed)
    write([asdict(row) for row in rows], parsed)


if __name__ == "__main__":
    main()
