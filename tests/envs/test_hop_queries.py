"""With a hop encoder, dense queries hold the latest pieces of evidence and are compared by its vectors."""

from collections.abc import Sequence

import numpy as np
import pytest
from fixtures.searches import above_the_corpus
from trailhound import Index
from trailhound.envs._question_view import QuestionView
from trailhound.envs._world import MOST_EVIDENCE, QuestionWorld
from trailhound.envs.settings import STATIC, SUB_INDEXES, EnvironmentSettings
from trailhound.retrievers.protocols import Encoder, Progress
from trailhound.retrievers.records import Vectors

DENSE, LEXICAL = SUB_INDEXES.index("dense"), SUB_INDEXES.index("lexical")


class Reversed:
    """Another encoder of the same width: the numbers of each vector in reverse. Notes what it is asked."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.name, self.dimension = f"{encoder.name}-reversed", encoder.dimension
        self.texts: list[str] = []

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        self.texts += texts
        return self._encoder.encode(texts)[:, ::-1].copy()


@pytest.fixture
def tuned(small_index: Index) -> Reversed:
    return Reversed(small_index.encoder)


@pytest.fixture
def world(small_index: Index, tuned: Reversed) -> QuestionWorld:
    question = "Who founded the town where the harbour is?"
    view = QuestionView.of(small_index, question)
    return QuestionWorld(small_index, view, EnvironmentSettings(expand_size=5), hop_encoder=tuned)


def titles(world: QuestionWorld, places: Sequence[int]) -> list[str]:
    return [world.index.store.passage(int(world.rows[place])).title for place in places]


def test_the_question_alone_is_asked_as_hybrid_asks_it(
    small_index: Index, world: QuestionWorld, tuned: Reversed
) -> None:
    """By the index's vector: the hop encoder waits for evidence."""
    places = world.expand(DENSE, (), 0)
    nearest = np.argsort(-(small_index.dense.vectors @ world.view.vector), kind="stable")[:5]
    assert world.rows[places].tolist() == nearest.tolist()
    dense = world.static[places, STATIC.index("dense")]
    assert dense == pytest.approx(above_the_corpus(small_index, world.rows[places], world.view.vector), abs=1e-5)
    assert tuned.texts == []


def test_dense_queries_hold_the_latest_evidence_in_the_order_taken(world: QuestionWorld, tuned: Reversed) -> None:
    places = world.expand(LEXICAL, (), 0).tolist()
    assert len(places) > MOST_EVIDENCE
    held = tuple(places[::-1])
    found = world.expand(DENSE, held, 0)
    assert len(tuned.texts) == 1
    latest = titles(world, held[-MOST_EVIDENCE:])
    stands = [tuned.texts[0].index(f"{title}. ") for title in latest]
    assert stands == sorted(stands)
    assert titles(world, held[:1])[0] not in tuned.texts[0]
    assert not set(found.tolist()) & set(held[-MOST_EVIDENCE:])


def test_lexical_queries_hold_the_last_one_and_encode_nothing(world: QuestionWorld, tuned: Reversed) -> None:
    first, second, third = world.expand(LEXICAL, (), 0).tolist()[:3]
    one = world.expand(LEXICAL, (first, second), 0)
    assert world.expand(LEXICAL, (third, second), 0) is one
    assert tuned.texts == []
