"""The expert of the warm start: shortest paths to the labelled evidence, in any order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...envs.batch import Lane, SearchBatch
from ...envs.settings import SUB_INDEXES
from ...graph.knowledge_graph import GROUPS

_DENSE = SUB_INDEXES.index("dense")
_ENTITY = SUB_INDEXES.index("entity")
_MENTIONS = GROUPS.index("mentions")


def expert_actions(batch: SearchBatch, lane: int, thorough: bool = False) -> NDArray[np.bool_]:
    """Return every action that lies on a shortest path to the labelled evidence, bool [actions].

    The order is latent: any supporting candidate in view may be taken, and while some are not in view yet, the
    operators that bring the most of them for their cost are as right. STOP when neither is left.

    An expert knows what an operator will bring, and a policy cannot. So with ``thorough`` a path first asks, in every
    query state in which evidence is missing, each sub-index for a page and the latest evidence for its mentions, in any
    order: what a policy that looks before it takes would do, and what PPO then learns to save on.
    """
    good = np.zeros(batch.layout.size, np.bool_)
    state = batch.lane(lane)
    if thorough and len(state.evidence) < batch.settings.max_evidence and state.found_gold < len(state.world.gold):
        good = _unasked(batch, lane, state)
        if good.any():
            return good
    take = batch.layout.take
    in_view = state.world.is_gold[state.places[: state.count]]
    if len(state.evidence) < batch.settings.max_evidence:
        if in_view.sum() < len(state.world.gold):
            good = _best_operators(batch, lane, state, to_take=int(in_view.sum()) - state.found_gold)
        good[take : take + state.count] = batch.mask[lane, take : take + state.count] & in_view
    if not good.any():
        good[0] = True
    return good


def _unasked(batch: SearchBatch, lane: int, state: Lane) -> NDArray[np.bool_]:
    """Return the legal operators of a thorough search that have not been used in this query state, bool [actions]."""
    layout = batch.layout
    wanted = np.zeros(layout.size, np.bool_)
    for sub_index in range(len(SUB_INDEXES)):
        wanted[layout.expand + sub_index] = not state.pages.get((sub_index, state.state), 0)
    if state.evidence:
        wanted[layout.hop + (len(state.evidence) - 1) * len(GROUPS) + _MENTIONS] = True
    return np.asarray(wanted & batch.mask[lane])


def _best_operators(batch: SearchBatch, lane: int, state: Lane, to_take: int) -> NDArray[np.bool_]:
    """Return the legal operators with the highest gain of missing evidence for their cost, if any gains."""
    legal = [int(a) + 1 for a in np.flatnonzero(batch.mask[lane, 1 : batch.layout.take])]
    values = np.zeros(batch.layout.size, np.float32)
    conditioned_dense = 1 + _DENSE if state.evidence else -1
    for action in legal:
        if action != conditioned_dense:
            values[action] = _value(batch, state, action)
    # encoding a query is what costs most: only when nothing else is left to do
    if conditioned_dense in legal and not values.any() and not to_take:
        values[conditioned_dense] = _value(batch, state, conditioned_dense)
    best = values.max()
    return values >= best - 1e-6 if best > 0 else np.zeros(len(values), np.bool_)


def _value(batch: SearchBatch, state: Lane, action: int) -> float:
    """Return missing evidence per millisecond of an operator, looking at most two pages ahead."""
    world = state.world
    kind, first, second = batch.layout.decode(action)
    if kind == "hop":
        places = world.hop(int(state.places[state.evidence[first]]), second)
        return _gain(state, places) / max(batch.settings.hop_ms, 1e-3)
    page = state.pages.get((first, state.state), 0)
    cost = max(batch.settings.expand_ms[first], 1e-3)
    pages = 1 if first == _ENTITY else batch.settings.pages
    for ahead in range(page, pages):
        gain = _gain(state, world.expand(first, state.held, ahead))
        if gain:
            return gain / (cost * (ahead - page + 1))
    return 0.0


def _gain(state: Lane, places: NDArray[np.int64]) -> int:
    """Count the supporting passages among ``places`` that are not in view yet."""
    known = np.zeros(len(places), np.bool_)
    inside = places < len(state.slot_of)
    known[inside] = state.slot_of[places[inside]] >= 0
    return int((state.world.is_gold[places] & ~known).sum())
