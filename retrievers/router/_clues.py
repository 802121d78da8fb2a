"""What a router sees of a query: its vector, its words, and the titles it names. No passage is scored for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import EncoderError
from ..records import Query, Rows, Vectors
from ..words._terms import TermHashes, TermIndex, among, term_hashes
from ..words._titles import EntityIndex

MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Corpus:
    """The parts of an index that a router looks things up in."""

    vectors: Vectors  # float32 [N, d], the passages' unit vectors
    terms: TermIndex  # the passages' terms
    entity: EntityIndex  # finds the titles that a query names

    def __len__(self) -> int:
        """Return the number of passages."""
        return len(self.vectors)


@dataclass(frozen=True, slots=True)
class Clues:
    """What is known of a query before anything is searched."""

    vector: Vectors  # float32 [d], unit length
    # its terms, sorted; also those that the corpus lacks, so that what it covers of a query is seen as little
    terms: TermHashes
    idf: NDArray[np.float32]  # float32, of each of them
    named: Rows  # rows of the passages whose titles it names: a look-up in a table of phrases
    # float32 above 0, how specifically it names each: about four times the share of the query that the title is. It
    # does not depend on what else is named, so routers of separate corpora mean the same by it
    specificity: NDArray[np.float32]


def clues_of(query: Query, corpus: Corpus) -> Clues:
    """Gather the clues of a query; EncoderError when it has no vector, or one of another dimension than the corpus."""
    dimension = corpus.vectors.shape[1]
    if query.vector is None or query.vector.shape != (dimension,):
        given = None if query.vector is None else query.vector.shape
        raise EncoderError(f"a router needs the query's vector of {dimension} numbers, got {given}: encode the query")
    terms = term_hashes(query.text)
    return Clues(query.vector, terms, corpus.terms.idf(terms), *named_by(query.text, corpus.entity))


def named_by(text: str, entity: EntityIndex) -> tuple[Rows, NDArray[np.float32]]:
    """Return the passages whose titles a query names, and how specifically it does; see :class:`Clues`."""
    hits = entity.search(Query(text), MOST_NAMED)
    return hits.rows, hits.scores * np.float32(4 / max(len(text), 4))


class Postings:
    """In which groups of passages every term occurs, and in how many passages of each: CORI's statistics.

    Callan, Lu and Croft 1995, "Searching distributed collections with inference networks", section 3. ``group``, int64
    [N], is the group of every passage, below 0 for none.
    """

    def __init__(self, terms: TermIndex, group: NDArray[np.int64], groups: int) -> None:
        owner = group[np.repeat(np.arange(len(terms)), np.diff(terms.offsets))]
        there = owner >= 0
        place = np.searchsorted(terms.vocabulary, terms.hashes[there])
        pairs, counts = np.unique(place * groups + owner[there], return_counts=True)
        self._vocabulary = terms.vocabulary
        self._groups = (pairs % groups).astype(np.int32)
        self._counts = counts.astype(np.float32)
        self._offsets = np.searchsorted(pairs // groups, np.arange(len(terms.vocabulary) + 1))
        self.groups = groups
        self.sizes = np.bincount(group[group >= 0], minlength=groups).astype(np.float32)

    def evidence(self, clues: Clues) -> NDArray[np.float32]:
        """Return what the query's terms say of every group, float32 [groups, 4], each from 0 to about 1.

        The share of the terms (weighed by idf) that occur in the group; how much of each term's occurrences lie in it
        (by idf, and by its cube, where the rarest term decides); and CORI's belief, df / (df + 50 + 150 size / mean).
        """
        counts = np.zeros((len(clues.terms), self.groups), np.float32)
        place = np.searchsorted(self._vocabulary, clues.terms)
        for term in np.flatnonzero(among(clues.terms, self._vocabulary)).tolist():
            part = slice(self._offsets[place[term]], self._offsets[place[term] + 1])
            counts[term, self._groups[part]] = self._counts[part]
        return word_evidence(counts, clues.idf, self.sizes)


def word_evidence(
    counts: NDArray[np.float32], idf: NDArray[np.float32], sizes: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return what the counts [t, groups] of a query's terms say of every group, see :meth:`Postings.evidence`.

    Args:
        counts: passages of every group that have each term.
        idf: float32 [t], of each term among all of them.
        sizes: float32 [groups], passages of every group.
    """
    groups = counts.shape[1]
    if not len(counts):
        return np.zeros((groups, 4), np.float32)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    present = counts > 0
    belief = counts / (counts + 50 + 150 * sizes / max(float(sizes.mean()), 1e-6))
    spread = np.log((groups + 0.5) / np.maximum(present.sum(axis=1), 1)) / np.log(groups + 1.0)
    weight = idf / idf.sum()
    cubed = idf**3 / (idf**3).sum()
    columns = (weight @ present, weight @ share, cubed @ share, weight @ (belief * spread[:, None]))
    return np.stack(columns, axis=1).astype(np.float32)


def named_share(clues: Clues, group: NDArray[np.int64], groups: int) -> NDArray[np.float32]:
    """Return the best specificity of a named passage in every group, and its share of all, float32 [groups, 2]."""
    return named_evidence(group[clues.named], clues.specificity, groups)


def named_evidence(where: NDArray[np.int64], specificity: NDArray[np.float32], groups: int) -> NDArray[np.float32]:
    """Return the same of named passages in the groups ``where`` [k], below 0 for none."""
    found = np.zeros((groups, 2), np.float32)
    there = where >= 0
    np.maximum.at(found[:, 0], where[there], specificity[there])
    np.add.at(found[:, 1], where[there], specificity[there] / max(float(specificity.sum()), 1e-6))
    return found


def region_evidence(regions: Vectors, vector: Vectors) -> NDArray[np.float32]:
    """Return how near a query [d] is to the regions [groups, R, d] of every group, float32 [groups, 3].

    The nearest region, the mean of the nearest three, and the mean of all.
    """
    near = np.sort(regions @ vector, axis=1)  # [groups, R]
    columns = (near[:, -1], near[:, -3:].mean(axis=1), near.mean(axis=1))
    return np.stack(columns, axis=1).astype(np.float32)


def stacked(clues: Sequence[Clues]) -> Vectors:
    """Return the vectors of several queries, float32 [b, d]."""
    return np.stack([one.vector for one in clues])
