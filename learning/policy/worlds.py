"""The worlds of a training run's questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...envs.question_set import QuestionSet
from ...envs.settings import EnvironmentSettings
from ...envs.world import QuestionWorld
from ...retrievers.protocols import Encoder
from ...retrievers.records import Vectors
from ..training_questions import TrainingSource
from .supervision import Supervision
from .workers import Team


def load_worlds(
    sources: Sequence[TrainingSource],
    settings: EnvironmentSettings,
    warn: Callable[[str], None] | None,
    hop_encoder: Encoder | None,
    supervision: Supervision,
    team: Team,
) -> list[QuestionWorld]:
    """Return the worlds of every question that can be learned from; each worker encodes its share of them."""

    def encode(encoder: Encoder, texts: Sequence[str]) -> Vectors:
        parts = team.gather(encoder.encode(team.share(texts)))
        vectors = np.empty((len(texts), encoder.dimension), np.float32)
        for rank, part in enumerate(parts):
            vectors[rank :: team.size] = part
        return vectors

    worlds = []
    for source in sources:
        questions = QuestionSet.load(
            source.index, source.questions, source.split, settings, warn, hop_encoder, supervision.labels, encode
        )
        worlds += [questions.world(k) for k in range(len(questions))]
    return [world for world in worlds if supervision.teaches(world)]
