"""Runs the policy over questions, greedily: what it found, in order, and how its search ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..envs._batch import SearchBatch
from ..envs._lane import Lane
from ..envs._seen import Seen, seen_in
from ..envs._world import QuestionWorld
from ..envs.settings import ActionLayout, EnvironmentSettings
from ..retrievers.records import Rows
from ._decision import Decision
from ._explanation import expand_words
from ._ranker import Ranker
from ._scorer import Scorer
from ._watch import ENDED, UNWATCHED, Watch

Explain = Callable[[SearchBatch, int, int], tuple[str, str]]
"""Called with batch, lane and action; returns what the action does and why."""


_STOP = 0
"""The action that ends a search; it is always legal."""

SIGNALS = (
    "stop",  # log-odds of STOP at the last decision, within +-8
    "weakest_take",  # log-probability of the least sure TAKE, from -6
    "best_left",  # log-probability of the likeliest TAKE that was left at the last decision, from -12
    "value",  # the value head's expectation of what was still to be gained
    "evidence",  # passages taken / most that can be taken
    "uncovered",  # idf-weighted share of the question's terms that no evidence has
)
"""What a search's end is judged by."""


@dataclass(slots=True)
class Outcome:
    """A finished episode.

    Attributes:
        ranking: rows, best first: all that was seen as the ranker orders it; without one the evidence in the order
            taken, then the rest of the frontier by the policy.
        scores: one strictly decreasing score per row of the ranking, float64.
        taken: the rows that are evidence.
        total_reward: the episode's return, recall gained minus price.
        recall: share of the supporting passages taken.
        calls: sub-index calls and hops.
        asked: the calls by sub-index, and ``hop``.
        decisions: the path, with what every search begins with.
        last_takes: the policy's scores for taking each slot when it last could take one, float32 [slots]: what the
            rest of the frontier is ranked by. Of a state where nothing can be taken it never learned to score any.
        signals: of how sure the policy was in the end, by ``SIGNALS``, float64 [len(SIGNALS)].
        seen: all that was seen, where it is kept.
    """

    ranking: Rows
    scores: NDArray[np.float64]
    taken: frozenset[int]
    total_reward: float
    recall: float
    calls: int
    asked: dict[str, int] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    last_takes: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    signals: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(SIGNALS)))
    seen: Seen | None = None


def search_worlds(
    network: Scorer,
    settings: EnvironmentSettings,
    worlds: Iterable[QuestionWorld],
    lanes: int = 64,
    done: Callable[[int], None] | None = None,
    explain: Explain | None = None,
    draw: np.random.Generator | None = None,
    ranker: Ranker | None = None,
    look: bool = False,
    watches: Sequence[Watch] = (),
) -> list[Outcome]:
    """Search every world greedily, ``lanes`` at a time; the outcomes are in the order of the worlds.

    Args:
        network: in evaluation mode already, so that threads may share it.
        settings: of the environment.
        worlds: the questions.
        lanes: episodes side by side.
        done: called with the number of finished episodes.
        explain: puts each action into words before it is done.
        draw: if given, actions are drawn by it from the policy instead of the likeliest.
        ranker: puts what was seen in order; without, the evidence is followed by the rest of the frontier.
        look: keep all that was seen in the outcomes.
        watches: of each world, where their searches have limits; what one of them raises ends all.
    """
    batch = SearchBatch(settings, lanes, network.settings.question_dimension)
    waiting: Iterator[tuple[int, QuestionWorld]] = iter(enumerate(worlds))
    running: dict[int, _Running] = {}
    outcomes: dict[int, Outcome] = {}

    def refill(lanes: Iterable[int]) -> None:
        following = [(lane, *one) for lane, one in zip(lanes, waiting, strict=False)]
        batch.start([lane for lane, _, _ in following], [world for _, _, world in following])
        for lane, number, _ in following:
            begun = _begun(batch.lane(lane), explain is not None)
            running[lane] = _Running(number, watches[number] if watches else UNWATCHED, begun)

    refill(range(lanes))
    while running:
        active = sorted(running)
        opinions = _opinions(network, batch, active)
        actions = [
            _action(batch, lane, opinion, running[lane].watch, draw)
            for lane, opinion in zip(active, opinions, strict=True)
        ]
        ended = _advance(batch, active, [running[lane] for lane in active], opinions, actions, explain)
        for lane in ended:
            mine = running.pop(lane)
            if ranker is not None or look:
                _look(batch, lane, mine.outcome, ranker)
            outcomes[mine.number] = mine.outcome
            if done is not None:
                done(len(outcomes))
        refill(ended)
    return [outcomes[number] for number in range(len(outcomes))]


class _Running:
    """A search that goes on: its number, who watches it, and what it has done so far."""

    def __init__(self, number: int, watch: Watch, begun: list[Decision]) -> None:
        self.number, self.watch = number, watch
        self.outcome = Outcome(np.zeros(0, np.int64), np.zeros(0), frozenset(), 0.0, 0.0, 0, decisions=begun)
        for decision in begun:
            watch.hear(decision)


def _begun(state: Lane, in_words: bool) -> list[Decision]:
    """Return what a search has asked at its start, as every search does; nothing where everything was asked."""
    world = state.world
    left = dict.fromkeys(world.rows[state.places[: state.count]].tolist())
    decisions = []
    for number in () if state.everything else world.begins_with:
        if state.pages.get((number, state.state)):
            page = world.rows[world.expand(number, (), 0)].tolist()
            words = (expand_words(number, "", 0), "every search begins with it") if in_words else ()
            decisions.append(Decision("expand", 1.0, tuple(row for row in page if row in left), *words))
            left = {row: None for row in left if row not in page}
    return decisions


@dataclass(frozen=True, slots=True)
class _Opinion:
    """What the policy thinks of a state: unmasked logits [actions], chances of the legal actions [actions], value."""

    logits: NDArray[np.float32]
    chances: NDArray[np.float64]
    value: float


def _opinions(network: Scorer, batch: SearchBatch, active: list[int]) -> list[_Opinion]:
    """Return what the policy thinks of the states of the active lanes."""
    observation = {name: array[active] for name, array in batch.observation.items()}
    logits, values = network.opinions(observation)
    legal = np.where(batch.mask[active], logits.astype(np.float64), -np.inf)
    odds = np.exp(legal - legal.max(axis=1, keepdims=True))
    chances = odds / odds.sum(axis=1, keepdims=True)
    return [_Opinion(logits[k], chances[k], float(values[k])) for k in range(len(active))]


def best_action(chances: NDArray[np.float64], layout: ActionLayout) -> int:
    """Return the best action of the likeliest kind: to stop, to ask, or to take.

    What to ask and which to take first is latent in training, so the policy spreads its mass over actions that are
    equally right; the likeliest single action may be to stop where all that it believes is that more must be asked.
    """
    parts = (0, layout.expand, layout.take, len(chances))
    mass = [chances[first:last].sum() for first, last in pairwise(parts)]
    kind = int(np.argmax(mass))
    return parts[kind] + int(chances[parts[kind] : parts[kind + 1]].argmax())


def _action(batch: SearchBatch, lane: int, opinion: _Opinion, watch: Watch, draw: np.random.Generator | None) -> int:
    """Return the best legal action, or one that is drawn; to stop, where the search has to end."""
    chances = opinion.chances
    if watch.over(batch.lane(lane).steps):
        return _STOP
    return best_action(chances, batch.layout) if draw is None else int(draw.choice(len(chances), p=chances))


def _advance(
    batch: SearchBatch,
    active: Sequence[int],
    running: Sequence[_Running],
    opinions: Sequence[_Opinion],
    actions: Sequence[int],
    explain: Explain | None,
) -> list[int]:
    """Take an action in each active lane; fills in the outcomes, and returns the lanes whose episodes ended."""
    take, before, said = batch.layout.take, [], []
    for lane, mine, opinion, action in zip(active, running, opinions, actions, strict=True):
        words = explain(batch, lane, action) if explain is not None else ("", "")
        said.append(
            (words[0], ENDED[mine.watch.ended_by]) if explain is not None and mine.watch.ended_by in ENDED else words
        )
        before.append(batch.lane(lane).count)
        if batch.mask[lane, take:].any() or not len(mine.outcome.last_takes):
            mine.outcome.last_takes = opinion.logits[take : take + before[-1]].copy()
    rewards, ended = batch.step(actions, active)
    for k, (lane, mine, opinion, action) in enumerate(zip(active, running, opinions, actions, strict=True)):
        state, outcome = batch.lane(lane), mine.outcome
        places = state.places[[action - take]] if action >= take else state.places[before[k] : state.count]
        rows = tuple(state.world.rows[places].tolist())
        outcome.total_reward += float(rewards[k])
        kind = batch.layout.decode(action)[0]
        outcome.decisions.append(Decision(kind, float(opinion.chances[action]), rows, *said[k]))
        mine.watch.hear(outcome.decisions[-1])
        if ended[k]:
            _end(batch, lane, outcome, opinion, action)
    return [lane for lane, end in zip(active, ended, strict=True) if end]


def _end(batch: SearchBatch, lane: int, outcome: Outcome, opinion: _Opinion, action: int) -> None:
    """Fill in the outcome of an episode that ended with an action."""
    _rank(batch, lane, outcome)
    takes = [decision.probability for decision in outcome.decisions if decision.kind == "take"]
    left = float(opinion.chances[batch.layout.take :].max(initial=0.0)) if action == _STOP else 0.0
    stop = float(opinion.chances[0])
    outcome.signals = _search_signals(batch.lane(lane), batch.settings.max_evidence, stop, takes, left, opinion.value)


def _rank(batch: SearchBatch, lane: int, outcome: Outcome) -> None:
    """Rank the evidence in the order taken, then the frontier by the policy's last scores for taking it."""
    state = batch.lane(lane)
    takes = np.full(state.count, -np.inf)  # what came too late to be scored stands last
    takes[: len(outcome.last_takes)] = outcome.last_takes
    rest = [slot for slot in np.argsort(-takes, kind="stable").tolist() if slot not in state.evidence]
    order = [*state.evidence, *rest]
    outcome.ranking = state.world.rows[state.places[order]]
    outcome.taken = frozenset(outcome.ranking[: len(state.evidence)].tolist())
    squashed = (1 + np.tanh(takes[rest] / 2)) / 2
    held = 2.0 - np.arange(len(state.evidence)) / (1 + len(state.evidence))
    outcome.scores = strictly_decreasing(np.concatenate((held, squashed)))
    outcome.recall = state.found_gold / max(len(state.world.gold), 1)
    outcome.calls = state.calls
    outcome.asked = state.asked


def _look(batch: SearchBatch, lane: int, outcome: Outcome, ranker: Ranker | None) -> None:
    """Keep all that was seen, and let the ranker order it."""
    candidates = np.asarray(batch.observation["candidates"][lane], np.float32)
    seen = seen_in(batch.lane(lane), candidates, outcome.last_takes, outcome.signals)
    if ranker is None:
        outcome.seen = seen
        return
    scores = ranker.scores(seen).astype(np.float64)
    order = np.argsort(-scores, kind="stable")
    outcome.ranking, outcome.scores = seen.rows[order], strictly_decreasing(scores[order])


def strictly_decreasing(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lower each score just enough to be below the one before it, so that a run file has no ties."""
    out = scores.copy()
    for k in range(1, len(out)):
        out[k] = min(out[k], np.nextafter(np.float32(out[k - 1]), np.float32(-1e9)))
    return out


def _search_signals(
    state: Lane, most: int, stop: float, takes: Sequence[float], left: float, value: float
) -> NDArray[np.float64]:
    """Return the signals of a search that has ended, float64 [len(SIGNALS)], from the last state and its value.

    ``stop``, ``takes`` and ``left`` are the probabilities of STOP at the last decision, of every TAKE that was done,
    and of the likeliest TAKE that was left.
    """
    stop = min(max(stop, 1e-9), 1 - 1e-9)
    covered = float(state.covered.sum())
    return np.array(
        [
            np.clip(np.log(stop / (1 - stop)), -8, 8),
            np.log(max(min(takes, default=1.0), np.exp(-6))),
            np.log(max(left, np.exp(-12))),
            value,
            len(state.evidence) / most,
            1 - covered,
        ]
    )
