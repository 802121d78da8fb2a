"""Several workers train one policy: what they say to each other, and how a run of theirs ends, goes on, and fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path

import pytest
from trailhound.cli import main
from trailhound.demo._encyclopedia import generate, write_beir

QUICK = {
    "max_candidates": 20,
    "width": 8,
    "question_width": 4,
    "imitation_epochs": 1,
    "imitation_lanes": 6,
    "ppo_iterations": 2,
    "ppo_lanes": 5,
    "ppo_steps": 8,
    "ppo_passes": 1,
    "minibatch": 16,
    "paths_per_question": 1,
    "reader_epochs": 1,
    "ranker_steps": 10,
    "made_beside": 0,
}

SCRIPT = """
import json, os, signal, sys, time
import torch
from torch import nn
from trailhound.learning.policy._workers import Team, run_team

def talk(team, argument):
    network = nn.ModuleList([nn.Linear(2, 1, bias=False), nn.Linear(2, 1, bias=False), nn.Linear(2, 1, bias=False)])
    network[0].weight.grad = torch.tensor([[1.0, 2.0]]) if team.rank else torch.tensor([[4.0, -1.0]])
    if team.rank:
        network[1].weight.grad = torch.tensor([[8.0, 0.0]])
    said = {
        "states": team.average_gradients(network, 1 if team.rank else 3),
        "averaged": [None if p.grad is None else p.grad.tolist() for p in network.parameters()],
        "nothing": team.average_gradients(nn.Linear(1, 1), 0),
        "mean": team.mean(float(team.rank)),
        "joined": team.joined(team.share(argument)),
        "turns": team.in_turn(lambda: [time.sleep(0.2 * (1 - team.rank)), time.monotonic()][1]),
    }
    first, second = team.gather(said.pop("turns"))
    said["in turn"] = first < second
    team.first(lambda: print(json.dumps(said), flush=True))
    if team.rank:
        raise ValueError("that was all")
    team.gather(None)

def stay(team, argument):
    os.write(1, f"{os.getpid()}\\n".encode())  # at once, for both write there
    time.sleep(0 if team.rank else 600)
    team.gather(None)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what shells start in the background ignores Ctrl-C
    run_team(2, globals()[sys.argv[1]], sys.argv[2])
"""


@pytest.fixture
def script(tmp_path: Path) -> list[str]:
    (tmp_path / "script.py").write_text(SCRIPT)
    return [sys.executable, str(tmp_path / "script.py")]


def test_what_workers_say_to_each_other(script: list[str]) -> None:
    """Three states with the gradient (4, -1) and one with (1, 2) have the mean (3.25, -0.25). Then one fails."""
    done = subprocess.run([*script, "talk", "abcde"], capture_output=True, text=True, check=False, timeout=100)
    assert json.loads(done.stdout) == {
        "states": 4,
        "averaged": [[[3.25, -0.25]], [[2.0, 0.0]], None],
        "nothing": 0,
        "mean": 0.5,
        "joined": ["a", "c", "e", "b", "d"],
        "in turn": True,
    }
    assert "ValueError: that was all\nThis was in worker 2 of 2:\nTraceback" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_is_left_behind(script: list[str], how: signal.Signals) -> None:
    with subprocess.Popen([*script, "stay", ""], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            workers = [int(running.stdout.readline()) for _ in range(2)]
            running.send_signal(how)
            running.wait(timeout=60)
        finally:
            running.kill()
    wait_until(lambda: not any(map(is_alive, workers)))


def wait_until(fact: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Of a training over an index that workers can open."""
    house = tmp_path_factory.mktemp("house")
    write_beir(generate(articles=64, questions=24, seed=5), house / "corpus")
    assert main(["index", str(house / "corpus"), "--out", str(house / "index"), "--quiet"]) == 0
    settings = [part for name, value in QUICK.items() for part in ("--set", f"{name}={value}")]
    return [
        "train",
        "--index",
        str(house / "index"),
        "--questions",
        str(house / "corpus"),
        "--split",
        "train",
        "--from",
        "none",
        *settings,
    ]


def rounds(run: Path) -> list[str]:
    log = run / "log.jsonl"
    return log.read_text().splitlines() if log.exists() else []


def test_a_run_that_lost_a_worker_says_so_and_goes_on_to_the_same_policy(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two workers and one seed lead to one policy, bit for bit, with or without a death on the way."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert main([*arguments, "--workers", "2", "--out", str(whole), "--quiet"]) == 0
    assert [json.loads(line)["phase"] for line in rounds(whole)] == ["imitation"] + ["ppo"] * 2
    assert json.loads((whole / "run.json").read_text())["workers"] == 2

    def kill() -> None:
        wait_until(lambda: len(rounds(broken)) > 0)
        second = max(child.pid for child in active_children() if child.pid is not None)
        os.kill(second, signal.SIGKILL)

    capsys.readouterr()
    killing = threading.Thread(target=kill)
    killing.start()
    assert main([*arguments, "--workers", "2", "--out", str(broken), "--quiet"]) == 1
    killing.join()
    assert "worker 2 of 2 was killed by signal 9, and the others were ended" in capsys.readouterr().err
    assert active_children() == []

    assert main([*arguments, "--out", str(broken), "--quiet"]) == 1
    assert "holds a run of 2 workers, not of 1" in capsys.readouterr().err

    assert 0 < len(rounds(broken)) < 3
    assert main([*arguments, "--workers", "2", "--out", str(broken), "--quiet"]) == 0
    assert rounds(broken) == rounds(whole)
    for name in ("policy.safetensors", "policy.json", "reader.safetensors"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes()


def test_more_workers_than_questions(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    questions = Path(arguments[arguments.index("--questions") + 1])
    labels = (questions / "qrels" / "train.tsv").read_text().splitlines()
    first = [line for line in labels if line.split("\t")[0] in {labels[k].split("\t")[0] for k in (1, -1)}]
    folder = tmp_path / "few"
    (folder / "qrels").mkdir(parents=True)
    (folder / "queries.jsonl").write_bytes((questions / "queries.jsonl").read_bytes())
    (folder / "qrels" / "train.tsv").write_text("\n".join([labels[0], *first]) + "\n")
    few = [str(folder) if argument == str(questions) else argument for argument in arguments]
    assert main([*few, "--workers", "2", "--out", str(tmp_path / "run"), "--quiet"]) == 1
    assert "1 questions are too few for 2 workers: use fewer workers" in capsys.readouterr().err
