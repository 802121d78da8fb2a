"""The docid decoder: walks the docid tree code by code, with a beam that the trie constrains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor, nn

from ._clues import Clues, Corpus, Postings, named_share, stacked
from ._docids import NONE, DocidTree

NODE_CLUES = 6
"""Of an inner node: what :class:`Postings` and :func:`named_share` say of what lies below."""

PASSAGE_CLUES = 4
"""Of a passage: two shares of the query's terms, whether the query names it, and its share of what is named."""

_NEVER = -1e9
_FORCED = 1e6
_SHARPNESS = 20.0
"""What cosines are multiplied with at first; learned."""


class TreeView:
    """The tables that a decoder walks; they follow the corpus and are not stored.

    Raises:
        ValueError: when the tree has docids of rows that the corpus lacks.
    """

    def __init__(self, tree: DocidTree, corpus: Corpus) -> None:
        if tree.rows > len(corpus):
            raise ValueError(f"the docids are of {tree.rows} passages, the corpus has {len(corpus)}: make them again")
        self.tree, self.corpus, self.depth = tree, corpus, tree.depth
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

    def node_clues(self, clues: Sequence[Clues]) -> list[Tensor]:
        """Return what the queries say of the nodes of levels 1 to depth - 1, each float32 [b, nodes, NODE_CLUES]."""
        levels = []
        for (group, count), postings in zip(self._groups, self._postings, strict=True):
            found = [np.hstack([postings.evidence(one), named_share(one, group, count)]) for one in clues]
            levels.append(torch.from_numpy(np.stack(found)))
        return levels

    def passage_clues(self, clues: Sequence[Clues], rows: NDArray[np.int64]) -> Tensor:
        """Return what each query says of its candidates [b, m] (NONE for none), float32 [b, m, PASSAGE_CLUES]."""
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


@dataclass(frozen=True, slots=True)
class DecoderSettings:
    """The decoder's size and what it sees."""

    dimension: int  # of the query's vector
    depth: int  # most codes to a docid
    hidden: int = 384  # numbers in the recurrent state, and in the layer that adapts the query
    words: bool = True  # whether it sees the query's words and named titles beside its vector


class Decoded(NamedTuple):
    """What a beam holds at the end."""

    found: Tensor  # int64 [b, k], nodes of the level decoded to, or rows; below 0 where there are fewer than k
    scores: Tensor  # float32 [b, k], best first
    passages: Tensor  # how many passages each query's decoding compared with the query, int64 [b]
    nodes: Tensor  # the same for inner nodes


class _Beam(NamedTuple):
    nodes: Tensor  # [b, k], NONE for none
    states: Tensor  # [b, k, hidden]


class _Step(NamedTuple):
    children: Tensor  # [b, k * branching], NONE for none
    vectors: Tensor  # [b, k * branching, d]
    scores: Tensor  # [b, k * branching]


class DocidDecoder(nn.Module):
    r"""Scores a docid's codes one after the other: ``score(c | path) = a_t <u + R h_t, v_c> + f_t(<u, v_c>, x_c)``.

    ``u`` is the adapted query vector, ``h_t`` a GRU's state over the vectors of the nodes passed, ``v_c`` the centroid
    of child ``c`` (at the end, the passage's vector), ``x_c`` what the query's words say of what lies below ``c``. The
    weights know no passage: the decoder carries over to another corpus, and to passages that are new.

    A code's score stands for everything below it, not for its share of its parent: beams compare the children of
    different parents, and a docid's score is that of its last code. So no branch is favoured because its siblings are
    few (normalised over the beam: Andor et al. 2016, arXiv:1603.06042, section 3; trees trained under their own beam:
    Zhuo et al. 2020, arXiv:2006.15408). The trie is the docid tree, which only holds live passages
    (De Cao et al. 2021, arXiv:2010.00904, section 3.2).

    Letters: b queries, k beam, B branching, d dimension.

    Args:
        settings: sizes.
    """

    def __init__(self, settings: DecoderSettings) -> None:
        super().__init__()
        self.settings = settings
        size, hidden = settings.dimension, settings.hidden
        back = nn.Linear(hidden, size)
        self.adapt = nn.Sequential(nn.Linear(size, hidden), nn.GELU(), nn.Dropout(0.1), back)
        self.start = nn.Linear(size, hidden)
        self.walk = nn.GRUCell(size, hidden)
        self.read = nn.Linear(hidden, size)
        for silent in (*back.parameters(), *self.read.parameters()):  # untrained, it compares vectors as they are
            nn.init.zeros_(silent)
        self.sharpness = nn.Parameter(torch.full((settings.depth,), _SHARPNESS).log())
        widths = [NODE_CLUES] * (settings.depth - 1) + [PASSAGE_CLUES]
        self.judges = nn.ModuleList(
            nn.Sequential(nn.Linear(width + 1, 16), nn.ReLU(), nn.Linear(16, 1)) for width in widths
        )

    @classmethod
    def at_start(cls, settings: DecoderSettings) -> DocidDecoder:
        """Return an untrained decoder; all of equal settings have equal weights, so that :func:`averaged` has sense."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return cls(settings)

    def decode(self, view: TreeView, clues: Sequence[Clues], beam: int, levels: int | None = None) -> Decoded:
        """Return the best docids' rows (or, with ``levels`` below the depth, nodes of that level), best first."""
        levels = view.depth if levels is None else levels
        query, state, node_clues = self._begin(view, clues)
        passages, nodes = (torch.zeros(len(clues), dtype=torch.int64) for _ in range(2))
        for level in range(levels):
            step = self._step(view, clues, node_clues, query, state, level)
            compared = (step.children >= 0).sum(dim=1)
            counted = passages if level == view.depth - 1 else nodes
            counted += compared
            best = step.scores.topk(min(beam, step.scores.shape[1]), dim=1)
            if level < levels - 1:
                state = self._follow(step, best.indices, state, view.tree.branching)
        found = step.children.gather(1, best.indices)
        return Decoded(found, best.values, passages, nodes)

    def losses(self, view: TreeView, clues: Sequence[Clues], wanted: Tensor, beam: int) -> Tensor:
        """Return the loss of every query and level, float32 [b, depth], for wanted rows [b, g] (NONE for none).

        ``- log sum_c p(c)`` over what the decoder's own beam holds, for the codes ``c`` that lead to a wanted passage:
        any of them will do. The wanted paths are kept in the beam.
        """
        query, state, node_clues = self._begin(view, clues)
        losses = []
        for level in range(view.depth):
            step = self._step(view, clues, node_clues, query, state, level)
            targets = torch.from_numpy(wanted_children_of(view.tree, wanted.numpy(), level + 1))
            matches = (step.children[:, :, None] == targets[:, None, :]) & (targets >= 0)[:, None, :]
            right = matches.any(dim=2)  # [b, k B]
            losses.append(-step.scores.log_softmax(dim=1).masked_fill(~right, _NEVER).logsumexp(dim=1))
            if level < view.depth - 1:
                kept = step.scores.detach() + _FORCED * right
                best = kept.topk(min(beam, kept.shape[1]), dim=1).indices
                state = self._follow(step, best, state, view.tree.branching)
        return torch.stack(losses, dim=1)

    def adapted(self, vectors: Tensor) -> Tensor:
        """Return the query vectors [b, d] as they are compared with passages, unit length."""
        return functional.normalize(vectors + self.adapt(vectors), dim=-1)

    def _begin(self, view: TreeView, clues: Sequence[Clues]) -> tuple[Tensor, _Beam, list[Tensor]]:
        vectors = torch.from_numpy(stacked(clues))
        state = torch.tanh(self.start(vectors))[:, None, :]
        root = _Beam(torch.zeros(len(clues), 1, dtype=torch.int64), state)
        return self.adapted(vectors), root, view.node_clues(clues) if self.settings.words else []

    def _step(
        self, view: TreeView, clues: Sequence[Clues], node_clues: list[Tensor], query: Tensor, beam: _Beam, level: int
    ) -> _Step:
        """Score the children of the nodes in the beam."""
        batch, width = beam.nodes.shape
        branching, last = view.tree.branching, level == view.depth - 1
        node = beam.nodes.clamp(min=0)
        children = view.children[node].masked_fill((beam.nodes < 0)[:, :, None], -1).reshape(batch, -1)
        vectors = view.vectors[view.places[node]]  # [b, k, B, d]
        plain = torch.einsum("bd,bkcd->bkc", query, vectors).reshape(batch, -1)
        turned = torch.einsum("bkd,bkcd->bkc", query[:, None] + self.read(beam.states), vectors).reshape(batch, -1)
        # The last level has the last judge, whatever the depth of this tree.
        place = self.settings.depth - 1 if last else min(level, self.settings.depth - 2)
        scores = self.sharpness[place].exp() * turned
        known = self._known(view, clues, node_clues, children, level)
        scores = scores + self.judges[place](torch.cat([plain[..., None], known], dim=-1)).squeeze(-1)
        scores = scores.masked_fill(children < 0, _NEVER)
        return _Step(children, vectors.reshape(batch, width * branching, -1), scores)

    def _known(
        self, view: TreeView, clues: Sequence[Clues], node_clues: list[Tensor], children: Tensor, level: int
    ) -> Tensor:
        """Return what the queries' words say of the children, zeros where the decoder does not see words."""
        last = level == view.depth - 1
        if not self.settings.words:
            return torch.zeros(*children.shape, PASSAGE_CLUES if last else NODE_CLUES)
        if last:
            return view.passage_clues(clues, children.numpy())
        place = view.place_in_level[children.clamp(min=0)]
        return node_clues[level].gather(1, place[..., None].expand(-1, -1, NODE_CLUES))

    def _follow(self, step: _Step, best: Tensor, beam: _Beam, branching: int) -> _Beam:
        """Step to the chosen children, places [b, k] among the step's."""
        hidden, size = beam.states.shape[-1], step.vectors.shape[-1]
        before = beam.states.gather(1, (best // branching)[..., None].expand(-1, -1, hidden))
        entered = step.vectors.gather(1, best[..., None].expand(-1, -1, size))
        states = self.walk(entered.reshape(-1, size), before.reshape(-1, hidden)).reshape(before.shape)
        return _Beam(step.children.gather(1, best), states)


def averaged(decoders: Sequence[DocidDecoder]) -> DocidDecoder:
    """Return a decoder with the mean weights of several that were trained apart from one start.

    One round of federated averaging (McMahan et al. 2017, arXiv:1602.05629), or a uniform soup (Wortsman et al. 2022,
    arXiv:2203.05482). Decoders of different settings are refused with a ValueError.
    """
    if len({decoder.settings for decoder in decoders}) != 1:
        raise ValueError(f"decoders of {[decoder.settings for decoder in decoders]} cannot be averaged")
    states = [decoder.state_dict() for decoder in decoders]
    mean = DocidDecoder.at_start(decoders[0].settings)
    mean.load_state_dict({name: torch.stack([state[name] for state in states]).mean(dim=0) for name in states[0]})
    return mean.eval()
