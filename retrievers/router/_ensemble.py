"""Decentralised routers: each learned from its own part alone; averaged weights and calibrated scores join them.

After De-DSI (Neague, Gregoriadis and Pouwelse 2024, "De-DSI: Decentralised Differentiable Search Index",
arXiv:2404.12237).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from ...errors import RouterError
from ..records import Hits, Query, Rows
from ..words._terms import TermIndex
from ..words._titles import EntityIndex
from ._clues import Clues, Corpus
from ._decoder import DecoderSettings, averaged
from ._router import SHARD_MASS, Choice, Router, enough_shards
from ._shards import Partition, best

BEAM = 64
"""Nodes that all members follow together."""

_LEAST_BEAM = 8
"""Nodes that each of them follows, however many they are."""


@dataclass(frozen=True, slots=True)
class Member:
    """One of several routers."""

    rows: Rows  # int64 [n], the row in the whole corpus of each of its passages, in its own order
    router: Router  # over its own corpus


@dataclass(frozen=True, slots=True)
class MemberAnswers:
    """What the members answer to a query."""

    clues: tuple[Clues, ...]  # what each sees of it
    # the passages that each one's beam holds, as rows of the whole corpus, with the log-odds of being right
    odds: tuple[Hits, ...]
    compared: int  # how many passages were compared with the query


def local_corpus(corpus: Corpus, titles: Sequence[str], rows: Rows, documents: Sequence[str] | None = None) -> Corpus:
    """Return what a part alone knows: its passages' vectors and titles, and its own term statistics."""
    hashes, owner = corpus.terms.terms_of(rows)
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(np.bincount(owner, minlength=len(rows)), out=offsets[1:])
    vocabulary, frequencies = np.unique(hashes, return_counts=True)
    terms = TermIndex(offsets, hashes, vocabulary, frequencies.astype(np.int64))
    named = None if documents is None else [documents[row] for row in rows.tolist()]
    return Corpus(corpus.vectors[rows], terms, EntityIndex([titles[row] for row in rows.tolist()], named))


class RouterEnsemble:
    """Routers of separate parts of a corpus, asked together: what one router of the whole is asked, they answer.

    Every member decodes its own docids. What passes between members is weights, once: those of their decoders, which
    began alike, are averaged, so that they score on one scale and each has what the others learned (decoders of docids
    of another length among themselves). Scores become the log-odds of being right, by the averages of what the members
    fitted on their own held-out queries; these are compared.

    Raises:
        RouterError: when one of the corpus' passages is no member's, or several members'.
    """

    def __init__(self, members: Sequence[Member], passages: int, beam: int = BEAM) -> None:
        owners = np.bincount(np.concatenate([member.rows for member in members]), minlength=passages)
        if len(owners) != passages or (owners != 1).any():
            wrong = int(np.flatnonzero(owners != 1)[0]) if (owners != 1).any() else passages
            raise RouterError(f"row {wrong} is known to {owners[wrong]} of {len(members)} routers: each row needs one")
        self.members = _on_one_scale(members)
        self.partition = _joined([member.router.partition for member in members], members, passages)
        self._beam = max(_LEAST_BEAM, beam // len(members))

    def clues(self, query: Query) -> MemberAnswers:
        """Ask every member; several questions to the ensemble may share the answers."""
        clues, odds, compared = [], [], 0
        for member in self.members:
            clues.append(member.router.clues(query))
            found, passages = member.router.docid_odds(clues[-1], self._beam)
            odds.append(Hits(member.rows[found.rows], found.scores))
            compared += passages
        return MemberAnswers(tuple(clues), tuple(odds), compared)

    def shards(self, query: Query | MemberAnswers, mass: float = SHARD_MASS) -> Choice:
        """Return the most probable shards of all members, no more than add up to ``mass``.

        p(shard | q) = p(member | q) p(shard | q, member); a member's share is the probability that the best docid that
        it finds is right.
        """
        answers = self._answers(query)
        shares = []
        for member, clues, odds in zip(self.members, answers.clues, answers.odds, strict=True):
            trust = 1 / (1 + np.exp(-float(odds.scores.max()))) if len(odds) else 0.0
            shares.append(trust * member.router.shard_probabilities(clues))
        joined = np.concatenate(shares)
        joined = np.asarray(joined / max(float(joined.sum()), 1e-30), np.float32)
        return enough_shards(joined, mass)

    def docids(self, query: Query | MemberAnswers, limit: int = 10) -> Hits:
        """Return at most ``limit`` of the passages that the beams hold, with log-odds, best first, ties by row."""
        odds = self._answers(query).odds
        return best(np.concatenate([one.rows for one in odds]), np.concatenate([one.scores for one in odds]), limit)

    def _answers(self, query: Query | MemberAnswers) -> MemberAnswers:
        return query if isinstance(query, MemberAnswers) else self.clues(query)


def _on_one_scale(members: Sequence[Member]) -> tuple[Member, ...]:
    """Return the members with averaged decoders, and the averages of what was fitted to these."""
    alike: dict[DecoderSettings, list[Router]] = {}
    for member in members:
        alike.setdefault(member.router.networks.decoder.settings, []).append(member.router)
    decoders = {kind: averaged([router.networks.decoder for router in routers]) for kind, routers in alike.items()}
    scaled = []
    for member in members:
        kind = member.router.networks.decoder.settings
        router = copy(member.router)
        router.networks = replace(router.networks, decoder=decoders[kind])
        fitted = [other.temperatures for other in alike[kind]]
        slope, offset = (float(np.mean([getattr(one, name) for one in fitted])) for name in ("slope", "offset"))
        router.temperatures = replace(router.temperatures, slope=slope, offset=offset)
        scaled.append(Member(member.rows, router))
    return tuple(scaled)


def _joined(partitions: Sequence[Partition], members: Sequence[Member], passages: int) -> Partition:
    """Return the shards of all members as the shards of one partition, a member's after those of the one before."""
    shard, before = np.zeros(passages, np.int64), 0
    for part, member in zip(partitions, members, strict=True):
        shard[member.rows] = part.shard + before
        before += len(part)
    centroids = np.concatenate([part.centroids for part in partitions])
    return Partition(shard, centroids, np.concatenate([part.regions for part in partitions]))
