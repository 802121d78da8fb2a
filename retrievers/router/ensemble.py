"""Decentralised routers: each knows the passages and the pairs of its own shard alone; calibrated scores join them.

After De-DSI (Neague, Gregoriadis and Pouwelse 2024, "De-DSI: Decentralised Differentiable Search Index",
arXiv:2404.12237).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ..docids import NONE, DocidSettings, DocidTree
from ..entity import EntityIndex
from ..records import Hits, Query, Rows
from ..terms import TermIndex
from .calibration import fit_logistic
from .clues import Corpus, clues_of
from .decoder import DecoderSettings, DocidDecoder
from .examples import Examples
from .routed import best
from .training import RouterTraining, train_decoder
from .tree_view import TreeView

_PLENTY = 1500
"""Queries that the default number of epochs is meant for."""


@dataclass(frozen=True, slots=True)
class Member:
    """A router of one shard.

    Attributes:
        rows: its passages, as rows of the whole corpus, ascending.
        view: its docid tree, over its own corpus.
        decoder: trained on its own pairs.
        slope, offset: of the log-odds that a passage with a score is right.
    """

    rows: Rows
    view: TreeView
    decoder: DocidDecoder
    slope: float = 1.0
    offset: float = 0.0


def local_corpus(corpus: Corpus, titles: Sequence[str], rows: Rows) -> Corpus:
    """Return what a shard alone knows: its passages' vectors and titles, and its own term statistics."""
    hashes, owner = corpus.terms.terms_of(rows)
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(np.bincount(owner, minlength=len(rows)), out=offsets[1:])
    vocabulary, frequencies = np.unique(hashes, return_counts=True)
    terms = TermIndex(offsets, hashes, vocabulary, frequencies.astype(np.int64))
    return Corpus(corpus.vectors[rows], terms, EntityIndex([titles[row] for row in rows.tolist()]))


def local_examples(examples: Examples, rows: Rows, corpus: Corpus) -> Examples | None:
    """Return the examples with a wanted passage among ``rows`` as the shard sees them; None when there are none.

    Of a question with passages in several shards, each shard learns about its own passages only.
    """
    place = np.searchsorted(rows, np.maximum(examples.wanted, 0))
    inside = (examples.wanted != NONE) & (rows[np.minimum(place, len(rows) - 1)] == examples.wanted)
    mine = np.flatnonzero(inside.any(axis=1))
    if not len(mine):
        return None
    taken = examples.take(mine)
    return Examples(
        taken.queries,
        [clues_of(query, corpus) for query in taken.queries],
        np.where(inside[mine], place[mine], NONE),
        np.where(inside[mine], taken.rewards, 0).astype(np.float32),
        np.where(inside[mine], taken.in_shards, 0).astype(np.float32),
        taken.weights,
        taken.labelled,
    )


def train_member(
    corpus: Corpus,
    rows: Rows,
    examples: Examples,
    seed: int,
    training: RouterTraining | None = None,
    docids: DocidSettings | None = None,
    held_out: float = 0.2,
) -> Member:
    """Train the router of one shard apart from all others, and calibrate it on its own queries.

    A fifth of its queries are held out and decoded twice: as they are, and with their passages taken out of the trie.
    To the latter the shard is foreign, and whatever it finds is wrong: so it learns to doubt itself without queries of
    others.

    Args:
        corpus: :func:`local_corpus` of the shard.
        rows: its passages, as rows of the whole corpus.
        examples: :func:`local_examples` of the shard, at least four.
        seed: of everything random.
        training: of the decoder.
        docids: shape of the tree.
        held_out: share of the queries for calibration.
    """
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tree = DocidTree.build(corpus.vectors, rng, docids)
        decoder = DocidDecoder(DecoderSettings(corpus.vectors.shape[1], tree.depth))
        order = rng.permutation(len(examples))
        count = max(1, round(held_out * len(examples)))
        train, apart = examples.take(np.sort(order[count:])), examples.take(np.sort(order[:count]))
        view = TreeView(tree, corpus)
        train_decoder(decoder, [(view, train)], _longer(training or RouterTraining(), len(train)), rng)
    scores, right = _first(decoder, view, apart)
    left = tree.without(np.unique(apart.wanted[apart.wanted != NONE]))
    if len(left):
        foreign, _ = _first(decoder, TreeView(left, corpus), apart)
        scores, right = np.concatenate([scores, foreign]), np.concatenate([right, np.zeros(len(foreign), np.bool_)])
    return Member(rows, view, decoder, *fit_logistic(scores, right))


def _longer(training: RouterTraining, queries: int) -> RouterTraining:
    """Return a training that goes over few queries more often, up to twice, so that its steps come to about as many."""
    times = min(max(_PLENTY / max(queries, 1), 1), 2)
    return replace(training, decoder_epochs=round(training.decoder_epochs * times))


def _first(
    decoder: DocidDecoder, view: TreeView, examples: Examples, beam: int = 32
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the first docid's score for every query, and whether it is a wanted one."""
    with torch.no_grad():
        found = decoder.decode(view, examples.clues, beam)
    first = found.found[:, :1].numpy()
    return found.scores[:, 0].numpy(), ((first == examples.wanted) & (first != NONE)).any(axis=1)


class RouterEnsemble:
    """Routers of separate shards, asked together; fulfils ``SubIndex``.

    Args:
        members: one for each shard.
        beam: nodes that each of them follows.
    """

    name = "docid"

    def __init__(self, members: Sequence[Member], beam: int = 16) -> None:
        self._members = members
        self._beam = beam

    def search(self, query: Query, limit: int) -> Hits:
        """Return at most ``limit`` passages with the log-odds that each is right, best first, ties by row."""
        return self.search_counted(query, limit)[0]

    def search_counted(self, query: Query, limit: int) -> tuple[Hits, int]:
        """Return :meth:`search`, and how many passages were compared with the query."""
        rows, scores, passages = [], [], 0
        for member in self._members:
            with torch.no_grad():
                found = member.decoder.decode(member.view, [clues_of(query, member.view.corpus)], self._beam)
            there = found.found[0].numpy() != NONE
            rows.append(member.rows[found.found[0].numpy()[there]])
            scores.append(member.slope * found.scores[0].numpy()[there] + member.offset)
            passages += int(found.passages[0])
        return best(np.concatenate(rows), np.concatenate(scores).astype(np.float32), limit), passages
