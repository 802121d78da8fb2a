"""Late interaction: what codes of 1, 2 and 4 bits lose against the word pieces' vectors in 16 bits.

    python benchmarks/late_interaction.py --index 2wiki.index --questions ../shared/data/2wiki --split dev \
        --bits 1 2 4 --work runs/late --json runs/late-2wiki.json

"fp16" compares every word piece of every passage as the encoder gave it: nothing is left out, by centres or otherwise.
Recall is the share of a question's supporting passages among the first 5 and 20, "of fp16" that of its first 20; both
are means over questions. Milliseconds are CPU time of a search without the encoding of its question. Word pieces are
encoded once and kept in --work.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from inputs import add_corpora, arguments, corpora, parse, supporting
from numpy.typing import NDArray
from table import markdown, show, write
from trailhound.index.index import Index
from trailhound.retrievers.protocols import Progress, TokenVectors
from trailhound.retrievers.records import Query
from trailhound.retrievers.vectors._encoder import MiniLMEncoder, embedding_text
from trailhound.retrievers.vectors._late_interaction import LateInteractionIndex

SHOWN = (5, 20)
_BLOCK = 64
"""Passages that are compared together."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    corpus: str
    kind: str
    recall_5: float
    recall_20: float
    of_fp16: float
    bytes_per_passage: float
    times_smaller: float
    build_seconds: float
    milliseconds_p50: float
    milliseconds_p95: float


class Kept:
    """Word pieces that were encoded before, by text."""

    name = "kept"

    def __init__(self, texts: Sequence[str], pieces: TokenVectors) -> None:
        self._place = {text: place for place, text in enumerate(texts)}
        self._pieces = pieces

    def encode_tokens(self, texts: Sequence[str], progress: Progress | None = None) -> TokenVectors:
        """Return what was encoded."""
        parts = [self._pieces.of(self._place[text]) for text in texts]
        offsets = np.cumsum([0, *map(len, parts)]).astype(np.int64)
        return TokenVectors(offsets, np.concatenate([self._pieces.vectors[:0], *parts]))


def encoded(texts: Sequence[str], place: Path) -> TokenVectors:
    """Return the word pieces of ``texts``, from ``place`` when they are there."""
    files = [place.with_suffix(f".{part}.npy") for part in ("offsets", "tokens")]
    if not all(file.exists() for file in files):
        pieces = MiniLMEncoder(threads=1).encode_tokens(texts)
        for file, array in zip(files, (pieces.offsets, pieces.vectors), strict=True):
            np.save(file, array)
    return TokenVectors(*(np.load(file, mmap_mode="r") for file in files))


def exhaustive(passages: TokenVectors, asked: TokenVectors) -> list[NDArray[np.int64]]:
    """Return the first 20 rows of every question by MaxSim over all vectors, ties by row."""
    pieces = np.asarray(asked.vectors, np.float32)
    scores = np.full((len(passages), len(asked)), -np.inf, np.float32)
    for first in range(0, len(passages), _BLOCK):
        last = min(first + _BLOCK, len(passages))
        begins = passages.offsets[first : last + 1]
        full = np.flatnonzero(np.diff(begins))
        part = np.asarray(passages.vectors[begins[0] : begins[-1]], np.float32)
        best = np.maximum.reduceat(part @ pieces.T, begins[:-1][full] - begins[0], axis=0)
        scores[first + full] = np.add.reduceat(best, asked.offsets[:-1], axis=1)
    rows = np.arange(len(passages))
    return [np.lexsort((rows, -column))[: SHOWN[-1]] for column in scores.T]


def figures(
    found: list[NDArray[np.int64]], wanted: list[set[int]], exact: list[NDArray[np.int64]]
) -> tuple[float, float, float]:
    """Return recall at 5 and at 20, and the share of the exact first 20, in percent."""
    recalls = [
        100 * float(np.mean([len(set(r[:k].tolist()) & w) / len(w) for r, w in zip(found, wanted, strict=True)]))
        for k in SHOWN
    ]
    alike = [len(set(rows.tolist()) & set(best.tolist())) / len(best) for rows, best in zip(found, exact, strict=True)]
    return recalls[0], recalls[1], 100 * float(np.mean(alike))


def compare(place: Path, folder: Path, split: str, bits: list[int], work: Path, most: int) -> list[Row]:
    """Measure vectors and codes over one corpus."""
    index = Index.open(place, threads=1)
    texts = [embedding_text(passage.title, passage.text) for passage in index.store]
    asked, wanted = supporting(index, folder, split, most)
    passages = encoded(texts, work / folder.name)
    words = [question.text for question in asked]
    pieces = encoded(words, work / f"{folder.name}-{split}-{most}")
    exact = exhaustive(passages, pieces)
    whole = passages.vectors.nbytes + passages.offsets.nbytes
    rows = [Row(folder.name, "fp16", *figures(exact, wanted, exact), whole / len(index), 1, 0, 0, 0)]
    for count in bits:
        codes = work / f"{folder.name}-{count}.late"
        started = time.process_time()
        if not codes.exists():
            LateInteractionIndex.build(codes, texts, Kept(texts, passages), count)
        seconds = time.process_time() - started
        reader = Kept(words, pieces)
        late = LateInteractionIndex(codes, lambda text, reader=reader: reader.encode_tokens([text]).vectors)
        found, milliseconds = [], []
        for text in words:
            started = time.thread_time()
            found.append(late.search(Query(text), SHOWN[-1]).rows)
            milliseconds.append(1000 * (time.thread_time() - started))
        size = sum(path.stat().st_size for path in codes.iterdir()) / len(index)
        timing = np.percentile(milliseconds, [50, 95]).tolist()
        result = figures(found, wanted, exact)
        rows.append(Row(folder.name, f"{count} bits", *result, size, whole / len(index) / size, seconds, *timing))
    return rows


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    headings = ["corpus", "word pieces", "R@5", "R@20", "of fp16", "bytes a passage", "times smaller", "build s"]
    return markdown(
        [*headings, "ms p50", "p95"],
        [
            [
                *(row.corpus, row.kind, f"{row.recall_5:.2f}", f"{row.recall_20:.2f}", f"{row.of_fp16:.2f}"),
                *(f"{row.bytes_per_passage:,.0f}", f"{row.times_smaller:.2f}", f"{row.build_seconds:.1f}"),
                *(f"{row.milliseconds_p50:.1f}", f"{row.milliseconds_p95:.1f}"),
            ]
            for row in rows
        ],
    )


def main() -> None:
    """Measure what the command line names."""
    parser = arguments(__doc__, "work", "most", work=Path("runs/late"))
    add_corpora(parser)
    parser.add_argument("--bits", type=int, nargs="+", default=[1, 2, 4])
    parsed = parse(parser)
    rows = []
    for place, folder, split in corpora(parsed):
        rows += compare(place, folder, split, parsed.bits, parsed.work, parsed.most)
    show("codes of word pieces", table(rows), parsed)
    write([asdict(row) for row in rows], parsed)


if __name__ == "__main__":
    main()
