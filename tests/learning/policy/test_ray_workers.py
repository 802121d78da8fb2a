"""Training by actors of a real Ray cluster of this machine: `make test-scale`."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from trailhound.cli import main
from trailhound.errors import ClusterError, WorkerError
from trailhound.learning.policy._workers import Team

ray = pytest.importorskip("ray", reason="needs Ray: make test-scale")

from trailhound.learning.policy import _ray_workers  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
"""Ray's own, which it raises while it starts and ends."""

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def arguments(learned_from: list[str]) -> list[str]:
    """Of a training."""
    return ["train", *learned_from]


@pytest.fixture
def said() -> list[str]:
    return []


def on_ray(size: int, work: Callable[[Team, Path], object], place: Path, said: list[str]) -> object:
    """Run a team whose checkpoint is all that lies in ``place``."""

    def heard(stage: str, done: int, total: int) -> None:
        said.append(f"{stage} {done}/{total}")

    return _ray_workers.run_team_on_ray(size, work, place, lambda: len(list(place.iterdir())), said.append, heard)


@pytest.mark.parametrize("workers", [1, 3])
def test_actors_train_the_policy_that_processes_of_this_machine_train(
    cluster: None, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], workers: int
) -> None:
    """Three workers: more than two gradients are added in an order, and another order gives other weights."""
    command = [*arguments, "--workers", str(workers)]
    assert main([*command, "--out", str(tmp_path / "here"), "--quiet"]) == 0
    capsys.readouterr()
    assert main([*command, "--out", str(tmp_path / "there"), "--ray", "auto"]) == 0
    assert "imitation 1/1 ..." in capsys.readouterr().err, "what the first worker reports"
    for name in ("policy.safetensors", "policy.json", "log.jsonl", "run.json"):
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


def test_an_error_of_a_worker_is_the_users(
    cluster: None, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = [*arguments, "--workers", "2", "--out", str(tmp_path / "run"), "--ray", "auto", "--quiet"]
    wrong[wrong.index("--index") + 1] = str(tmp_path / "none")
    assert main(wrong) == 1
    said = capsys.readouterr().err
    assert str(tmp_path / "none") in said
    assert "begin again" not in said


def test_what_workers_say_is_heard(cluster: None, tmp_path: Path, said: list[str]) -> None:
    def talk(team: Team, place: Path) -> list[int]:
        assert team.voice is not None
        if not team.rank:
            team.voice.warn("the first")
            team.voice.warn("the second")
            team.voice.report("talking", 2, 2)
        return team.joined(team.share([1, 2, 3]))

    assert on_ray(2, talk, tmp_path, said) == [1, 3, 2]
    assert said == ["the first", "the second", "talking 2/2"]


def test_workers_that_are_lost_begin_again_until_it_is_of_no_use(
    cluster: None, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_ray_workers, "MOST_LOSSES", 2)

    def die(team: Team, place: Path) -> str:
        """Two workers: twice the second dies after another step of both; from then on at once."""
        steps = team.gather(len(list(place.iterdir())))[0]
        team.first(lambda: (place / str(steps)).touch() if steps < 2 else None)
        if team.rank and (steps < 2 or (place / "0").stat().st_size):
            os.kill(os.getpid(), signal.SIGKILL)
        team.gather(None)
        return "done"

    assert on_ray(2, die, tmp_path, said) == "done"
    lost = [message for message in said if " was lost" in message]  # a busy machine makes them wait, which is said too
    assert [message.partition(" of 2 was lost")[0] for message in lost] == ["worker 2"] * 2
    assert all(message.endswith(": all begin again from the last checkpoint") for message in lost)
    (tmp_path / "0").write_text("no further")
    with pytest.raises(WorkerError, match=r"2 times in a row .* use fewer workers or larger machines"):
        on_ray(2, die, tmp_path, said)


def test_it_is_said_who_is_waited_for_and_not_for_ever(
    cluster: None, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_ray_workers, "SOON", 0.5)
    monkeypatch.setattr(_ray_workers, "LONGEST_ABSENCE", 2.0)
    with pytest.raises(ClusterError, match=r"for 4 of 4 workers, .* of the cluster's 3 are free: start more machines"):
        on_ray(4, lambda team, place: None, tmp_path, said)
    assert len(said) == 1
    assert said[0].startswith("waiting for 4 of 4 workers, each of which takes a CPU")


def test_a_process_that_connects_ends_by_sigterm_as_before() -> None:
    script = """
import signal
from trailhound.retrievers._ray_cluster import connect
signal.signal(signal.SIGTERM, signal.SIG_IGN)
connect("local")
print(signal.getsignal(signal.SIGTERM).name)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout == "SIG_IGN\n", done.stderr


def test_killed_workers_and_nodes_change_nothing() -> None:
    """A short run of the benchmark, which has a cluster of its own: one worker and one node are killed."""
    script = ROOT / "benchmarks" / "ray_kills_training.py"
    done = subprocess.run([sys.executable, str(script), "--kills", "2"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 kills, 0 trainings with other weights" in done.stdout
