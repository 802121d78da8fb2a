"""A docid tree over a corpus, laid out for decoding: children, their vectors, and what a query's words say of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .clues import Clues, Corpus, Postings, named_share
from .docids import NONE, DocidTree

if TYPE_CHECKING:
    import torch

NODE_CLUES = 6
"""Of an inner node: what :class:`Postings` and :func:`named_share` say of what lies below."""

PASSAGE_CLUES = 4
"""Of a passage: two shares of the query's terms, whether the query names it, and its share of what is named."""


class TreeView:
    """The tables that a decoder walks; they follow the corpus and are not stored.

    Args:
        tree: docids of the corpus' rows.
        corpus: what they are docids of.

    Raises:
        ValueError: when the tree has docids of rows that the corpus lacks.
    """

    def __init__(self, tree: DocidTree, corpus: Corpus) -> None:
        import torch

        if tree.rows > len(corpus):
            raise ValueError(f"the docids are of {tree.rows} passages, the corpus has {len(corpus)}: make them again")
        self.tree = tree
        self.corpus = corpus
        nodes, last = len(tree.levels), tree.levels == tree.depth - 1
        children = np.where(tree.open_children(), tree.children, NONE)
        self.children = torch.from_numpy(children)  # [M, branching]: nodes, or rows below the last level
        # Vectors of nodes and passages in one table: a child's place in it.
        self.vectors = torch.from_numpy(np.concatenate([tree.centroids, corpus.vectors[: tree.rows]]))
        self.places = torch.from_numpy(np.maximum(children + np.where(last, nodes, 0)[:, None], 0))
        self.place_in_level = torch.from_numpy(_place_in_level(tree.levels))
        levels = [place_of_rows(tree, level) for level in range(1, tree.depth)]
        missing = np.full(len(corpus) - tree.rows, NONE, np.int64)
        self._groups = [(np.concatenate([group, missing]), count) for group, count in levels]
        self._postings = [Postings(corpus.terms, group, count) for group, count in self._groups]

    @property
    def depth(self) -> int:
        """Codes to a docid."""
        return self.tree.depth

    def node_clues(self, clues: Sequence[Clues]) -> list[torch.Tensor]:
        """Return what the queries say of the nodes of levels 1 to depth - 1, each float32 [b, nodes, NODE_CLUES]."""
        import torch

        levels = []
        for (group, count), postings in zip(self._groups, self._postings, strict=True):
            found = [np.hstack([postings.evidence(one), named_share(one, group, count)]) for one in clues]
            levels.append(torch.from_numpy(np.stack(found)))
        return levels

    def passage_clues(self, clues: Sequence[Clues], rows: NDArray[np.int64]) -> torch.Tensor:
        """Return what each query says of its candidates [b, m] (NONE for none), float32 [b, m, PASSAGE_CLUES]."""
        import torch

        found = np.zeros((*rows.shape, PASSAGE_CLUES), np.float32)
        found[..., :2] = _overlaps(clues, rows, self.corpus)
        for place, one in enumerate(clues):
            total = max(float(one.specificity.sum()), 1e-6)
            for row, specificity in zip(one.named.tolist(), one.specificity.tolist(), strict=True):
                found[place, rows[place] == row, 2:] = specificity, specificity / total
        return torch.from_numpy(found)


def place_of_rows(tree: DocidTree, level: int) -> tuple[NDArray[np.int64], int]:
    """Return the place of every row's node among the nodes of ``level`` (NONE for a deleted row), and their number."""
    nodes = tree.nodes_of(level)
    place = _place_in_level(tree.levels)
    return np.where(nodes == NONE, NONE, place[np.maximum(nodes, 0)]), int((tree.levels == level).sum())


def wanted_children_of(tree: DocidTree, wanted: NDArray[np.int64], levels: int) -> NDArray[np.int64]:
    """Return what leads to the wanted rows (NONE for none) after ``levels`` codes: nodes, or the rows at the end."""
    if levels == tree.depth:
        return wanted
    nodes = tree.nodes_of(levels)
    return np.where(wanted == NONE, NONE, nodes[np.maximum(wanted, 0)])


def _place_in_level(levels: NDArray[np.int64]) -> NDArray[np.int64]:
    place = np.zeros(len(levels), np.int64)
    for level in range(int(levels.max()) + 1):
        there = levels == level
        place[there] = np.arange(there.sum())
    return place


def _overlaps(clues: Sequence[Clues], rows: NDArray[np.int64], corpus: Corpus) -> NDArray[np.float32]:
    """Return the share of each query's terms that its candidates have, by idf and by its cube, float32 [b, m, 2]."""
    batch, width = rows.shape
    flat = np.flatnonzero(rows.ravel() != NONE)
    sizes = [len(one.terms) for one in clues]
    found = np.zeros((batch * width, 2), np.float32)
    if not len(flat) or not sum(sizes):
        return found.reshape(batch, width, 2)
    # One key for query and term, so that one search finds the shared terms of the whole batch.
    known = np.concatenate([one.terms for one in clues]).astype(np.int64)
    known |= np.repeat(np.arange(batch), sizes) << 32
    weights = np.concatenate([one.idf / max(float(one.idf.sum()), 1e-6) for one in clues])
    cubed = np.concatenate([one.idf**3 / max(float((one.idf**3).sum()), 1e-6) for one in clues])
    hashes, owner = corpus.terms.terms_of(rows.ravel()[flat])
    key = hashes.astype(np.int64) | (flat[owner] // width) << 32
    place = np.minimum(np.searchsorted(known, key), len(known) - 1)
    shared = known[place] == key
    for column, kind in enumerate((weights, cubed)):
        found[:, column] = np.bincount(flat[owner[shared]], kind[place[shared]], batch * width)
    return found.reshape(batch, width, 2)
