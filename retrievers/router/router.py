"""The router: p(shard | q), p(docid prefix | q), a shortlist of docids, and which sub-index to ask first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..calibration import Scores, softmax
from ..records import Hits, Query, Rows
from .clues import Clues, Corpus, clues_of
from .decoder import DocidDecoder
from .docids import NONE, Docid, DocidTree
from .network import PlanNetwork, ShardNetwork, plan_clues, shard_inputs
from .shards import Partition, ShardStatistics
from .tree_view import TreeView

BEAM = 48
"""Nodes that decoding follows."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What to ask, most probable first.

    Attributes:
        numbers: int64 [k], shards.
        probabilities: float32 [k].
    """

    numbers: Rows
    probabilities: Scores


@dataclass(frozen=True, slots=True)
class Networks:
    """The learned parts of a router.

    Attributes:
        shards: of the partition.
        decoder: of docids.
        plan: of sub-indexes, None for a router that has learned none.
        choices: names of the sub-indexes that a plan chooses from.
    """

    shards: ShardNetwork
    decoder: DocidDecoder
    plan: PlanNetwork | None
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Temperatures:
    """What makes probabilities of scores; fitted on held-out queries.

    Attributes:
        shards, prefixes, docids, plan: what scores are divided by, as shares of what was scored together.
        slope, offset: of the log-odds that a docid with a score is right, whatever else was scored: those of several
            routers can be compared.
    """

    shards: float = 1.0
    prefixes: float = 1.0
    docids: float = 1.0
    plan: float = 1.0
    slope: float = 1.0
    offset: float = 0.0


class Router:
    """A learned layer over an index: it proposes, the index and its evidence store decide.

    Passages that the router does not know (rows beyond its tree's) get a docid and a shard by their vectors when it is
    put together; their words count from then on.

    Args:
        corpus: what the index looks up.
        partition: shards of the corpus' first rows.
        tree: docids of them.
        networks: the learned parts.
        temperatures: of its probabilities.

    Raises:
        ValueError: when it knows more passages than the corpus has.
    """

    def __init__(
        self,
        corpus: Corpus,
        partition: Partition,
        tree: DocidTree,
        networks: Networks,
        temperatures: Temperatures | None = None,
    ) -> None:
        known = len(partition.shard)
        if known > len(corpus) or tree.rows > len(corpus):
            raise ValueError(f"the router knows {known} passages, the index has {len(corpus)}: tune the router again")
        self.corpus = corpus
        self.partition = partition.with_added(corpus.vectors[known:])
        self.tree = tree.with_added(corpus.vectors[tree.rows :]) if tree.rows < len(corpus) else tree
        self.networks = networks
        self.temperatures = temperatures or Temperatures()
        self.statistics = ShardStatistics(corpus, self.partition)
        self.view = TreeView(self.tree, corpus)

    def clues(self, query: Query) -> Clues:
        """Return what the router sees of a query; several questions to the router may share it."""
        return clues_of(query, self.corpus)

    def shard_probabilities(self, query: Query | Clues) -> Scores:
        """Return p(shard | q), float32 [S]."""
        known, vectors = shard_inputs(self.statistics, [self._seen(query)])
        with torch.no_grad():
            scores = self.networks.shards(vectors, known)[0].numpy()
        return softmax(scores, self.temperatures.shards)

    def shards(self, query: Query | Clues, most: int = 2, mass: float = 1.0) -> Choice:
        """Return the most probable shards: at most ``most``, and no more than add up to ``mass``."""
        shares = self.shard_probabilities(query)
        order = np.argsort(-shares, kind="stable")[: max(most, 1)]
        enough = int(np.searchsorted(np.cumsum(shares[order]), mass)) + 1
        return Choice(order[:enough], shares[order[:enough]])

    def prefixes(self, query: Query | Clues, most: int = 8, length: int = 1) -> list[tuple[Docid, float]]:
        """Return the most probable docid prefixes of a length, with p(prefix | q) over those that the beam holds.

        Raises:
            ValueError: when no docid has such a prefix.
        """
        if not 1 <= length < self.tree.depth:
            raise ValueError(f"prefixes have 1 to {self.tree.depth - 1} codes, not {length}")
        with torch.no_grad():
            found = self.networks.decoder.decode(self.view, [self._seen(query)], max(BEAM, most), length)
        there = found.found[0].numpy() != NONE
        shares = softmax(found.scores[0].numpy()[there], self.temperatures.prefixes)
        paths = self._prefixes_of(length)
        nodes = found.found[0].numpy()[there]
        return [(paths[node], float(share)) for node, share in zip(nodes.tolist(), shares, strict=True)][:most]

    def docids(self, query: Query | Clues, limit: int = 10, beam: int = BEAM) -> Hits:
        """Return the passages of the best docids, with log p(docid | q) over what the beam holds; ties by row."""
        return self.docids_counted(query, limit, beam)[0]

    def docids_counted(self, query: Query | Clues, limit: int = 10, beam: int = BEAM) -> tuple[Hits, int, int]:
        """Return :meth:`docids`, and how many passages and how many nodes were compared with the query."""
        if limit < 1 or not len(self.tree):
            return Hits(np.zeros(0, np.int64), np.zeros(0, np.float32)), 0, 0
        held, passages, nodes = self._spelled(query, max(beam, limit))
        logarithms = np.log(np.maximum(softmax(held.scores, self.temperatures.docids), 1e-30)).astype(np.float32)
        order = np.lexsort((held.rows, -logarithms))[:limit]
        return Hits(held.rows[order], logarithms[order]), passages, nodes

    def docid_odds(self, query: Query | Clues, beam: int = BEAM) -> tuple[Hits, int]:
        """Return all passages that a beam holds, with the log-odds that each is right, and how many were compared."""
        if not len(self.tree):
            return Hits(np.zeros(0, np.int64), np.zeros(0, np.float32)), 0
        held, passages, _ = self._spelled(query, beam)
        odds = self.temperatures.slope * held.scores + self.temperatures.offset
        return Hits(held.rows, odds.astype(np.float32)), passages

    def plan(self, query: Query | Clues) -> list[tuple[str, float]]:
        """Return the sub-indexes with p(ask it first | q), best first; nothing when no plan was learned."""
        if self.networks.plan is None:
            return []
        seen = self._seen(query)
        with torch.no_grad():
            scores = self.networks.plan(torch.from_numpy(seen.vector[None]), plan_clues([seen]))[0].numpy()
        shares = softmax(scores, self.temperatures.plan)
        order = np.argsort(-shares, kind="stable").tolist()
        return [(self.networks.choices[place], float(shares[place])) for place in order]

    def _spelled(self, query: Query | Clues, beam: int) -> tuple[Hits, int, int]:
        """Return what a beam holds with its scores, and how many passages and nodes were compared."""
        with torch.no_grad():
            found = self.networks.decoder.decode(self.view, [self._seen(query)], beam)
        rows, scores = found.found[0].numpy(), found.scores[0].numpy()
        return Hits(rows[rows != NONE], scores[rows != NONE]), int(found.passages[0]), int(found.nodes[0])

    def _seen(self, query: Query | Clues) -> Clues:
        return query if isinstance(query, Clues) else self.clues(query)

    def _prefixes_of(self, length: int) -> dict[int, Docid]:
        nodes, rows = np.unique(self.tree.nodes_of(length), return_index=True)
        paths = map(tuple, self.tree.codes[rows, :length].tolist())
        return dict(zip(nodes.tolist(), paths, strict=True))


class DocidIndex:
    """The generative sub-index: passages whose docids the decoder spells; fulfils ``SubIndex``.

    Args:
        router: that decodes.
        beam: nodes to follow.
    """

    name = "docid"

    def __init__(self, router: Router, beam: int = BEAM) -> None:
        self._router = router
        self._beam = beam

    def search(self, query: Query, limit: int) -> Hits:
        """Return at most ``limit`` passages, most probable docid first, ties by row."""
        return self._router.docids(query, limit, self._beam)
