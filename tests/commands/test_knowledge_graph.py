"""A knowledge graph on the command line: indexed, learned from, measured and asked."""

import json
from pathlib import Path

import pytest
from trailhound.cli import main

TINY = ["width=16", "question_width=8", "imitation_epochs=1", "imitation_lanes=8", "ppo_iterations=0", "held_out=0.3"]
TINY += ["max_candidates=20", "hop_size=20", "epoch_questions=16"]

Capture = pytest.CaptureFixture[str]


def run(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight towns in two countries; of two of them it is asked where they lie."""
    folder = tmp_path_factory.mktemp("towns")
    lies_in = [(f"town_{k}", "lies_in", f"country_{k % 2}") for k in range(8)]
    roads = [(f"town_{k}", "road_to", f"town_{(k + 2) % 8}") for k in range(8)]
    for name, facts in (("graph", lies_in[:6] + roads), ("train", lies_in[:6]), ("dev", lies_in[6:])):
        (folder / f"{name}.txt").write_text("".join("\t".join(fact) + "\n" for fact in facts))
    return folder


@pytest.fixture(scope="module")
def policy(folder: Path) -> Path:
    """The index beside the questions, and a policy in ``run``, by the recipe that is the default over facts."""
    assert run("index", folder, "--out", folder / "i", "--quiet") == 0
    settings = [part for setting in TINY for part in ("--set", setting)]
    source = ["--index", folder / "i", "--questions", folder, "--split", "train"]
    assert run("train", *source, *settings, "--out", folder / "run", "--quiet") == 0
    return folder / "run"


def test_the_recipe_for_knowledge_graphs_is_the_default_over_one(policy: Path) -> None:
    recipe = json.loads((policy / "run.json").read_text())["recipe"]
    assert recipe["hop_depth"] == 3
    assert recipe["max_evidence"] == 2


def test_index_counts_entities_relations_and_facts(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run("index", folder / "graph.txt", "--out", tmp_path / "i", "--quiet") == 0
    assert "10 entities, 2 relations, 14 facts" in capsys.readouterr().out


def test_evaluate_writes_hits_and_mrr(folder: Path, policy: Path, capsys: Capture) -> None:
    place = folder / "figures.json"
    common = ["--index", folder / "i", "--questions", folder, "--split", "dev", "--quiet", "--json", place]
    assert run("evaluate", *common, "--policy", policy) == 0
    shown = capsys.readouterr().out
    figures = json.loads(place.read_text())
    assert 0 <= figures["hits@1"] <= figures["hits@3"] <= figures["hits@10"] <= 1
    assert 0 < figures["mrr"] <= 1
    assert figures["questions"] == 2
    for name in ("hits@1", "hits@3", "hits@10", "mrr"):
        assert name in shown
        assert f"{100 * figures[name]:.1f}" in shown


def test_search_shows_the_walk(folder: Path, policy: Path, capsys: Capture) -> None:
    assert run("search", folder / "i", "town 6 lies in", "--policy", policy) == 0
    shown = capsys.readouterr().out
    assert "set out from town_6" in shown
    assert run("search", folder / "i", "where is town 6?", "--policy", policy) == 1
    assert "town_0 lies_in" in capsys.readouterr().err
