"""What searches have seen, with the labels that it meets, and how lists of it lie on the device that computes.

A list is cut and laid out once; a batch then gathers what it needs there. Edges are few, so they are kept as entries of
sparse matrices, in the order of both their ends: sums over neighbours and their gradients need no atomic additions, and
are the same bits whenever they are computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from ...agent._policy_file import LoadedPolicy
from ...agent._ranker import PRIOR
from ...agent._rollout import search_worlds
from ...envs._seen import EDGES, LATE, SEEN_FEATURES, Seen
from ...envs._world import QuestionWorld
from ...retrievers.protocols import Progress

LONGEST = 160
"""Passages of a list that are learned from, the best of hybrid's fusion first."""

MOST_LISTS = 12_000
"""Searches that are learned from: what each has seen takes half a megabyte, and a small network has enough of them."""

_SEARCHED_TOGETHER = 64
"""Questions whose searches are looked at between two signs of progress."""


@dataclass(frozen=True, slots=True)
class RankedList:
    """What one search has seen, and which label each passage meets.

    Attributes:
        seen: the passages.
        met: int64 [n], a number for the label that a passage meets, -1 for none.
        labels: how many there are, found or not.
        source: which source the question is from: sources weigh alike.
    """

    seen: Seen
    met: NDArray[np.int64]
    labels: int
    source: int

    def gain(self, order: NDArray[np.int64]) -> float:
        """Return nDCG@10 of an order of the passages, each label counted where it is first met."""
        met = self.met[order]
        first = np.unique(met, return_index=True)
        places = np.sort([place for label, place in zip(*first, strict=True) if label >= 0 and place < 10])
        best = (1 / np.log2(np.arange(min(self.labels, 10)) + 2)).sum()
        return float((1 / np.log2(places + 2)).sum() / max(best, 1e-9))


def looked_at(
    policy: LoadedPolicy,
    worlds: Sequence[QuestionWorld],
    sources: Mapping[int, int],
    progress: Progress | None = None,
) -> list[RankedList]:
    """Return what searches of a policy see of those questions over texts that have labels, ``MOST_LISTS`` at most.

    Args:
        policy: what searches, where its network lies.
        worlds: the questions.
        sources: the number of each source, by the id of its index.
        progress: hears how many are looked at.
    """
    labelled = [world for world in worlds if world.gold and world.index.facts is None]
    labelled = labelled[:: -(-len(labelled) // MOST_LISTS) or 1]  # every second, every third: some of each source
    lists = []
    network = policy.network  # many searches side by side: torch reads their states together
    for first in range(0, len(labelled), _SEARCHED_TOGETHER):
        part = labelled[first : first + _SEARCHED_TOGETHER]
        for world, outcome in zip(part, search_worlds(network, policy.settings, part, look=True), strict=True):
            assert outcome.seen is not None  # it was asked for
            met = np.array([world.met_by(row) for row in outcome.seen.rows.tolist()], np.int64)
            lists.append(RankedList(outcome.seen, met, len(world.gold), sources[id(world.index)]))
        if progress is not None:
            progress("looking at what was seen", len(lists), len(labelled))
    return lists


@dataclass(frozen=True, slots=True)
class Sums:
    """Weighted sums of rows: a sparse matrix, row by row.

    Attributes:
        rows: int32 [entries], the row that each entry adds.
        starts: int32 [sums], the first entry of each sum, never falling.
        weights: float32 [entries].
    """

    rows: Tensor
    starts: Tensor
    weights: Tensor

    def of(self, rows: Tensor) -> Tensor:
        """Return the sums, float32 [sums, w] of rows [rows, w]."""
        return embedding_bag(self.rows, rows, self.starts, mode="sum", per_sample_weights=self.weights)


@dataclass(frozen=True, slots=True)
class Batch:
    """Lists side by side, for each of ``m`` networks ``b`` of them, with ``n`` passages at most.

    Attributes:
        features: float32 [m, b, n, len(SEEN_FEATURES)].
        compared: bool [m, b], whether word pieces say anything of the list.
        present: float32 [m, b, n], 1 for a passage and 0 behind the end of a list.
        right: float32 [m, b, n], 1 for what meets a label.
        messages: what each passage hears by each kind of edge, [m * b * n * len(EDGES)] sums of [m * b * n] passages;
            None without messages.
        gradients: the same edges from their other end, [m * b * n] sums of [m * b * n * len(EDGES)].
    """

    features: Tensor
    compared: Tensor
    present: Tensor
    right: Tensor
    messages: Sums | None
    gradients: Sums | None


class LaidOut:
    """Lists on a device.

    Args:
        lists: at least one.
        device: where they are kept.
        messages: keep their edges.
        longest: passages that are kept of each; all when None.
    """

    def __init__(
        self, lists: Sequence[RankedList], device: torch.device | str, messages: bool, longest: int | None = LONGEST
    ) -> None:
        kept = [_best(one, longest) for one in lists]
        self._lengths = np.array([len(rows) for rows in kept])
        shape = len(lists), int(self._lengths.max())
        features = np.zeros((*shape, len(SEEN_FEATURES)), np.float32)
        right = np.zeros(shape, np.float32)
        for k, (one, rows) in enumerate(zip(lists, kept, strict=True)):
            features[k, : len(rows)] = one.seen.features[rows]
            right[k, : len(rows)] = one.met[rows] >= 0
        self._features, self._right = (torch.from_numpy(array).to(device) for array in (features, right))
        self._compared = self._features[:, :, LATE].flatten(1).any(dim=1)
        lengths = torch.from_numpy(self._lengths).to(device)
        self._present = (torch.arange(shape[1], device=device) < lengths[:, None]).float()
        self.device = self._features.device
        self._edges = None
        if messages:
            edges = [_entries(one, rows) for one, rows in zip(lists, kept, strict=True)]
            self._edges = _Edges(edges, shape[1], self.device)

    def batch(self, chosen: NDArray[np.int64]) -> Batch:
        """Return the lists whose numbers are chosen, int64 [m, b]."""
        n = int(self._lengths[chosen].max())
        numbers = torch.from_numpy(chosen.ravel()).to(self.device)
        kept = self._features[:, :n], self._compared, self._present[:, :n], self._right[:, :n]
        features, compared, present, right = (
            each.index_select(0, numbers).view(*chosen.shape, *each.shape[1:]) for each in kept
        )
        messages, gradients = (None, None) if self._edges is None else self._edges.of(chosen.ravel(), n)
        return Batch(features, compared, present, right, messages, gradients)


_SUMS = (len(EDGES), 1)
"""Sums for each passage: one for each kind of edge that it hears by, and one for the gradients of all that hear it."""

_Entries = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]
"""Entries of sums: which sum each belongs to, ascending, which row it adds, and its weight."""


class _Edges:
    """The edges of all lists, on a device.

    Args:
        lists: messages and gradients of each.
        longest: passages of the longest list.
        device: where they are kept.
    """

    def __init__(self, lists: Sequence[tuple[_Entries, _Entries]], longest: int, device: torch.device) -> None:
        self._counts = np.array([len(sums) for (sums, _, _), _ in lists])
        self._first = np.cumsum(self._counts) - self._counts
        self._both = []
        for entries, per_passage in zip(zip(*lists, strict=True), _SUMS, strict=True):
            starts = [np.searchsorted(sums, np.arange(longest * per_passage)) for sums, _, _ in entries]
            rows, weights = (np.concatenate([each[part] for each in entries]) for part in (1, 2))
            arrays = rows, np.stack(starts).astype(np.int32), weights
            self._both.append([torch.from_numpy(array).to(device) for array in arrays])

    def of(self, chosen: NDArray[np.int64], n: int) -> tuple[Sums, Sums]:
        """Return messages and gradients of some lists, one after the other, each with room for n passages."""
        counts = self._counts[chosen]
        before, total = np.cumsum(counts) - counts, int(counts.sum())
        how = np.stack((chosen, counts, before, self._first[chosen] - before, np.arange(len(chosen)) * n))
        numbers, lengths, begins, shifts, places = torch.from_numpy(how).to(self._both[0][0].device)
        entries = shifts.repeat_interleave(lengths, output_size=total)
        entries += torch.arange(total, device=entries.device)
        passages = places.int().repeat_interleave(lengths, output_size=total)
        messages, gradients = (
            Sums(
                rows.index_select(0, entries).add_(passages, alpha=rows_per_passage),
                (starts.index_select(0, numbers)[:, : n * per_passage] + begins.int()[:, None]).flatten(),
                weights.index_select(0, entries),
            )
            for (rows, starts, weights), per_passage, rows_per_passage in zip(
                self._both, _SUMS, _SUMS[::-1], strict=True
            )
        )
        return messages, gradients


def _entries(one: RankedList, kept: NDArray[np.int64]) -> tuple[_Entries, _Entries]:
    """Return messages and gradients of the edges of a list among the passages that are kept."""
    n, place = len(one.met), np.full(len(one.met), -1, np.int32)
    place[kept] = np.arange(len(kept))
    flat = np.flatnonzero(one.seen.edges != 0)  # of truth values numpy finds them ten times faster
    kinds, hearing, heard = flat // (n * n), place[flat // n % n], place[flat % n]
    inside = (hearing >= 0) & (heard >= 0)
    weights = one.seen.edges.ravel()[flat[inside]]
    messages, heard = (hearing * len(EDGES) + kinds)[inside].astype(np.int32), heard[inside]
    by_message, by_heard = (np.argsort(ends, kind="stable") for ends in (messages, heard))
    return (
        (messages[by_message], heard[by_message], weights[by_message]),
        (heard[by_heard], messages[by_heard], weights[by_heard]),
    )


def _best(one: RankedList, longest: int | None) -> NDArray[np.int64]:
    """Return the places of a list that are kept: what is right, and the best of hybrid's fusion."""
    if longest is None or len(one.met) <= longest:
        return np.arange(len(one.met))
    prior = one.seen.features[:, PRIOR] + 1e3 * (one.met >= 0)
    return np.sort(np.argsort(-prior, kind="stable")[:longest])
