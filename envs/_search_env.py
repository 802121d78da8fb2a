"""``trailhound/Search-v0``: one episode is one question over one index."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ..errors import QuestionsError
from ..graph._knowledge_graph import GROUPS
from ..index.index import Index
from ..retrievers.records import Qrels, Question
from ._batch import Observation, SearchBatch, observation_shapes
from ._question_set import QuestionSet, question_dimension
from .settings import ActionLayout, EnvironmentSettings


class SearchEnv(gymnasium.Env[Observation, np.int64]):
    """Search for the supporting passages of a question, action by action.

    The reward is the gain in recall of the supporting passages minus the price of the action. STOP is always
    legal; an illegal action costs ``invalid_ms`` and does nothing. ``action_masks()`` serves MaskablePPO.

    Args:
        index: an opened index, or the folder of one.
        questions: a folder with ``queries.jsonl`` and ``qrels/SPLIT.tsv``, or the questions themselves.
        qrels: the labels, when ``questions`` are given themselves.
        split: which split of the folder.
        settings: sizes, budget and prices.

    Raises:
        IndexFolderError, QuestionsError: when either cannot be used.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - as Gymnasium declares it

    def __init__(
        self,
        index: Index | Path | str,
        questions: Path | str | Sequence[Question],
        qrels: Qrels | None = None,
        split: str = "train",
        settings: EnvironmentSettings | None = None,
    ) -> None:
        self.settings = settings or EnvironmentSettings()
        opened = index if isinstance(index, Index) else Index.open(Path(index))
        if isinstance(questions, str | Path):
            self.questions = QuestionSet.load(opened, Path(questions), split, self.settings)
        elif qrels is None:
            raise QuestionsError("questions given as objects need qrels: their labels")
        else:
            self.questions = QuestionSet(opened, questions, qrels, self.settings)
        dimension = question_dimension(opened)
        self._batch = SearchBatch(self.settings, 1, dimension)
        self.observation_space = observation_space(self.settings, dimension, len(opened))  # type: ignore[assignment]
        self.action_space = spaces.Discrete(ActionLayout(self.settings.max_evidence, self.settings.max_candidates).size)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode on a question drawn at random, or on ``options["question"]`` (its number).

        Raises:
            QuestionsError: when there is no question of that number.
        """
        super().reset(seed=seed)
        number = (options or {}).get("question")
        if number is None:
            number = int(self.np_random.integers(len(self.questions)))
        if not isinstance(number, int | np.integer) or not 0 <= number < len(self.questions):
            raise QuestionsError(f"there is no question number {number!r}: give 0 to {len(self.questions) - 1}")
        number = int(number)
        self._batch.start([0], [self.questions.world(number)])
        return self._observe(), {"question": self.questions.items[number].question.id}

    def step(self, action: np.int64 | int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take one action; the episode ends with STOP or when the steps are used up.

        Raises:
            ResetNeeded: when there is no episode.
        """
        if self._batch.lanes[0] is None:
            raise gymnasium.error.ResetNeeded("there is no episode: call reset() before step()")
        reward, ended = self._batch.act(0, int(action))
        lane = self._batch.lane(0)
        info = {
            "evidence": [int(lane.world.rows[lane.places[slot]]) for slot in lane.evidence],
            "recall": lane.found_gold / max(len(lane.world.gold), 1),
            "calls": lane.calls,
        }
        return self._observe(), float(reward), ended, False, info

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions are legal, bool [actions]."""
        return np.asarray(self._batch.mask[0].copy())

    def _observe(self) -> Observation:
        return {name: array[0].copy() for name, array in self._batch.observation.items()}


def observation_space(settings: EnvironmentSettings, dimension: int, passages: int) -> spaces.Dict[Any]:
    """Return the space of observations, with finite bounds: see :func:`trailhound.envs._batch.observation_shapes`."""
    # Features are shares, cosines of unit vectors, and logarithms of what fits in 64 bits, scaled down.
    bounds: dict[str, tuple[float, float]] = {
        "question": (-1.01, 1.01),
        "candidate_rows": (-1, max(passages - 1, 0)),
        "evidence": (-1, settings.max_candidates - 1),
        "adjacency": (0, 255),
        "operators": (0, max(20, settings.pages * (settings.max_evidence + 1))),
        "budget": (0, 1 + _most_spent(settings)),
    }
    return spaces.Dict(
        {
            name: spaces.Box(*bounds.get(name, (-20, 20)), shape=shape, dtype=dtype)
            for name, (shape, dtype) in observation_shapes(settings, dimension).items()
        }
    )


def _most_spent(settings: EnvironmentSettings) -> float:
    """Return a bound on what an episode can cost, in recall."""
    asked = sum(settings.expand_ms) * settings.pages * (settings.max_evidence + 1)
    followed = len(GROUPS) * settings.hop_ms * settings.max_evidence
    dearest = max(settings.take_ms, settings.invalid_ms, settings.hop_ms, *settings.expand_ms)
    return 1.01 * settings.price_per_ms * (asked + followed + settings.max_steps * dearest)
