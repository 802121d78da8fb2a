"""What a policy's searches are worth to a router: the passages that they must find in its shards, and what each earns.

A search comes by its evidence in two ways. Lexical, dense and late search look into shards: what they find is lost
where its shard is not searched. Titles that the question names, docids and edges of the graph are looked up wherever
they lead. So the shards need not hold every supporting passage, but those that a search sets out from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ...agent.policy_file import LoadedPolicy
from ...agent.rollout import search_worlds
from ...envs.batch import SearchBatch
from ...envs.question_set import QuestionSet
from ...envs.settings import SUB_INDEXES, EnvironmentSettings
from ...errors import RouterError
from ...retrievers.protocols import Progress
from ..training_questions import TrainingSource
from .docid_pairs import TrainingPair

LOOKED_UP = ("entity", "docid")
"""Sub-indexes whose passages are found in whatever shard they lie."""


@dataclass(frozen=True, slots=True)
class Move:
    """One action of a search.

    Attributes:
        kind: ``expand``, ``hop``, ``take`` or ``stop``.
        what: the sub-index asked, or the row of the passage whose edges were followed or that was taken; -1 for a stop.
        brought: rows that came into view by it.
    """

    kind: str
    what: int
    brought: tuple[int, ...] = ()


def earned(moves: Sequence[Move], gold: frozenset[int], settings: EnvironmentSettings) -> dict[int, float]:
    """Return row -> what finding it in the shards earned a search: recall minus the price of following and taking.

    Evidence that was reached along edges counts for the passage that they set out from. A passage that earned nothing
    is left out, and so is one that was looked up.
    """
    found_in: dict[int, int | None] = {}
    worth: dict[int, float] = {}

    def credit(row: int, amount: float) -> None:
        origin = found_in.get(row, row)
        if origin is not None:
            worth[origin] = worth.get(origin, 0.0) + amount

    for move in moves:
        if move.kind == "take":
            gain = 1 / len(gold) if move.what in gold else 0.0
            credit(move.what, gain - settings.take_ms * settings.price_per_ms)
        elif move.kind == "hop":
            credit(move.what, -settings.hop_ms * settings.price_per_ms)
            found_in |= dict.fromkeys(move.brought, found_in.get(move.what, move.what))
        elif move.kind == "expand" and SUB_INDEXES[move.what] in LOOKED_UP:
            found_in |= dict.fromkeys(move.brought)
    return {row: amount for row, amount in worth.items() if amount > 0}


@dataclass(frozen=True, slots=True)
class Earning:
    """What a question teaches a router.

    Attributes:
        pair: the question, with the rows of its supporting passages and of others that its search set out from.
        rewards: what leading to each row is worth: 1 for a supporting passage.
        in_shards: what it earned to find each row in the shards, 0 for what was looked up.
    """

    pair: TrainingPair
    rewards: tuple[float, ...]
    in_shards: tuple[float, ...]


def of_labels(pairs: Sequence[TrainingPair]) -> list[Earning]:
    """Return what pairs teach by themselves: every row is worth 1, and so is finding it in its shard."""
    return [Earning(pair, (1.0,) * len(pair.rows), (1.0,) * len(pair.rows)) for pair in pairs]


def policy_earnings(
    source: TrainingSource,
    policy: LoadedPolicy,
    warn: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> list[Earning]:
    """Search the labelled questions of a split with a policy, and return what its searches earned.

    Raises:
        RouterError: when the index is a knowledge graph or was made with another encoder than the policy's, or nothing
            was earned at all.
    """
    index = source.index
    if index.facts is not None or index.encoder_name != policy.encoder:
        raise RouterError(
            f"the policy cannot search {index.path}, made with the encoder {index.encoder_name!r}: it needs passages,"
            f" and {policy.encoder!r}"
        )
    hop = policy.hop_encoder(threads=1)
    questions = QuestionSet.load(index, source.questions, source.split, policy.settings, warn, hop)
    worlds = [questions.world(number) for number, item in enumerate(questions.items) if item.gold]

    def searched(done: int) -> None:
        if progress is not None:
            progress("searching with the policy", done, len(worlds))

    record = _Record()
    outcomes = search_worlds(policy.network, policy.settings, worlds, done=searched, explain=record)
    earnings = []
    for world, outcome in zip(worlds, outcomes, strict=True):
        moves = [
            Move(kind, what, decision.rows)
            for (kind, what), decision in zip(record.moves[id(world)], outcome.decisions, strict=True)
        ]
        worth = earned(moves, world.gold, policy.settings)
        rows = (*sorted(world.gold), *(row for row in worth if row not in world.gold))
        pair = TrainingPair(world.view.text, rows, "labelled")
        rewards = tuple(1.0 if row in world.gold else worth[row] for row in rows)
        earnings.append(Earning(pair, rewards, tuple(worth.get(row, 0.0) for row in rows)))
    if not any(any(earning.in_shards) for earning in earnings):
        raise RouterError(
            f"in {len(worlds)} searches of {source.questions} the policy took nothing that it found in shards: titles"
            " and links are all it needs, or it takes nothing; tune the router by the labels alone"
        )
    return earnings


@dataclass(slots=True)
class _Record:
    """Hears of every action of searches that run side by side, and keeps it by the world it was done in."""

    moves: dict[int, list[tuple[str, int]]] = field(default_factory=dict)

    def __call__(self, batch: SearchBatch, lane: int, action: int) -> tuple[str, str]:
        state = batch.lane(lane)
        kind, first, _ = batch.layout.decode(action)
        slots: Mapping[str, Sequence[int]] = {"hop": state.evidence, "take": range(state.count)}
        what = int(state.world.rows[state.places[slots[kind][first]]]) if kind in slots else first
        self.moves.setdefault(id(state.world), []).append((kind, what))
        return "", ""
