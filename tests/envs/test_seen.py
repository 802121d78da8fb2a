"""All that a search has seen: its features by hand on a few passages, and the same by whichever encoder."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from pathlib import Path

import numpy as np
import pytest
from fixtures.searches import above_the_corpus, started
from fixtures.seen import AT
from numpy.typing import NDArray
from trailhound import Document, EnvironmentSettings, Index
from trailhound.envs._batch import SearchBatch
from trailhound.envs._question_view import QuestionView
from trailhound.envs._seen import EDGES, SEEN_FEATURES, Seen, seen_in
from trailhound.envs._world import QuestionWorld
from trailhound.envs.settings import SUB_INDEXES
from trailhound.graph._knowledge_graph import GROUPS
from trailhound.index.settings import IndexSettings
from trailhound.retrievers.protocols import Encoder, Progress
from trailhound.retrievers.records import Vectors

QUESTION = "Who is the director of the film Red Kite?"
TEXTS = {
    "Red Kite": "The film was made in 1931. Its director was Ada Marl.",
    "Ada Marl": "Ada Marl was a director. She was born in Oldport.",
    "Oldport": "Oldport lies at the sea, and a kite flies there.",
    "Barley": "Barley ripens late in the hills.",
    "Snow": "Snow lies on the pass until May.",
}
SETTINGS = EnvironmentSettings(expand_size=2, pages=1, max_evidence=4)
SIGNALS = np.array([-4.0, -1.5, 0, 0, 0, 0])


@pytest.fixture(scope="module")
def index(hashing_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Index:
    documents = [Document(title, title, text, atomic=True) for title, text in TEXTS.items()]
    return Index.build(documents, tmp_path_factory.mktemp("seen") / "x.index", encoder=hashing_encoder)


def searched(index: Index, question: str = QUESTION) -> SearchBatch:
    return started(SETTINGS, QuestionWorld(index, QuestionView.of(index, question), SETTINGS))


def look(batch: SearchBatch, takes: Sequence[float] = ()) -> Seen:
    candidates = np.asarray(batch.observation["candidates"][0], np.float32)
    return seen_in(batch.lane(0), candidates, np.array(takes, np.float32), SIGNALS)


def column(seen: Seen, name: str) -> NDArray[np.float32]:
    return seen.features[:, AT[name]]


def ranks_of(seen: Seen, listed: Sequence[int]) -> list[float]:
    return [listed.index(row) if row in listed else np.inf for row in seen.rows.tolist()]


def test_ranks_and_scores_are_those_of_the_two_lists(index: Index) -> None:
    """The whole lists, though one page of two passages came into view."""
    batch = searched(index)
    world = batch.lane(0).world
    lexical, dense = (world.seen(number, ()) for number in world.begins_with)
    assert 2 < len(lexical) < len(dense) == 5, "one passage has no word of the question"
    seen = look(batch)
    assert seen.rows.tolist() == [0, 1, 2, 3, 4]
    by_words, by_vector = ranks_of(seen, lexical.rows.tolist()), ranks_of(seen, dense.rows.tolist())
    assert column(seen, "lexical_listed").tolist() == [rank < np.inf for rank in by_words]
    assert column(seen, "lexical_rank") == pytest.approx([1 / (1 + rank / 5) for rank in by_words])
    assert column(seen, "dense_rank") == pytest.approx([1 / (1 + rank / 5) for rank in by_vector])
    scores = dict(zip(lexical.rows.tolist(), lexical.scores.tolist(), strict=True))
    top, low = max(scores.values()), min(scores.values())
    assert column(seen, "lexical_score") == pytest.approx([scores.get(row, 0) / top for row in range(5)])
    heights = [(scores[row] - low) / (top - low) if row in scores else 0 for row in range(5)]
    assert column(seen, "lexical_height") == pytest.approx(heights, abs=1e-6)
    fused = [1 / (61 + one) + 1 / (61 + other) for one, other in zip(by_words, by_vector, strict=True)]
    assert column(seen, "fused") == pytest.approx([log(60 * value + 0.01) for value in fused], abs=1e-5)
    order = np.argsort(-np.array(fused), kind="stable").tolist()
    assert column(seen, "fused_rank") == pytest.approx([10 / (10 + order.index(row)) for row in range(5)])
    both = set(lexical.rows[:10].tolist()) & set(dense.rows[:10].tolist())
    assert column(seen, "agreement") == pytest.approx(len(both) / 10)


def test_cosines_stand_above_those_of_the_corpus(index: Index) -> None:
    batch = searched(index)
    view = batch.lane(0).world.view
    seen = look(batch)
    above = above_the_corpus(index, seen.rows, view.vector)
    assert column(seen, "dense") == pytest.approx(above, abs=1e-5)
    assert column(seen, "dense_below") == pytest.approx(4 * (above - above.max()), abs=1e-5)
    assert column(seen, "nearest") == pytest.approx(float(above.max()), abs=1e-5)
    first = np.argsort(-column(seen, "fused"), kind="stable")[:3]
    likeness = index.dense.vectors @ index.dense.vectors[first].mean(axis=0)
    assert column(seen, "likeness") == pytest.approx((likeness - likeness.mean()) / likeness.std() / 3, abs=1e-4)


def test_the_share_of_the_questions_terms(index: Index) -> None:
    batch = searched(index)
    view = batch.lane(0).world.view
    seen = look(batch)
    shares = np.array([view.agreement(index.terms.terms(row)) for row in seen.rows.tolist()])
    assert shares.max() > 0
    assert column(seen, "coverage") == pytest.approx(shares / shares.max(), abs=1e-5)
    assert column(seen, "coverage_height") == pytest.approx((shares - shares.mean()) / shares.std() / 3, abs=1e-4)


def test_what_the_policy_made_of_it(index: Index) -> None:
    batch = searched(index)
    layout, state = batch.layout, batch.lane(0)
    count = state.count
    takes = np.linspace(-3, 2, count)
    film = batch.observation["candidate_rows"][0].tolist().index(0)
    batch.act(0, layout.take + film)
    batch.act(0, layout.hop + GROUPS.index("mentions"))
    rows = batch.observation["candidate_rows"][0, : state.count].tolist()
    other = next(slot for slot in range(state.count) if slot != film)
    batch.act(0, layout.take + other)
    seen = look(batch, takes)
    assert column(seen, "in_view").tolist() == [row in rows for row in seen.rows.tolist()]
    taken = {0: 1, rows[other]: 1 / 2}
    assert column(seen, "taken").tolist() == [row in taken for row in range(5)]
    assert column(seen, "taken_order") == pytest.approx([taken.get(row, 0) for row in range(5)])
    squashed = dict(zip(rows, np.tanh(takes / 4).tolist(), strict=False))
    assert column(seen, "take") == pytest.approx([squashed.get(row, 0) for row in range(5)], abs=1e-6)
    hop = [row in index.graph.neighbours(0, "mentions").rows for row in range(5)]
    assert any(hop)
    assert (column(seen, "found_by_hop") > 0).tolist() == hop
    assert column(seen, "stop") == pytest.approx(-4 / 8)
    assert column(seen, "weakest_take") == pytest.approx(-1.5 / 6)
    assert column(seen, "evidence") == pytest.approx(2 / 4)
    assert column(seen, "named").tolist() == [1, 0, 0, 0, 0]


def test_feedback_counts_where_it_was_asked(index: Index) -> None:
    batch = searched(index)
    assert not column(look(batch), "feedback_rank").any()
    feedback = SUB_INDEXES.index("feedback")
    batch.act(0, batch.layout.expand + feedback)
    again = ranks_of(seen := look(batch), batch.lane(0).world.seen(feedback, ()).rows.tolist())
    assert column(seen, "feedback_rank") == pytest.approx([1 / (1 + rank / 5) for rank in again])


def test_neighbours_are_those_of_the_graph_and_the_most_alike(hashing_encoder: Encoder, tmp_path: Path) -> None:
    story = Document("story", "", "The mill stood here. It ground barley.\n\nWinter was long. Snow lay deep there.")
    others = [Document(title, title, text, atomic=True) for title, text in TEXTS.items()]
    parts = IndexSettings(chunk_tokens=9)
    index = Index.build([story, *others], tmp_path / "x.index", encoder=hashing_encoder, settings=parts)
    seen = look(searched(index, "Who is the director of the film Red Kite, and what lay where the mill stood?"))
    n = len(seen.rows)
    assert n == len(index) > 6
    sums = seen.edges.sum(axis=2)
    assert (np.isclose(sums, 1, atol=1e-5) | (sums == 0)).all()
    alike = index.dense.vectors @ index.dense.vectors.T
    np.fill_diagonal(alike, -np.inf)
    for row in range(n):
        for kind, groups in (("adjacent", ["adjacent"]), ("mentions", ["mentions", "mentioned_by"])):
            expected = {int(other) for group in groups for other in index.graph.neighbours(row, group).rows}
            assert set(np.flatnonzero(seen.edges[EDGES.index(kind), row]).tolist()) == expected
        nearest = np.flatnonzero(seen.edges[0, row])
        assert len(nearest) == 5
        assert alike[row, nearest].min() >= np.sort(alike[row])[-5] - 1e-6
    assert seen.edges[1:3].any(axis=(1, 2)).all()
    near = column(seen, "fused_rank")
    assert column(seen, "neighbourhood") == pytest.approx(seen.edges[0] @ near, abs=1e-5)
    beside = [max([0, *near[index.graph.neighbours(row, "adjacent").rows]]) for row in range(n)]
    assert column(seen, "adjacent") == pytest.approx(beside, abs=1e-5)


def test_a_search_that_saw_nothing(index: Index) -> None:
    world = QuestionWorld(index, QuestionView.of(index, QUESTION), SETTINGS)
    world.offers = (False,) * len(SUB_INDEXES)
    seen = look(started(SETTINGS, world))
    assert (seen.rows.shape, seen.features.shape) == ((0,), (0, len(SEEN_FEATURES)))
    assert seen.edges.shape == (len(EDGES), 0, 0)


@pytest.mark.parametrize("question", [QUESTION, "?!"])
def test_a_single_passage(question: str, hashing_encoder: Encoder, tmp_path: Path) -> None:
    only = [Document("a", "Red Kite", "A film.", atomic=True)]
    seen = look(searched(Index.build(only, tmp_path / "x.index", encoder=hashing_encoder), question))
    assert seen.rows.tolist() == [0]
    assert np.abs(seen.features).max() < 10
    assert not seen.edges.any()


class Squeezed:
    """The same encoder with all its cosines between 0.8 and 1, as those of e5 lie close together."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.name, self.dimension, self.max_tokens = "squeezed", encoder.dimension + 1, encoder.max_tokens

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        vectors = self._encoder.encode(texts, progress)
        return np.hstack((vectors, np.full((len(vectors), 1), 3, np.float32))) / np.float32(10**0.5)

    def count_tokens(self, text: str) -> int:
        return self._encoder.count_tokens(text)


def test_an_encoder_whose_cosines_lie_close_together_says_the_same(
    index: Index, hashing_encoder: Encoder, tmp_path: Path
) -> None:
    documents = [Document(title, title, text, atomic=True) for title, text in TEXTS.items()]
    other = Index.build(documents, tmp_path / "x.index", encoder=Squeezed(hashing_encoder))
    one, same = look(searched(index)), look(searched(other))
    assert one.rows.tolist() == same.rows.tolist()
    beside = [name for name in SEEN_FEATURES if name != "neighbourhood"]
    for name in beside:
        np.testing.assert_allclose(column(same, name), column(one, name), atol=2e-3, err_msg=name)
