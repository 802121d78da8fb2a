"""The late-interaction sub-index: every word piece of a query finds the piece of a passage that fits it best.

Khattab and Zaharia 2020, "ColBERT" (arXiv:2004.12832): a passage's score is the sum, over the query's word pieces, of
the greatest inner product with one of its own ("MaxSim"). Word pieces are kept as the codes of ``residual_codes.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DamagedIndexError, EncoderError
from .._atomic_file import map_array
from ..protocols import Progress, TokenEncoder, TokenVectors
from ..records import Hits, Query, Rows
from ._residual_codes import BITS, Coded, CodedTexts, PieceTables, ResidualCodec

LATE = "late"
"""Name of the sub-index and of its folder."""

PROBED = 64
"""Centres that every word piece of a query looks into."""

COMPARED = 1024
"""Passages whose codes are read, or four times ``limit`` if that is more: of the passages that fit best of all one in a
hundred stands behind so many, one in twenty behind 256 (2wiki-train).
"""

_CODEC = "codec.safetensors"
_CODES = ("offsets", "cells", "codes", "lengths")
_LISTS = ("begins", "postings")
_SAMPLE = 2048
"""Passages that the codec is learned from."""
_BLOCK = 1024
"""Passages that are encoded together: their word pieces take about 100 MB."""

NOTHING = Hits(np.zeros(0, np.int64), np.zeros(0, np.float32))

TokenReader = Callable[[str], NDArray[np.float16]]
"""Turns a query into the vectors of its word pieces, float16 [l, d]."""


class LateInteractionIndex:
    """Passages by MaxSim over word pieces; fulfils ``SubIndex``.

    A search goes in two steps, as in PLAID (Santhanam et al. 2022, arXiv:2205.09707). First every passage is judged by
    the centres that the query's word pieces look into; a piece that none of its centres finds in a passage counts as
    its last centre does (Scheerer et al. 2025, "WARP", arXiv:2501.17788, call it imputation). Then the ``COMPARED``
    passages of which the centres promise most are compared by their codes.

    Args:
        folder: what :meth:`build` or :meth:`write` wrote.
        read: encodes the word pieces of a query as those of the passages were.
        codec: that of the base, for passages that were added later: all scores are on one scale. They have no lists
            by centre; each is compared, or of very many those of which the centres promise most.

    Raises:
        DamagedIndexError: when the files cannot be read or do not belong together.
    """

    name = LATE

    def __init__(self, folder: Path, read: TokenReader, codec: ResidualCodec | None = None) -> None:
        self._read = read
        self._listed = codec is None
        self.codec = ResidualCodec.load(folder / _CODEC) if codec is None else codec
        arrays = {name: map_array(folder / f"{name}.npy") for name in (*_CODES, *(_LISTS if self._listed else ()))}
        arrays.setdefault("begins", np.zeros(len(self.codec.centres) + 1, np.int64))
        arrays.setdefault("postings", np.zeros(0, np.int32))
        self._offsets: NDArray[np.int64] = np.asarray(arrays["offsets"])
        self._coded = Coded(arrays["cells"], arrays["codes"], arrays["lengths"])
        self._begins: NDArray[np.int64] = np.asarray(arrays["begins"])
        self._postings: NDArray[np.int32] = arrays["postings"]
        tokens = int(self._offsets[-1])
        if (
            self._coded.cells.shape != (tokens,)
            or self._coded.codes.shape != (tokens, self.codec.width)
            or self._coded.lengths.shape != (tokens,)
            or self._begins.shape != (len(self.codec.centres) + 1,)
            or self._postings.shape != (int(self._begins[-1]),)
        ):
            raise DamagedIndexError(f"the files of {folder} do not belong together: build the index again")

    @classmethod
    def build(
        cls, folder: Path, texts: Sequence[str], encoder: TokenEncoder, bits: int, progress: Progress | None = None
    ) -> None:
        """Encode ``texts``, one per passage in row order, and write their codes into ``folder``, which is made.

        Memory is that of the codes, and of the vectors of a few thousand passages.

        Raises:
            EncoderError: when the encoder cannot encode word pieces, or no text has one.
        """
        check_tokens(encoder, bits)
        chosen = np.sort(np.random.default_rng(0).permutation(len(texts))[:_SAMPLE])
        sample = encoder.encode_tokens([texts[row] for row in chosen.tolist()])
        if not len(sample.vectors):
            raise EncoderError(f"{encoder.name} found no word piece in the texts: there is nothing to index")
        whole = len(sample.vectors) * len(texts) // len(sample)
        codec = ResidualCodec.learn(sample.vectors.astype(np.float32), bits, centres_for(whole))
        known = {row: sample.of(place) for place, row in enumerate(chosen.tolist())}
        counts, parts = [np.zeros(0, np.int64)], []
        for first in range(0, len(texts), _BLOCK):
            rows = range(first, min(first + _BLOCK, len(texts)))
            block = _block(texts, rows, known, encoder)
            counts.append(np.diff(block.offsets))
            parts.append(codec.encode(block.vectors.astype(np.float32)))
            if progress is not None:
                progress("encoding word pieces", rows.stop, len(texts))
        coded = CodedTexts(np.concatenate(counts), Coded.concatenate(parts))
        cls.write(folder, coded)
        codec.save(folder / _CODEC)
        of_passage = np.repeat(np.arange(len(texts), dtype=np.int32), coded.counts)
        lists: tuple[NDArray[Any], ...] = _postings(coded.coded.cells, of_passage, len(codec.centres))
        for name, array in zip(_LISTS, lists, strict=True):
            np.save(folder / f"{name}.npy", array, allow_pickle=False)

    @classmethod
    def write(cls, folder: Path, texts: CodedTexts) -> None:
        """Write the codes of passages in row order, but no codec and no lists, into ``folder``, which is made."""
        folder.mkdir(parents=True)
        offsets = np.concatenate([[0], np.cumsum(texts.counts)]).astype(np.int64)
        arrays: tuple[NDArray[Any], ...] = (offsets, texts.coded.cells, texts.coded.codes, texts.coded.lengths)
        for name, array in zip(_CODES, arrays, strict=True):
            np.save(folder / f"{name}.npy", array, allow_pickle=False)

    def __len__(self) -> int:
        """Return the number of passages."""
        return len(self._offsets) - 1

    def search(self, query: Query, limit: int) -> Hits:
        """Return at most ``limit`` passages that fit the query's word pieces best, best first, ties by row."""
        asked = self.asked(query) if limit > 0 else None
        return NOTHING if asked is None else self.best(asked, limit)

    def asked(self, query: Query) -> PieceTables | None:
        """Return what compares codes with the query's word pieces; None where it has none."""
        pieces = self._read(query.text).astype(np.float32)  # [l, d]
        return self.codec.asked(pieces) if len(pieces) else None

    def best(self, asked: PieceTables, limit: int) -> Hits:
        """Return at most ``limit`` passages for what :meth:`asked` returned, best first, ties by row."""
        most = max(COMPARED, 4 * limit)
        if self._listed:
            rows = self._promising(asked.centres, most)
        else:
            rows = np.flatnonzero(np.diff(self._offsets))  # a passage without a word piece is never found
            if len(rows) > most:
                token, begins = _tokens(self._offsets, rows)
                promise = _summed(asked.centres[self._coded.cells[token]], begins)  # close to the score, and cheaper
                rows = np.sort(rows[np.lexsort((rows, -promise))[:most]])
        if not len(rows):
            return NOTHING
        token, begins = _tokens(self._offsets, rows)
        scores = _summed(asked.similarity(self._coded[token]), begins)
        order = np.lexsort((rows, -scores))[: max(limit, 0)]
        return Hits(rows[order], scores[order])

    def codes_of(self, rows: Rows) -> CodedTexts:
        """Return passages as they are kept."""
        token, _ = _tokens(self._offsets, rows)
        return CodedTexts(self._offsets[rows + 1] - self._offsets[rows], self._coded[token])

    def coded(self, texts: Sequence[str], encoder: TokenEncoder) -> CodedTexts:
        """Return further texts as the index keeps its own, so that scores by their codes are on its scale."""
        found = encoder.encode_tokens(texts)
        return CodedTexts(np.diff(found.offsets), self.codec.encode(found.vectors.astype(np.float32)))

    def _promising(self, closeness: NDArray[np.float32], most: int) -> Rows:
        """Return the ``most`` passages that the centres promise most of, ascending; their closeness is [K, l]."""
        probed = min(PROBED, len(closeness))
        nearest = np.argpartition(-closeness, probed - 1, axis=0)[:probed]  # [p, l]
        near = np.take_along_axis(closeness, nearest, axis=0)
        # From the farthest to the nearest: of the centres that find a passage the nearest is written last.
        order = np.argsort(near, axis=0, kind="stable")
        nearest, near = np.take_along_axis(nearest, order, axis=0), np.take_along_axis(near, order, axis=0)
        promise = np.zeros(len(self), np.float32)
        of_piece = np.zeros(len(self), np.float32)
        met = np.zeros(len(self), np.bool_)
        for cells, gains in zip(nearest.T, (near - near[0]).T, strict=True):
            begins, ends = self._begins[cells], self._begins[cells + 1]
            found = np.concatenate([self._postings[b:e] for b, e in zip(begins.tolist(), ends.tolist(), strict=True)])
            of_piece[found] = np.repeat(gains, ends - begins)
            promise += of_piece
            of_piece[found] = 0
            met[found] = True
        rows = np.flatnonzero(met)
        return np.sort(rows[np.lexsort((rows, -promise[rows]))[:most]])


def _tokens(offsets: NDArray[np.int64], rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the word pieces of ``rows`` one after the other, and where those of each row begin among them."""
    counts = offsets[rows + 1] - offsets[rows]
    ends = np.cumsum(counts)
    return np.arange(int(counts.sum())) + np.repeat(offsets[rows] - ends + counts, counts), ends - counts


def _summed(similarity: NDArray[np.float32], begins: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the sum over a query's pieces of the best of each passage's pieces, float32 [n], of [t, l]."""
    return np.asarray(np.maximum.reduceat(similarity, begins, axis=0).sum(axis=1), np.float32)


def centres_for(tokens: int) -> int:
    """Return how many centres word pieces are kept beside: the power of two below sixteen times their square root.

    PLAID has as many. A rare name has a centre of its own only among so many: with a quarter of them, one in five of
    the passages that fit best of all stands behind 256 others in the first step (2wiki-train, whole vectors deciding).
    """
    return 1 << max(0, int(np.log2(16 * max(tokens, 1) ** 0.5)))


def check_tokens(encoder: object, bits: int) -> TokenEncoder:
    """Return ``encoder`` as one of word pieces; refuse what cannot be built, before anything is encoded."""
    if not isinstance(encoder, TokenEncoder):
        name = getattr(encoder, "name", encoder)
        raise EncoderError(f"{name} gives no vectors of word pieces: late interaction needs the built-in encoder")
    if bits not in BITS:
        raise EncoderError(f"word pieces are kept in {', '.join(map(str, BITS))} bits a number, not {bits}")
    return encoder


def _block(
    texts: Sequence[str], rows: range, known: dict[int, NDArray[np.float16]], encoder: TokenEncoder
) -> TokenVectors:
    """Return the word pieces of ``rows``, encoding those that are not known yet."""
    missing = [row for row in rows if row not in known]
    encoded = encoder.encode_tokens([texts[row] for row in missing])
    vectors = {row: encoded.of(place) for place, row in enumerate(missing)}
    parts = [vectors[row] if row in vectors else known.pop(row) for row in rows]
    offsets = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([len(part) for part in parts], out=offsets[1:])
    return TokenVectors(offsets, np.concatenate(parts))


def _postings(
    cells: NDArray[np.uint16], of_passage: NDArray[np.int32], centres: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the passages of every centre, ascending: those of ``k`` are ``postings[begins[k]:begins[k + 1]]``."""
    pairs = np.unique(cells.astype(np.int64) << 32 | of_passage)
    begins = np.searchsorted(pairs >> 32, np.arange(centres + 1)).astype(np.int64)
    return begins, (pairs & 0xFFFFFFFF).astype(np.int32)
