"""Warm start: imitate shortest paths to the labelled evidence, in any order, on states of the policy's own making.

The loss of a state is ``-log sum_{a in A*} pi(a | s)`` over the expert's actions A*: the order is latent, so the
policy chooses among right actions. States come from a mixture of expert and policy (DAgger, Ross et al. 2011,
arXiv:1011.0686), so that the policy also learns to go on from its own mistakes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ...agent._network import PolicyNetwork, as_tensors
from ...envs._batch import SearchBatch
from ...envs._lane import Lane
from ...envs._world import Call, Expand, Hop, QuestionWorld, explore
from ...envs.settings import STATIC, SUB_INDEXES, EnvironmentSettings
from ...graph._knowledge_graph import GROUPS
from ...retrievers.records import Rows
from ._workers import ALONE, Team

_DENSE = SUB_INDEXES.index("dense")
_COSINE = STATIC.index("dense")
_FEEDBACK = SUB_INDEXES.index("feedback")
_ENTITY = SUB_INDEXES.index("entity")
_MENTIONS = GROUPS.index("mentions")


Found = TypeVar("Found")
Calls = list[tuple[QuestionWorld, Call]]
Looking = Generator[Calls, None, Found]
"""Yields the calls whose answers it has to know next, and returns what it found out."""


def expert_actions(batch: SearchBatch, lanes: Sequence[int], thorough: bool = False) -> NDArray[np.bool_]:
    """Return every action that lies on a shortest path to the labelled evidence, bool [lanes, actions].

    The order is latent: any supporting candidate in view may be taken, and while some are not in view yet, the
    operators that bring the most of them for their cost are as right. A further passage of a labelled document that was
    found is taken where it alone leads on. STOP when nothing is left.

    An expert knows what an operator will bring, and a policy cannot. So with ``thorough`` a path first asks, in every
    query state in which evidence is missing, what is cheap to ask: each sub-index for a page but where a query must be
    encoded or made, and the latest evidence for its mentions, in any order. That is what a policy does that looks
    before it takes, and PPO then learns to save on it.

    What the experts of all lanes have to know is explored together.
    """
    good = np.zeros((len(lanes), batch.layout.size), np.bool_)
    looking = {number: _expert(batch, lane, thorough) for number, lane in enumerate(lanes)}
    while looking:
        wanted: Calls = []
        for number, expert in list(looking.items()):
            try:
                wanted += next(expert)
            except StopIteration as found:
                good[number] = found.value
                del looking[number]
        explore(wanted)
    return good


def _expert(batch: SearchBatch, lane: int, thorough: bool) -> Looking[NDArray[np.bool_]]:
    """Find the right actions of one lane, bool [actions]."""
    good = np.zeros(batch.layout.size, np.bool_)
    state = batch.lane(lane)
    if thorough and len(state.evidence) < batch.settings.max_evidence and state.found_gold < len(state.world.gold):
        good = _unasked(batch, lane, state)
        if good.any():
            return good
    take = batch.layout.take
    if len(state.evidence) < batch.settings.max_evidence:
        in_view = state.world.labels_met(state.world.rows[state.places[: state.count]].tolist())
        if in_view < len(state.world.gold):
            good = yield from _best_operators(batch, lane, in_view - state.found_gold, partial(_gain, state))
        wanted = yield from _to_take(state)
        good[take : take + state.count] = batch.mask[lane, take : take + state.count] & wanted
        if not good.any() and in_view < len(state.world.gold) < len(state.world.meets):
            good = yield from _reading_on(batch, lane, state)
    if not good.any():
        good[0] = True
    return good


def _to_take(state: Lane) -> Looking[NDArray[np.bool_]]:
    """Find which slots meet a label that no evidence meets yet, bool [count].

    Of several passages of a labelled document it is the one that leads to most of what is not in view, and of those the
    one that agrees best with the question, by its vector.
    """
    places = state.places[: state.count]
    met = state.world.met[places]
    wanted = (met >= 0) & ~np.isin(met, met[state.evidence])
    for label in np.unique(met[wanted]).tolist():
        slots = np.flatnonzero(wanted & (met == label)).tolist()
        if len(slots) > 1:
            cosines = state.world.static[places, _COSINE]
            hops = {slot: [Hop(int(places[slot]), group) for group in range(len(GROUPS))] for slot in slots}
            yield [(state.world, hop) for slot in slots for hop in hops[slot]]
            leads = {slot: max(_gain(state, state.world.brings(hop)) for hop in hops[slot]) for slot in slots}
            wanted[slots] = False
            wanted[max(slots, key=lambda slot: (leads[slot], float(cosines[slot])))] = True
    return wanted


def _reading_on(batch: SearchBatch, lane: int, state: Lane) -> Looking[NDArray[np.bool_]]:
    """Find what leads on from further passages of documents that were found, bool [actions].

    They are taken where they are in view, else the operators that bring the most of them are right.
    """
    world, take = state.world, batch.layout.take
    rows = world.rows[state.places[: state.count]].tolist()
    labels = {world.met_by(row) for row in rows}
    leading = {row for row, label in world.meets.items() if label in labels and _leads_to_missing(world, row, labels)}
    good = np.zeros(batch.layout.size, np.bool_)
    good[take : take + state.count] = [row in leading for row in rows]
    good &= batch.mask[lane]
    if good.any():
        return good
    unseen = leading.difference(rows)
    return (
        yield from _best_operators(batch, lane, 0, lambda places: len(unseen.intersection(world.rows[places].tolist())))
    )


def _leads_to_missing(world: QuestionWorld, row: int, labels: set[int]) -> bool:
    """Return whether an edge leads from a row to what meets a label that is not among ``labels``."""
    reached = np.concatenate([world.index.graph.neighbours(row, group).rows for group in GROUPS])
    return any(world.met_by(other) not in {-1, *labels} for other in reached.tolist())


def _unasked(batch: SearchBatch, lane: int, state: Lane) -> NDArray[np.bool_]:
    """Return the legal operators of a thorough search that have not been used in this query state, bool [actions]."""
    layout = batch.layout
    wanted = np.zeros(layout.size, np.bool_)
    for sub_index in range(len(SUB_INDEXES)):
        dear = sub_index == _FEEDBACK or (sub_index == _DENSE and bool(state.evidence))
        wanted[layout.expand + sub_index] = not dear and not state.pages.get((sub_index, state.state), 0)
    if state.evidence:
        wanted[layout.hop + (len(state.evidence) - 1) * len(GROUPS) + _MENTIONS] = True
    return np.asarray(wanted & batch.mask[lane])


def _best_operators(
    batch: SearchBatch, lane: int, to_take: int, gain: Callable[[Rows], int]
) -> Looking[NDArray[np.bool_]]:
    """Find the legal operators with the highest gain of missing evidence for their cost, if any gains.

    ``gain`` counts what the places that an operator brings are worth.
    """
    legal = [int(a) + 1 for a in np.flatnonzero(batch.mask[lane, 1 : batch.layout.take])]
    conditioned_dense = 1 + _DENSE if batch.lane(lane).evidence else -1
    values = yield from _values(batch, lane, [action for action in legal if action != conditioned_dense], gain)
    # encoding a query is what costs most: only when nothing else is left to do
    if conditioned_dense in legal and not values.any() and not to_take:
        values = yield from _values(batch, lane, [conditioned_dense], gain)
    best = values.max()
    return values >= best - 1e-6 if best > 0 else np.zeros(len(values), np.bool_)


def _values(
    batch: SearchBatch, lane: int, operators: list[int], gain: Callable[[Rows], int]
) -> Looking[NDArray[np.float32]]:
    """Find missing evidence per millisecond of operators, float32 [actions], page after page while none gains."""
    values = np.zeros(batch.layout.size, np.float32)
    world, ahead = batch.lane(lane).world, 0
    while operators:
        calls = {operator: batch.call(lane, operator, ahead) for operator in operators}
        yield [(world, call) for call in calls.values()]
        gained = {operator: gain(world.brings(call)) for operator, call in calls.items()}
        for operator, call in calls.items():
            cost = batch.settings.expand_ms[call.sub_index] if isinstance(call, Expand) else batch.settings.hop_ms
            values[operator] = gained[operator] / (max(cost, 1e-3) * (ahead + 1))
        operators = [operator for operator, call in calls.items() if not gained[operator] and _has_more(batch, call)]
        ahead += 1
    return values


def _has_more(batch: SearchBatch, call: Call) -> bool:
    """Return whether a page follows the one that is called."""
    return isinstance(call, Expand) and call.sub_index != _ENTITY and call.page + 1 < batch.settings.pages


def _gain(state: Lane, places: NDArray[np.int64]) -> int:
    """Count the labels that ``places`` meet and nothing in view does."""
    known = np.zeros(len(places), np.bool_)
    inside = places < len(state.slot_of)
    known[inside] = state.slot_of[places[inside]] >= 0
    met, in_view = state.world.met, state.places[: state.count]
    return int((~np.isin(np.unique(met[places[~known]]), [-1, *met[in_view]])).sum())


def imitate_epoch(
    network: PolicyNetwork,
    optimizer: torch.optim.Optimizer,
    settings: EnvironmentSettings,
    worlds: Sequence[QuestionWorld],
    own_share: float,
    generator: np.random.Generator,
    lanes: int = 32,
    wide_share: float = 0.0,
    wander: float = 0.0,
    thorough: bool = False,
    stepped: Callable[[], None] | None = None,
    done: Callable[[int], None] | None = None,
    team: Team = ALONE,
) -> float:
    """Run one episode per world and learn from every step; returns the mean loss.

    Args:
        network, optimizer: learn in place.
        settings: of the environment.
        worlds: the questions, in the order in which they are to be searched.
        own_share: share of the actions that the policy draws itself, 0 to 1; the expert draws the others.
        generator: draws actions, and which episodes are wide.
        lanes: episodes side by side: states in a gradient step.
        wide_share: share of the episodes in which everything that can be asked is asked, 0 to 1: there a choice is
            made among many more candidates than the expert would bring.
        wander: probability of an operator drawn at random instead of any other action, so that choices are also
            made among a few more candidates than are needed.
        thorough: the expert asks before it takes, see :func:`expert_actions`.
        stepped: called after every gradient step.
        done: called with the number of questions begun.
        team: whoever learns together, in the same steps, each from its own worlds; who is done with them steps along.
    """
    batch = SearchBatch(settings, lanes, network.settings.question_dimension, judged=False)
    waiting = iter(enumerate(worlds))

    def refill(lanes: Sequence[int]) -> list[int]:
        following = [(lane, *one) for lane, one in zip(lanes, waiting, strict=False)]
        wide = [bool(generator.random() < wide_share) for _ in following]
        batch.start([lane for lane, _, _ in following], [world for _, _, world in following], wide)
        if done is not None:
            for _, number, _ in following:
                done(number + 1)
        return [lane for lane, _, _ in following]

    active = refill(range(lanes))
    losses: list[float] = []
    network.train()
    while (learned := _learn(network, optimizer, batch, active, thorough, team)) is not None:
        loss, log_probabilities, good = learned
        losses += loss
        if stepped is not None:
            stepped()
        actions = _draw(log_probabilities, good, own_share, generator)
        _wander(actions, batch.mask[active, : batch.layout.take], wander, generator)
        _, ended = batch.step(actions.tolist(), active)
        on = [lane for lane, end in zip(active, ended, strict=True) if not end]
        active = sorted([*on, *refill([lane for lane, end in zip(active, ended, strict=True) if end])])
    return float(np.mean(team.joined(losses)))


def _learn(
    network: PolicyNetwork,
    optimizer: torch.optim.Optimizer,
    batch: SearchBatch,
    active: list[int],
    thorough: bool,
    team: Team,
) -> tuple[list[float], NDArray[np.float32], NDArray[np.bool_]] | None:
    """Take one gradient step on the states of the team's active lanes; None when there are none left.

    Returns this worker's loss, if it has an active lane, its log-probabilities and the expert's actions, [n, actions].
    """
    good = expert_actions(batch, active, thorough)
    losses: list[float] = []
    log_chances = np.zeros(good.shape, np.float32)
    optimizer.zero_grad()
    if active:
        observation = {name: array[active] for name, array in batch.observation.items()}
        mask, right = (torch.from_numpy(array).to(network.device) for array in (batch.mask[active], good))
        log_probabilities, _ = network(as_tensors(observation, network.device), mask)
        loss = -torch.logsumexp(log_probabilities.masked_fill(~right, -torch.inf), dim=1).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(loss.item())
        log_chances = log_probabilities.detach().cpu().numpy()
    if not team.average_gradients(network, len(active)):
        return None
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    return losses, log_chances, good


def _draw(
    log_probabilities: NDArray[np.float32], good: NDArray[np.bool_], own_share: float, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Draw an action per state: from the policy, or from the policy among the expert's actions."""
    gumbel = generator.gumbel(size=log_probabilities.shape)
    own = generator.random(len(good)) < own_share
    allowed = np.where(good | own[:, None], log_probabilities, -np.inf)
    return np.asarray((allowed + gumbel).argmax(axis=1))


def _wander(
    actions: NDArray[np.int64], operators: NDArray[np.bool_], probability: float, generator: np.random.Generator
) -> None:
    """Put a legal operator drawn at random instead of some ``actions``; ``operators`` [n, 1 + o] begins with STOP."""
    noise = generator.random(operators.shape) * operators
    noise[:, 0] = 0
    chosen = (generator.random(len(actions)) < probability) & noise.any(axis=1)
    actions[chosen] = noise[chosen].argmax(axis=1)
