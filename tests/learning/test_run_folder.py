"""The log of a run: a line and TensorBoard points for every round, once, whatever was interrupted."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from trailhound.errors import StorageError
from trailhound.learning._run_folder import RunLog


def log(folder: Path, first: int, last: int, value: float) -> None:
    """Log rounds ``first`` to ``last - 1``."""
    if (folder / "tensorboard").exists():
        time.sleep(1.01)  # TensorBoard orders its files by the second in which they were begun
    opened = RunLog(folder, first)
    for number in range(first, last):
        opened.write(number, "ppo", {"score": value + number})
    opened.close()


def logged(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]


def shown(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(e.step, e.value) for e in EventAccumulator(str(folder / "tensorboard")).Reload().Scalars(tag)]


def test_each_round_is_a_line_and_points(tmp_path: Path) -> None:
    opened = RunLog(tmp_path, 0)
    opened.write(0, "imitation", {"loss": 2.5, "validation_recall@5": 0.5})
    opened.write(1, "ppo", {"policy_loss": -0.25})
    assert logged(tmp_path) == [
        {"round": 0, "phase": "imitation", "loss": 2.5, "validation_recall@5": 0.5},
        {"round": 1, "phase": "ppo", "policy_loss": -0.25},
    ], "at once, not only when the log is closed"
    assert shown(tmp_path, "imitation/validation_recall@5") == [(0, 0.5)]
    assert shown(tmp_path, "ppo/policy_loss") == [(1, -0.25)]
    opened.close()


def test_going_on_drops_what_will_come_again(tmp_path: Path) -> None:
    """Four rounds were logged, the checkpoint holds two: rounds 2 and 3 are logged anew, and stand there once."""
    log(tmp_path, 0, 4, value=0.0)
    log(tmp_path, 2, 5, value=100.0)
    assert [(line["round"], line["score"]) for line in logged(tmp_path)] == [
        (0, 0.0),
        (1, 1.0),
        (2, 102.0),
        (3, 103.0),
        (4, 104.0),
    ]
    assert shown(tmp_path, "ppo/score") == [(0, 0.0), (1, 1.0), (2, 102.0), (3, 103.0), (4, 104.0)]


@pytest.mark.parametrize("torn", ['{"round": 2, "pha', "{", "\n", '{"round": 2, "phase": "ppo", "score": 2.0}'])
def test_a_line_that_was_cut_off_is_dropped(tmp_path: Path, torn: str) -> None:
    whole = [json.dumps({"round": number, "phase": "ppo"}) + "\n" for number in range(2)]
    (tmp_path / "log.jsonl").write_text("".join(whole))
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write(torn)
    log(tmp_path, 2, 3, value=0.0)
    assert [line["round"] for line in logged(tmp_path)] == [0, 1, 2]


def test_nothing_done_yet_keeps_nothing(tmp_path: Path) -> None:
    log(tmp_path, 0, 2, value=0.0)
    log(tmp_path, 0, 1, value=7.0)
    assert [(line["round"], line["score"]) for line in logged(tmp_path)] == [(0, 7.0)]
    assert shown(tmp_path, "ppo/score") == [(0, 7.0)]


def test_a_full_disk_is_an_error_that_names_the_file_and_the_disk(tmp_path: Path) -> None:
    log = RunLog(tmp_path, 0)
    (tmp_path / "log.jsonl").symlink_to("/dev/full")  # every write to it fails as on a full disk
    with pytest.raises(StorageError, match=r"log\.jsonl cannot be written: there is no space left \(disk "):
        log.write(0, "imitation", {"loss": 1.0})
    log.close()
