"""What docid prefixes are about, in words: the terms that set each cluster apart from the others of its level."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from ..words.phrases import words_of
from ..words.terms import STOP_WORDS, TermHashes, TermIndex, term_hashes
from .docids import NONE, Docid, DocidTree

_SHORTEST_WORD = 3


def describe_prefixes(
    tree: DocidTree, terms: TermIndex, texts: Iterable[str], words: int = 4
) -> dict[Docid, tuple[str, ...]]:
    """Return the most distinctive words of every docid prefix, most distinctive first.

    Class-based tf-idf (Grootendorst 2022, "BERTopic", arXiv:2203.05794, eq. 2): ``tf(t, c) log(1 + A / f(t))``;
    ``tf`` counts the passages of cluster ``c`` that have the term, ``f`` those of the whole level, and ``A`` is the
    mean number of terms in a cluster. A term is written as the commonest word that it is the stem of.

    Args:
        tree: of docids.
        terms: of the passages.
        texts: title and text of the passages, in row order: where the words are taken from.
        words: how many to a prefix.
    """
    chosen: dict[Docid, TermHashes] = {}
    for level in range(1, tree.depth):
        nodes = tree.nodes_of(level)
        group = np.concatenate([nodes, np.full(len(terms) - len(nodes), NONE, np.int64)])
        found = distinctive_terms(terms, group, words)
        known, rows = np.unique(nodes, return_index=True)
        for node, row in zip(known.tolist(), rows.tolist(), strict=True):
            if node != NONE:
                chosen[tuple(tree.codes[row, :level].tolist())] = found[node]
    wanted = {int(term) for found in chosen.values() for term in found}
    written = _written(wanted, texts)
    return {
        prefix: tuple(written[int(term)] for term in found if int(term) in written) for prefix, found in chosen.items()
    }


def distinctive_terms(terms: TermIndex, group: NDArray[np.int64], most: int) -> Mapping[int, TermHashes]:
    """Return the ``most`` terms with the highest class-based tf-idf of every group; rows below 0 are in none.

    Args:
        terms: of N passages.
        group: int64 [N].
        most: how many; equal ones by hash.
    """
    owner = group[np.repeat(np.arange(len(terms)), np.diff(terms.offsets))]
    inside = owner >= 0
    term = np.searchsorted(terms.vocabulary, terms.hashes[inside])
    size = len(terms.vocabulary)
    keys, counts = np.unique(owner[inside] * size + term, return_counts=True)
    groups, term = keys // size, keys % size
    totals = np.bincount(term, counts, size)
    mean = counts.sum() / max(len(np.unique(groups)), 1)
    weights = counts * np.log1p(mean / totals[term])
    order = np.lexsort((term, -weights, groups))
    names, begins = np.unique(groups[order], return_index=True)
    ends = [*begins[1:].tolist(), len(order)]
    return {
        name: terms.vocabulary[term[order[begin : min(begin + most, end)]]]
        for name, begin, end in zip(names.tolist(), begins.tolist(), ends[: len(names)], strict=True)
    }


def _written(wanted: set[int], texts: Iterable[str]) -> dict[int, str]:
    """Return the commonest lower-cased word of each wanted term; the first in the alphabet among equals."""
    seen: Counter[str] = Counter()
    for text in texts:
        seen.update(set(words_of(text.lower())))
    best: dict[int, tuple[int, str]] = {}
    for word, count in seen.items():
        if word in STOP_WORDS or len(word) < _SHORTEST_WORD:
            continue
        for term in term_hashes(word).tolist():
            if term in wanted:
                best[term] = min(best.get(term, (0, "")), (-count, word))
    return {term: word for term, (_, word) in best.items()}
