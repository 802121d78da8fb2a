"""States to tune a re-ranker on: a question, a path, supporting passages still missing, and hard negatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...agent.policy_file import LoadedPolicy
from ...agent.reranking.path_reranker import CANDIDATES, PICKS
from ...agent.rollout import search_worlds
from ...agent.systems import FixedSystem
from ...envs.query_state import MOST_EVIDENCE, conditioned_query
from ...envs.question_set import QuestionSet
from ...envs.question_view import QuestionView
from ...envs.settings import EnvironmentSettings
from ...envs.world import QuestionWorld
from ...errors import EncoderError
from ...retrievers.protocols import Progress
from ...retrievers.records import Candidates, Passage, Rows
from ..training_questions import TrainingSource

MOST_POSITIVES = 2
"""Missing passages of a state that are learned from."""


@dataclass(frozen=True, slots=True)
class RankedQuestion:
    """A labelled question with what a policy or a fixed system found for it.

    Attributes:
        view: the analysed question.
        gold: row -> passage, of its supporting passages.
        candidates: row -> passage, the head of the ranking, best first.
    """

    view: QuestionView
    gold: dict[int, Passage]
    candidates: dict[int, Passage]

    @property
    def negatives(self) -> list[int]:
        """Return the rows of the candidates that support nothing."""
        return [row for row in self.candidates if row not in self.gold]

    def as_found(self) -> Candidates:
        """Return the candidates with 1 / rank as their scores, all that a re-ranker looks at."""
        rows = np.array(list(self.candidates), np.int64)
        return Candidates(rows, tuple(self.candidates.values()), 1 / np.arange(1.0, len(rows) + 1))


@dataclass(frozen=True, slots=True)
class PathState:
    """A question with a path, passages that it misses, and passages that look as if it did.

    Attributes:
        text: what is read of question and path.
        positives, negatives: one or more of each.
    """

    text: str
    positives: tuple[Passage, ...]
    negatives: tuple[Passage, ...]


def ranked_questions(
    sources: Sequence[TrainingSource],
    policy: LoadedPolicy,
    warn: Callable[[str], None] | None,
    progress: Progress | None,
) -> list[RankedQuestion]:
    """Search every question that has labels with the policy.

    Raises:
        EncoderError: when an index was made with another encoder than the policy's, or is a knowledge graph.
    """
    found = []
    for source in sources:
        index = source.index
        if index.facts is not None or index.encoder_name != policy.encoder:
            raise EncoderError(
                f"the policy cannot rank the passages of {index.path}, made with the encoder {index.encoder_name!r}:"
                f" it needs passages, and {policy.encoder!r}"
            )
        hop = policy.hop_encoder(threads=1)
        questions = QuestionSet.load(index, source.questions, source.split, policy.settings, warn, hop)
        worlds = [questions.world(k) for k, item in enumerate(questions.items) if item.gold]

        def searched(done: int, stage: str = f"searching {source.questions.name}", total: int = len(worlds)) -> None:
            if progress is not None:
                progress(stage, done, total)

        for world, outcome in zip(
            worlds, search_worlds(policy.network, policy.settings, worlds, done=searched), strict=True
        ):
            found.append(_ranked(world, outcome.ranking))
    return found


def questions_ranked_by(
    sources: Sequence[TrainingSource], system: str, warn: Callable[[str], None] | None, progress: Progress | None
) -> list[RankedQuestion]:
    """Rank the passages of every question that has labels with a fixed system.

    Raises:
        EncoderError: when an index is a knowledge graph.
    """
    found = []
    for source in sources:
        if source.index.facts is not None:
            raise EncoderError(f"{source.index.path} is a knowledge graph: a re-ranker needs passages")
        ranker = FixedSystem(source.index, system)
        questions = QuestionSet.load(source.index, source.questions, source.split, EnvironmentSettings(), warn)
        numbers = [number for number, item in enumerate(questions.items) if item.gold]
        for done, number in enumerate(numbers, start=1):
            world = questions.world(number)
            found.append(_ranked(world, ranker.rank(world.view.text, CANDIDATES).rows))
            if progress is not None:
                progress(f"searching {source.questions.name}", done, len(numbers))
    return found


def _ranked(world: QuestionWorld, ranking: Rows) -> RankedQuestion:
    gold, rows = sorted(world.gold), ranking[:CANDIDATES].tolist()
    passages = world.index.store.passages([*gold, *rows])
    return RankedQuestion(
        world.view,
        dict(zip(gold, passages[: len(gold)], strict=True)),
        dict(zip(rows, passages[len(gold) :], strict=True)),
    )


def draw_question_state(question: RankedQuestion, negatives: int, generator: np.random.Generator) -> PathState | None:
    """Draw the state in which nothing is held: what a pointwise re-ranker learns from."""
    return _drawn(question, [], negatives, generator)


def draw_path_state(question: RankedQuestion, negatives: int, generator: np.random.Generator) -> PathState | None:
    """Draw a path, supporting passages that it misses, and at most ``negatives`` candidates that support nothing.

    Half of the paths are supporting passages alone, none to all but one, in any order; half are from the head of the
    policy's ranking, right or wrong, as at use. None where nothing is missing or nothing is wrong.
    """
    if generator.random() < 0.5:
        whole = list(question.candidates)[:PICKS]
        most = MOST_EVIDENCE + 1
    else:
        whole = list(question.gold)
        most = min(len(whole), MOST_EVIDENCE + 1)
    path = generator.permutation(whole)[: int(generator.integers(most))].tolist()
    return _drawn(question, path, negatives, generator)


def _drawn(
    question: RankedQuestion, path: Sequence[int], negatives: int, generator: np.random.Generator
) -> PathState | None:
    """Draw what a path misses and what supports nothing; None where nothing is missing or nothing is wrong."""
    missing = [row for row in question.gold if row not in path]
    wrong = [row for row in question.negatives if row not in path]
    if not missing or not wrong:
        return None
    known = question.gold | question.candidates
    return PathState(
        conditioned_query(question.view, [known[row] for row in path]),
        tuple(known[row] for row in generator.permutation(missing)[:MOST_POSITIVES].tolist()),
        tuple(known[row] for row in generator.permutation(wrong)[:negatives].tolist()),
    )
