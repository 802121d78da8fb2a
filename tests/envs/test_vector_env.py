"""The batched environment as stable-baselines3 uses it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3.common.vec_env import VecMonitor
from trailhound import EnvironmentSettings
from trailhound.envs._batch import SearchBatch
from trailhound.envs._vector_env import SearchVecEnv, coverage_log_likelihood
from trailhound.envs._world import QuestionWorld
from trailhound.envs.settings import QUESTION


@pytest.fixture
def env(worlds: list[QuestionWorld], settings: EnvironmentSettings) -> SearchVecEnv:
    return SearchVecEnv(worlds[:10], settings, len(QUESTION), lanes=4, repeats=3)


def random_actions(env: SearchVecEnv, generator: np.random.Generator) -> NDArray[np.int64]:
    masks = np.stack(env.env_method("action_masks"))
    return np.asarray((generator.random(masks.shape) * masks).argmax(axis=1))


def walk(env: SearchVecEnv, seed: int, steps: int) -> list[Any]:
    generator = np.random.default_rng(seed)
    return [env.step(random_actions(env, generator)) for _ in range(steps)]


def test_spaces_shapes_and_types(env: SearchVecEnv) -> None:
    assert env.num_envs == 4
    assert isinstance(env.observation_space, spaces.Dict)
    assert isinstance(env.action_space, spaces.Discrete)
    seen = [env.reset()]
    for observation, rewards, ended, infos in walk(env, 0, 60):
        seen.append(observation)
        assert (rewards.shape, rewards.dtype) == ((4,), np.float32)
        assert (ended.shape, ended.dtype) == ((4,), np.bool_)
        assert len(infos) == 4
    for observation in seen:
        for lane in range(4):
            one = {name: array[lane] for name, array in observation.items()}
            assert one in env.observation_space
            assert all(one[name].dtype == space.dtype for name, space in env.observation_space.items())


def test_it_is_recognised_as_maskable(env: SearchVecEnv) -> None:
    assert is_masking_supported(env)
    env.reset()
    masks = get_action_masks(env)
    assert masks.shape == (4, env.action_space.n)  # type: ignore[attr-defined]
    assert masks[:, 0].all()
    masks[:] = False
    assert get_action_masks(env).any(), "a copy was given"


def test_each_lane_is_an_episode_by_itself(env: SearchVecEnv, settings: EnvironmentSettings) -> None:
    """Every lane sees what a lane of its own would, and begins a new question when one ends."""
    env.reset()
    generator = np.random.default_rng(0)
    alone = [SearchBatch(settings, 1, len(QUESTION)) for _ in range(4)]
    for lane, batch in enumerate(alone):
        batch.start([0], [env.worlds[env.numbers[lane]]])
    totals, lengths = np.zeros(4), np.zeros(4, int)
    ends = 0
    for _ in range(120):
        before = env.numbers.copy()
        actions = random_actions(env, generator)
        observation, rewards, ended, infos = env.step(actions)
        for lane, batch in enumerate(alone):
            reward, end = batch.act(0, int(actions[lane]))
            assert (rewards[lane], ended[lane]) == (np.float32(reward), end)
            totals[lane] += reward
            lengths[lane] += 1
            if not end:
                assert infos[lane] == {}
                assert env.numbers[lane] == before[lane]
            else:
                ends += 1
                assert infos[lane]["episode"] == {"r": pytest.approx(totals[lane], abs=1e-5), "l": lengths[lane]}
                totals[lane], lengths[lane] = 0, 0
                batch.start([0], [env.worlds[env.numbers[lane]]])
            for name, array in batch.observation.items():
                np.testing.assert_array_equal(observation[name][lane], array[0], err_msg=name)
            np.testing.assert_array_equal(env.env_method("action_masks")[lane], batch.mask[0])
    assert ends > 20


def test_what_was_observed_does_not_change_later(env: SearchVecEnv) -> None:
    before = env.reset()
    kept = {name: array.copy() for name, array in before.items()}
    walk(env, 0, 10)
    for name, array in before.items():
        np.testing.assert_array_equal(array, kept[name])


def test_finished_episodes_say_where_they_stand(env: SearchVecEnv) -> None:
    env.reset()
    generator = np.random.default_rng(1)
    starts, expected = np.zeros(4, int), []
    for step in range(80):
        questions = env.numbers.copy()
        _, _, ended, infos = env.step(random_actions(env, generator))
        for lane in np.flatnonzero(ended).tolist():
            expected.append((int(questions[lane]), lane, int(starts[lane]), step, infos[lane]["episode"]["r"]))
            starts[lane] = step + 1
    stated = [(f.question, f.lane, f.first, f.last, f.total_reward) for f in env.finished]
    assert stated == expected
    for finished in env.finished:
        gold = len(env.worlds[finished.question].gold)
        possible = [coverage_log_likelihood(found, gold - found) for found in range(gold + 1)]
        assert finished.peak.log_reader in possible
        assert 0 <= finished.peak.steps <= finished.last - finished.first + 1
    env.reset()
    assert env.finished == []


def test_every_question_is_asked_as_often_as_was_said(env: SearchVecEnv) -> None:
    env.reset()
    begun = env.numbers.tolist()
    while len(begun) < 30:
        before = len(env.finished)
        env.step(np.zeros(4, np.int64))  # STOP in every lane
        assert len(env.finished) == before + 4
        begun += env.numbers.tolist()
    assert set(Counter(begun[:30]).values()) == {3}
    assert all(len(set(begun[k : k + 3])) == 1 for k in range(0, 30, 3)), "a question's searches lie side by side"


def test_the_seed_decides_the_order(env: SearchVecEnv, worlds: list[QuestionWorld]) -> None:
    def order(seed: int, environment: SearchVecEnv = env) -> list[int]:
        environment.reshuffle(seed)
        environment.reset()
        numbers = environment.numbers.tolist()
        for _ in range(20):
            environment.step(np.zeros(4, np.int64))
            numbers += environment.numbers.tolist()
        return numbers

    assert order(5) == order(5)
    assert order(5) != order(6)
    other = SearchVecEnv(worlds[:10], env.batch.settings, len(QUESTION), lanes=4, repeats=3)
    other.reset()
    walk(other, 3, 30)
    assert order(5, other) == order(5), "whatever was done before"


def test_a_wrapper_of_stable_baselines_holds_it(env: SearchVecEnv) -> None:
    monitored = VecMonitor(env)
    assert monitored.env_is_wrapped(VecMonitor) == [False] * 4
    assert monitored.get_attr("render_mode") == [None] * 4
    monitored.reset()
    for _ in range(3):
        _, _, ended, infos = monitored.step(np.zeros(4, np.int64))
        assert ended.all()
        assert all(info["episode"]["l"] == 1 for info in infos)
    monitored.close()


def test_lanes_have_one_method_and_no_attributes_to_set(env: SearchVecEnv) -> None:
    for call in (
        lambda: env.env_method("render"),
        lambda: env.get_attr("worlds"),
        lambda: env.set_attr("worlds", 3),
    ):
        with pytest.raises(AttributeError, match="a lane of SearchVecEnv has no"):
            call()
    assert not env.has_attr("worlds")
