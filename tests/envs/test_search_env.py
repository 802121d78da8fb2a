"""``trailhound/Search-v0`` keeps Gymnasium's promises in every configuration, and its own."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.env_checker import data_equivalence as equivalent
from stable_baselines3.common.env_checker import check_env as check_env_for_stable_baselines
from trailhound import EnvironmentSettings, Index, Question
from trailhound.envs._question_view import question_form
from trailhound.envs._search_env import SearchEnv
from trailhound.envs.settings import SUB_INDEXES
from trailhound.errors import IndexFolderError, QuestionsError

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "smallest": {
        "expand_size": 1,
        "pages": 1,
        "hop_size": 1,
        "max_candidates": 1,
        "max_evidence": 1,
        "max_steps": 1,
    },
    "one candidate": {"max_candidates": 1},
    "one evidence": {"max_evidence": 1, "max_steps": 3},
    "few steps": {"max_steps": 2},
    "more evidence than candidates": {"max_candidates": 3, "max_evidence": 9},
    "larger than the corpus": {"max_candidates": 400, "expand_size": 90, "hop_size": 90, "pages": 4},
    "many pages": {"pages": 30, "expand_size": 2, "max_steps": 100},
    "free": {"price_per_ms": 0.0},
    "free but for what is not legal": {
        "expand_lexical_ms": 0.0,
        "expand_dense_ms": 0.0,
        "expand_entity_ms": 0.0,
        "hop_ms": 0.0,
        "take_ms": 0.0,
    },
    "dear": {"price_per_ms": 1000.0, "invalid_ms": 10_000.0},
    "everything": {"expand_everything": True},
    "everything, dear": {"expand_everything": True, "price_per_ms": 50.0, "pages": 5, "max_candidates": 150},
    "everything, smallest": {"expand_everything": True, "max_candidates": 1, "max_evidence": 1, "max_steps": 1},
}


def made(index: Index, folder: Path, split: str = "train", **settings: Any) -> SearchEnv:
    return SearchEnv(index, folder, split=split, settings=EnvironmentSettings(**settings))


@pytest.fixture
def env(small_index: Index, corpus_folder: Path) -> SearchEnv:
    return made(small_index, corpus_folder)


def walk(env: SearchEnv, generator: np.random.Generator, steps: int) -> list[Any]:
    """Take random legal actions, beginning new episodes as needed; return everything that was seen."""
    seen: list[Any] = []
    for _ in range(steps):
        action = generator.choice(np.flatnonzero(env.action_masks()))
        seen += [*env.step(action), env.action_masks()]
        if seen[-4]:
            seen += env.reset()
    return seen


@pytest.mark.parametrize("settings", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
class TestGymnasium:
    def test_the_environment_checker_finds_nothing(
        self, small_index: Index, corpus_folder: Path, settings: dict[str, Any]
    ) -> None:
        check_env(made(small_index, corpus_folder, **settings), skip_render_check=True)

    @pytest.mark.filterwarnings("ignore:(Your observation|It seems that|The minimal resolution|Treating image)")
    def test_the_checker_of_stable_baselines_has_advice_on_shapes_alone(
        self, small_index: Index, corpus_folder: Path, settings: dict[str, Any]
    ) -> None:
        check_env_for_stable_baselines(made(small_index, corpus_folder, **settings))

    def test_it_is_made_by_name(self, small_index: Index, corpus_folder: Path, settings: dict[str, Any]) -> None:
        env = gymnasium.make(
            "trailhound/Search-v0",
            index=small_index,
            questions=corpus_folder,
            split="validation",
            settings=EnvironmentSettings(**settings),
        )
        check_env(env.unwrapped)
        generator = np.random.default_rng(0)
        for seed in range(3):  # the checker that make() wraps around looks at every step
            env.reset(seed=seed)
            ended = False
            while not ended:
                mask = env.unwrapped.action_masks()  # type: ignore[attr-defined]
                observation, _, ended, truncated, _ = env.step(generator.choice(np.flatnonzero(mask)))
                assert observation in env.observation_space
                assert not truncated
        env.close()


def test_it_opens_an_index_by_its_path(tmp_path: Path, corpus_folder: Path) -> None:
    with pytest.raises(IndexFolderError, match="is not there"):
        SearchEnv(tmp_path / "none.index", corpus_folder)


def test_an_episode_by_hand(small_index: Index) -> None:
    """Name a passage: taking it is worth all recall there is. What the start asked is paid for by the first action."""
    row = 5
    passage = small_index.store.passage(row)
    question = Question("q", f"What is known of {passage.title}?")
    settings = EnvironmentSettings(
        max_candidates=48,
        expand_entity_ms=3.0,
        expand_lexical_ms=4.0,
        expand_dense_ms=1.0,
        take_ms=2.0,
        invalid_ms=7.0,
        price_per_ms=0.01,
        max_steps=9,
    )
    env = SearchEnv(small_index, [question], {"q": {passage.id: 1}}, settings=settings)
    layout = env._batch.layout
    observation, info = env.reset()
    assert info == {"question": "q"}
    in_view = int((observation["candidate_rows"] >= 0).sum())
    feedback = layout.expand + SUB_INDEXES.index("feedback")
    assert env.action_masks()[: layout.take].nonzero()[0].tolist() == [0, 1, 2, 3, feedback]
    assert env.action_masks()[layout.take :].nonzero()[0].tolist() == list(range(in_view))
    assert observation["budget"] == pytest.approx([1, 1, 1 - in_view / 48, 0.05])
    np.testing.assert_array_equal(observation["question"], question_form(question.text, 1))

    observation, reward, terminated, truncated, info = env.step(layout.expand + 2)
    assert (reward, terminated, truncated) == (pytest.approx(-0.08), False, False)
    slot = observation["candidate_rows"].tolist().index(row)
    assert not env.action_masks()[layout.expand + 2], "the names in the question were asked for"

    _, reward, *_, info = env.step(layout.take + 47)
    assert reward == pytest.approx(-0.07), "there is no such candidate"
    assert info == {"evidence": [], "recall": 0.0, "calls": 3}

    observation, reward, *_, info = env.step(layout.take + slot)
    assert reward == pytest.approx(1 - 0.02)
    assert info == {"evidence": [row], "recall": 1.0, "calls": 3}
    assert observation["evidence"].tolist() == [slot, -1, -1, -1, -1]
    assert observation["budget"] == pytest.approx([6 / 9, 4 / 5, 1 - (observation["candidate_rows"] >= 0).mean(), 0.17])

    _, reward, terminated, *_ = env.step(0)
    assert (reward, terminated) == (0.0, True)


def test_recall_is_a_share_of_the_supporting_passages_and_not_of_what_was_taken(small_index: Index) -> None:
    passages = small_index.store.passages([5, 6])
    question = Question("q", f"What is known of {passages[0].title}?")
    env = SearchEnv(small_index, [question], {"q": {passage.id: 1 for passage in passages}})
    layout = env._batch.layout
    env.reset()
    observation, *_ = env.step(layout.expand + 2)
    *_, info = env.step(layout.take + observation["candidate_rows"].tolist().index(5))
    assert info["recall"] == 0.5


def test_seeds_decide_the_questions(env: SearchEnv) -> None:
    first = [env.reset(seed=7)[1]["question"], *(env.reset()[1]["question"] for _ in range(20))]
    second = [env.reset(seed=7)[1]["question"], *(env.reset()[1]["question"] for _ in range(20))]
    assert first == second
    assert len(set(first)) > 5


def test_a_question_may_be_chosen(env: SearchEnv) -> None:
    for number in (0, len(env.questions) - 1, np.int64(1)):
        _, info = env.reset(options={"question": number})
        assert info["question"] == env.questions.items[number].question.id


@pytest.mark.parametrize("number", [-1, 10_000, "first", 1.5])
def test_a_question_that_is_not_there(env: SearchEnv, number: object) -> None:
    with pytest.raises(QuestionsError, match="there is no question number"):
        env.reset(options={"question": number})


def test_a_step_needs_an_episode(env: SearchEnv) -> None:
    assert env.action_masks().nonzero()[0].tolist() == [0]
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset"):
        env.step(0)


def test_arguments_that_do_not_fit(small_index: Index, corpus_folder: Path) -> None:
    with pytest.raises(QuestionsError, match="need qrels"):
        SearchEnv(small_index, [Question("q", "Who?")])
    with pytest.raises(QuestionsError, match="there is no split 'test'"):
        SearchEnv(small_index, corpus_folder, split="test")
    with pytest.raises(QuestionsError, match=r"no queries\.jsonl"):
        SearchEnv(small_index, corpus_folder / "qrels")


@pytest.mark.parametrize("steps", [0, 1, 13])
def test_a_pickled_environment_goes_on_identically(env: SearchEnv, steps: int) -> None:
    env.reset(seed=3)
    walk(env, np.random.default_rng(0), steps)
    again = pickle.loads(pickle.dumps(env))
    one, other = np.random.default_rng(1), np.random.default_rng(1)
    np.testing.assert_array_equal(env.action_masks(), again.action_masks())
    assert equivalent(walk(env, one, 60), walk(again, other, 60), exact=True)


def test_environments_side_by_side_do_not_meet(small_index: Index, corpus_folder: Path) -> None:
    """Two environments on one index, in turn, see what each alone would see."""
    alone, first, second = (made(small_index, corpus_folder) for _ in range(3))
    generators = [np.random.default_rng(seed) for seed in (5, 5, 6)]
    for environment, seed in ((alone, 1), (first, 1), (second, 2)):
        environment.reset(seed=seed)
    expected = [walk(alone, generators[0], 1) for _ in range(40)]
    for seen in expected:
        walk(second, generators[2], 1)
        assert equivalent(walk(first, generators[1], 1), seen, exact=True)


def test_what_was_observed_does_not_change_later(env: SearchEnv) -> None:
    before, _ = env.reset(seed=0)
    kept = {name: array.copy() for name, array in before.items()}
    walk(env, np.random.default_rng(2), 5)
    assert equivalent(before, kept, exact=True)
