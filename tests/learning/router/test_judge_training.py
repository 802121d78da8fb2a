"""A judge learns which clues tell, from corpora with different numbers of shards, and routes over another."""

import numpy as np
from trailhound.learning.router._judge_training import JudgedQuestions, train_judge
from trailhound.retrievers.router._shard_judge import CLUES


def made(questions: int, shards: int, seed: int) -> JudgedQuestions:
    """Questions whose right shard has the highest third clue; the others say nothing."""
    rng = np.random.default_rng(seed)
    clues = rng.standard_normal((questions, shards, CLUES)).astype(np.float32)
    targets = np.zeros((questions, shards), np.float32)
    targets[np.arange(questions), clues[:, :, 2].argmax(axis=1)] = 1
    return JudgedQuestions(clues, targets)


def test_it_finds_what_tells_and_its_probabilities_are_right() -> None:
    judge = train_judge([made(200, 8, 1), made(100, 3, 2)], 0)
    other = made(150, 16, 3)
    first = judge.scores(other.clues).argmax(axis=1)
    assert (first == other.targets.argmax(axis=1)).mean() > 0.7
    likely = np.stack([judge.probabilities(clues) for clues in other.clues])
    np.testing.assert_allclose(likely.sum(axis=1), 1, rtol=1e-5)


def test_the_same_seed_gives_the_same_judge() -> None:
    one, two, other = (train_judge([made(60, 4, 1)], seed) for seed in (1, 1, 2))
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, two.arrays[name])
    assert not np.array_equal(one.arrays["hidden"], other.arrays["hidden"])
