"""Semantic docids: a path of small numbers through a tree of balanced clusters for every passage, and its words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DamagedIndexError
from .._atomic_file import load_arrays, write_atomically, write_json
from ..records import Rows, Vectors
from ..words._analyser import STOP_WORDS
from ..words._phrases import words_of
from ..words._terms import TermHashes, TermIndex, term_hashes
from ._clusters import balanced_clusters

ARRAYS = "docids.safetensors"
SETTINGS = "docids.json"
_FORMAT = 1
NONE = -1
"""No child, no row: a free code."""

Docid = tuple[int, ...]

_SHORTEST_WORD = 3


@dataclass(frozen=True, slots=True)
class DocidSettings:
    """How docids are made."""

    branching: int = 32  # codes to a level, 0 to ``branching - 1``
    fill: float = 0.8  # most of the codes that a new tree takes; the others wait for new passages

    def __post_init__(self) -> None:
        """Refuse what makes no tree."""
        if not 2 <= self.branching <= 1024:
            raise ValueError(f"branching must be from 2 to 1024, not {self.branching}")
        if not 0 < self.fill <= 1:
            raise ValueError(f"fill must be above 0 and at most 1, not {self.fill}")


class DocidTree:
    """The tree of docids, which is also the trie that constrains a decoder: what it allows leads to a live passage.

    Tay et al. 2022, "Transformer Memory as a Differentiable Search Index" (arXiv:2202.06991), section 3.2; Wang et al.
    2022, "A Neural Corpus Indexer" (arXiv:2206.02743). Here the clusters are balanced, all docids have one length, and
    codes stay free: a new passage descends to the nearest centroid that has room and changes no other docid. A deleted
    passage leaves the trie; its code is free again.

    A tree does not change: :meth:`with_added` and :meth:`without` return another.

    Args:
        branching: codes to a level.
        depth: codes to a docid.
        children: int64 [M, branching]; of a node of the last level rows, of another its child nodes; NONE if free.
            Node 0 is the root.
        levels: int64 [M], the number of codes that lead to each node.
        centroids: float32 [M, d], unit means of what lies below.
        rows: how many rows have ever had a docid, live or not.
    """

    def __init__(
        self,
        branching: int,
        depth: int,
        children: NDArray[np.int64],
        levels: NDArray[np.int64],
        centroids: Vectors,
        rows: int,
    ) -> None:
        self.branching, self.depth, self.rows = branching, depth, rows
        self.children, self.levels, self.centroids = children, levels, centroids
        self.codes, self.live = _paths(children, levels, depth, rows)

    @classmethod
    def build(cls, vectors: Vectors, rng: np.random.Generator, settings: DocidSettings | None = None) -> DocidTree:
        """Cluster ``vectors`` [N, d] (unit length, one per row, at least one), level by level."""
        settings = settings or DocidSettings()
        if not len(vectors):
            raise ValueError("there are no passages: docids need at least one")
        depth = 1
        while settings.branching**depth * settings.fill < len(vectors):
            depth += 1
        growing = _Growing(vectors, depth, settings, rng)
        growing.grow(np.arange(len(vectors)), 0)
        children, levels = np.array(growing.children, np.int64), np.array(growing.levels, np.int64)
        return cls(settings.branching, depth, children, levels, np.array(growing.centroids), len(vectors))

    def __len__(self) -> int:
        """Return the number of live docids."""
        return int(self.live[0])

    def docid(self, row: int) -> Docid:
        """Return the docid of a passage; KeyError when the row has none, or has been deleted."""
        if not 0 <= row < self.rows or self.codes[row, 0] == NONE:
            raise KeyError(row)
        return tuple(self.codes[row].tolist())

    def node(self, prefix: Sequence[int]) -> int:
        """Return the node that a prefix (shorter than a docid) leads to; KeyError when there is none."""
        node = 0
        for length, code in enumerate(prefix):
            if length >= self.depth - 1 or not 0 <= code < self.branching:
                raise KeyError(tuple(prefix))
            node = int(self.children[node, code])
            if node == NONE:
                raise KeyError(tuple(prefix))
        return node

    def row(self, docid: Sequence[int]) -> int:
        """Return the passage of a docid; KeyError when it names none that is live."""
        if len(docid) != self.depth or not 0 <= docid[-1] < self.branching:
            raise KeyError(tuple(docid))
        row = int(self.children[self.node(docid[:-1]), docid[-1]])
        if row == NONE:
            raise KeyError(tuple(docid))
        return row

    def open_children(self) -> NDArray[np.bool_]:
        """Return which children of every node lead to a live passage, bool [M, branching]."""
        there = self.children != NONE
        last = self.levels == self.depth - 1
        below = self.live[np.where(there & ~last[:, None], self.children, 0)]
        return np.asarray(there & (last[:, None] | (below > 0)))

    def nodes_of(self, level: int) -> NDArray[np.int64]:
        """Return the node of every row at ``level`` (0 = root), int64 [rows]; NONE for a row that is deleted."""
        node = np.where(self.codes[:, 0] == NONE, NONE, 0)
        for place in range(level):
            node = np.where(node == NONE, NONE, self.children[np.maximum(node, 0), np.maximum(self.codes[:, place], 0)])
        return node

    def with_added(self, vectors: Vectors) -> DocidTree:
        """Return a tree in which ``vectors`` [m, d] have docids too, for the rows that follow the present ones.

        Raises:
            ValueError: when every code is taken: build the docids again.
        """
        grown = _Descent(self)
        for offset, vector in enumerate(vectors):
            grown.place(vector, self.rows + offset)
        children, levels = np.array(grown.children, np.int64), np.array(grown.levels, np.int64)
        centroids = np.array(grown.centroids, np.float32)
        return DocidTree(self.branching, self.depth, children, levels, centroids, self.rows + len(vectors))

    def without(self, rows: Sequence[int] | Rows) -> DocidTree:
        """Return a tree from which ``rows`` are gone; KeyError when a row has no docid."""
        children = self.children.copy()
        for row in map(int, rows):
            docid = self.docid(row)
            children[self.node(docid[:-1]), docid[-1]] = NONE
        return DocidTree(self.branching, self.depth, children, self.levels, self.centroids, self.rows)

    def renumbered(self, place: Rows, rows: int) -> DocidTree:
        """Return the same docids for a corpus in which passages have other rows.

        Args:
            place: int64 [rows of this tree], the new row of each, NONE for one that is gone.
            rows: how many rows there are then.
        """
        children = self.children.copy()
        last = self.levels == self.depth - 1
        leaves = children[last]
        children[last] = np.where(leaves == NONE, NONE, place[np.maximum(leaves, 0)])
        return DocidTree(self.branching, self.depth, children, self.levels, self.centroids, rows)

    def save(self, folder: Path) -> None:
        """Write the tree into ``folder``, which exists."""
        from safetensors.numpy import save

        centroids = np.ascontiguousarray(self.centroids)
        arrays: dict[str, NDArray[Any]] = {"children": self.children, "levels": self.levels, "centroids": centroids}
        write_atomically(folder / ARRAYS, save(arrays))
        about = {"format": _FORMAT, "branching": self.branching, "depth": self.depth, "rows": self.rows}
        write_json(folder / SETTINGS, about)

    @classmethod
    def load(cls, folder: Path) -> DocidTree:
        """Read what :meth:`save` wrote.

        Raises:
            DamagedIndexError: when the files are missing, damaged, or do not belong together.
        """
        arrays = load_arrays(folder / ARRAYS)
        try:
            about = json.loads((folder / SETTINGS).read_text("utf-8"))
            branching, depth, rows = (int(about[name]) for name in ("branching", "depth", "rows"))
            children, levels, centroids = (arrays[name] for name in ("children", "levels", "centroids"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedIndexError(f"{folder}: the docids cannot be read ({error}): make them again") from error
        problem = _problem(children, levels, centroids, branching, depth, rows)
        if problem:
            raise DamagedIndexError(f"{folder / ARRAYS}: {problem}: make the docids again")
        return cls(branching, depth, children, levels, centroids, rows)


class _Growing:
    """A tree in the making."""

    def __init__(self, vectors: Vectors, depth: int, settings: DocidSettings, rng: np.random.Generator) -> None:
        self._vectors, self._depth, self._settings, self._rng = vectors, depth, settings, rng
        self.children: list[list[int]] = []
        self.levels: list[int] = []
        self.centroids: list[Vectors] = []

    def grow(self, rows: Rows, level: int) -> int:
        """Make the node over ``rows`` and everything below it."""
        branching = self._settings.branching
        node = len(self.children)
        self.children.append([NONE] * branching)
        self.levels.append(level)
        mean = self._vectors[rows].mean(axis=0)
        self.centroids.append(mean / max(float(np.linalg.norm(mean)), 1e-12))
        if level == self._depth - 1:
            self.children[node][: len(rows)] = rows.tolist()
            return node
        below = self._depth - level - 1
        needed = len(rows) / (branching**below * self._settings.fill)
        # Equal fan-out on all inner levels: a narrow first level would say nothing about where a passage is.
        even = (len(rows) / (branching * self._settings.fill)) ** (1 / below)
        parts = min(branching, len(rows), max(1, int(np.ceil(needed)), int(np.ceil(even - 1e-9))))
        assigned, _ = balanced_clusters(self._vectors[rows], parts, self._rng)
        if np.bincount(assigned).max() > branching**below:  # the slack of the sizes is more than fits below
            parts = max(parts, int(np.ceil(len(rows) / branching**below)))
            assigned, _ = balanced_clusters(self._vectors[rows], parts, self._rng, slack=1)
        for code in range(parts):
            self.children[node][code] = self.grow(rows[assigned == code], level + 1)
        return node


class _Descent:
    """Places new passages in a copy of a tree."""

    def __init__(self, tree: DocidTree) -> None:
        self._tree = tree
        self.children: list[list[int]] = tree.children.tolist()
        self.levels: list[int] = tree.levels.tolist()
        self.centroids: list[Vectors] = list(tree.centroids)

    def place(self, vector: Vectors, row: int) -> None:
        """Give ``row`` the first free code of the nearest node of the last level that has one."""
        if not self._place(0, vector, row):
            raise ValueError(
                f"all {self._tree.branching**self._tree.depth} docids are taken: build them again, with a smaller fill"
            )

    def _place(self, node: int, vector: Vectors, row: int) -> bool:
        codes = self.children[node]
        if self.levels[node] == self._tree.depth - 1:
            if NONE not in codes:
                return False
            codes[codes.index(NONE)] = row
            return True
        there = [child for child in codes if child != NONE]
        near = np.array([self.centroids[child] for child in there]) @ vector if there else np.zeros(0)
        if any(self._place(there[place], vector, row) for place in np.argsort(-near, kind="stable").tolist()):
            return True
        if NONE not in codes:
            return False
        child = len(self.children)  # everything below is full: a new branch begins here
        codes[codes.index(NONE)] = child
        self.children.append([NONE] * self._tree.branching)
        self.levels.append(self.levels[node] + 1)
        self.centroids.append(np.asarray(vector, np.float32))
        return self._place(child, vector, row)


def _paths(
    children: NDArray[np.int64], levels: NDArray[np.int64], depth: int, rows: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the codes of every row [rows, depth] (NONE where it has none), and the live rows below every node [M]."""
    nodes = len(children)
    prefix = np.full((nodes, depth), NONE, np.int64)
    for level in range(depth - 1):
        parents, codes = np.nonzero((children != NONE) & (levels == level)[:, None])
        below = children[parents, codes]
        prefix[below] = prefix[parents]
        prefix[below, level] = codes
    parents, codes = np.nonzero((children != NONE) & (levels == depth - 1)[:, None])
    paths = np.full((rows, depth), NONE, np.int64)
    paths[children[parents, codes]] = prefix[parents]
    paths[children[parents, codes], depth - 1] = codes
    live = np.bincount(parents, minlength=nodes)
    for level in range(depth - 2, -1, -1):
        parents, codes = np.nonzero((children != NONE) & (levels == level)[:, None])
        live += np.bincount(parents, live[children[parents, codes]], nodes).astype(np.int64)
    return paths, live


def _problem(
    children: NDArray[Any], levels: NDArray[Any], centroids: NDArray[Any], branching: int, depth: int, rows: int
) -> str:
    """Return what is wrong with the arrays of a tree, or nothing."""
    nodes = len(levels)
    shapes = (children.shape, levels.shape, centroids.shape[:1], centroids.ndim)
    if shapes != ((nodes, branching), (nodes,), (nodes,), 2) or not nodes:
        return f"children {children.shape}, levels {levels.shape} and centroids {centroids.shape} do not fit together"
    if children.dtype != np.int64 or levels.dtype != np.int64 or centroids.dtype != np.float32:
        return f"children are {children.dtype}, levels {levels.dtype}, centroids {centroids.dtype}"
    if levels[0] != 0 or bool((levels < 0).any()) or bool((levels >= depth).any()):
        return f"levels outside 0 to {depth - 1}"
    last = levels == depth - 1
    there = children != NONE
    limit = np.where(last, rows, nodes)[:, None]
    if bool((there & ((children < 0) | (children >= limit))).any()):
        return "a child that is not there"
    inner = there & ~last[:, None]
    if bool((inner & (levels[np.where(inner, children, 0)] != (levels + 1)[:, None])).any()):
        return "a child on another level than below its parent"
    below, found = children[inner], children[there & last[:, None]]
    if len(np.unique(below)) != len(below) or len(np.unique(found)) != len(found):
        return "two docids for one passage, or two parents of one node"
    return "" if bool(np.isfinite(centroids).all()) else "a centroid is not finite"


def describe_prefixes(
    tree: DocidTree, terms: TermIndex, texts: Iterable[str], words: int = 4
) -> dict[Docid, tuple[str, ...]]:
    """Return the most distinctive words of every docid prefix, most distinctive first.

    Class-based tf-idf (Grootendorst 2022, "BERTopic", arXiv:2203.05794, eq. 2): ``tf(t, c) log(1 + A / f(t))``;
    ``tf`` counts the passages of cluster ``c`` that have the term, ``f`` those of the whole level, and ``A`` is the
    mean number of terms in a cluster. A term is written as the commonest word of ``texts`` that it is the stem of.
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
    """Return the ``most`` terms with the highest class-based tf-idf of every group; rows below 0 are in none."""
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
