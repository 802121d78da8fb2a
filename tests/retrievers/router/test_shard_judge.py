"""What is known of shards, worked by hand, and the judge that comes with the package."""

from pathlib import Path

import numpy as np
import pytest
from trailhound.errors import RouterError
from trailhound.retrievers.router._shard_judge import CLUES, KnownOfShards, ShardJudge, nearest_share, shipped_judge

AXES = np.eye(4, dtype=np.float32)


def known(counts: list[list[float]], named: list[int]) -> KnownOfShards:
    of_words = np.array(counts, np.float32)
    none = np.zeros_like(of_words)
    specificity = np.ones(len(named), np.float32)
    return KnownOfShards(np.array([10, 10], np.float32), of_words, none, np.array(named, np.int64), specificity)


def test_clues_of_words_titles_and_regions() -> None:
    regions = np.stack([AXES[:2], AXES[2:]])
    clues = known([[4, 0], [1, 3]], [1]).clues(regions, AXES[2])
    assert clues.shape == (2, CLUES)
    assert clues[0, 0] == pytest.approx(1)  # all words occur there
    assert clues[0, 1] + clues[1, 1] == pytest.approx(1)  # shares of occurrences
    assert clues[:, 6].tolist() == [0, 1]  # named
    assert clues[:, 8].tolist() == [0, 1]  # the nearest region
    assert clues[1, 11] > clues[0, 11]
    assert clues[:, 11].sum() == pytest.approx(1)


def test_the_share_of_near_regions_counts_the_nearest_ten() -> None:
    near = np.zeros((3, 8, 4), np.float32)
    near[0, :, 0], near[1, :2, 0] = 0.9, 0.9
    np.testing.assert_allclose(nearest_share(near, AXES[0]), [0.8, 0.2, 0])


def test_the_shipped_judge_prefers_what_words_names_and_regions_point_to() -> None:
    regions = np.stack([AXES[:2], AXES[2:]])
    likely = shipped_judge().probabilities(known([[0, 5], [0, 4]], [1]).clues(regions, AXES[2]))
    assert likely.sum() == pytest.approx(1)
    assert likely[1] > 0.9


def test_more_shards_and_no_known_word_can_be_judged() -> None:
    nothing = KnownOfShards(
        np.full(40, 5, np.float32),
        np.zeros((0, 40), np.float32),
        np.zeros((0, 40), np.float32),
        np.zeros(0, np.int64),
        np.zeros(0, np.float32),
    )
    regions = np.random.default_rng(0).standard_normal((40, 3, 4)).astype(np.float32)
    likely = shipped_judge().probabilities(nothing.clues(regions, AXES[0]))
    assert likely.shape == (40,)
    assert np.isfinite(likely).all()


def test_a_judge_is_read_as_it_was_written_and_damage_is_told(tmp_path: Path) -> None:
    judge = shipped_judge()
    judge.save(tmp_path / "j", {"trained on": ["x"]})
    again = ShardJudge.load(tmp_path / "j")
    for name, array in judge.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)
    content = bytearray((tmp_path / "j").read_bytes())
    content[-1] ^= 1
    (tmp_path / "j").write_bytes(content)
    with pytest.raises(RouterError, match="damaged"):
        ShardJudge.load(tmp_path / "j")
