"""The misses of a policy on the command line: a table, examples, a file and a figure that say the same."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from trailhound import EnvironmentSettings, Recipe
from trailhound.agent._network import PolicyNetwork
from trailhound.agent._policy_file import save_policy
from trailhound.cli import main
from trailhound.envs.settings import QUESTION
from trailhound.retrievers.vectors._encoder import BUILT_IN

Capture = pytest.CaptureFixture[str]


def run(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of three documents, of which one is cut in two, a question about all, and an untrained policy."""
    house = tmp_path_factory.mktemp("house")
    (house / "docs").mkdir()
    (house / "docs" / "gate.md").write_text("# Gate\n\nThe Silver Gate is a film by Ada Brun.\n")
    (house / "docs" / "brun.md").write_text("# Brun\n\nAda Brun was born in Torl. Torl has a harbour by the sea.\n")
    assert run("index", house / "docs", "--out", house / "i", "--chunk-tokens", "10", "--quiet") == 0
    (house / "qrels").mkdir()
    (house / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "Where was the director of Gate born?"}))
    (house / "qrels" / "dev.tsv").write_text("q\tgate.md\t1\nq\tbrun.txt\t1\n")
    recipe = Recipe(width=16, question_width=8)
    network = PolicyNetwork(recipe.network(len(QUESTION)))
    save_policy(house / "run", network, EnvironmentSettings(), BUILT_IN, {})
    return house


def test_the_table_the_file_and_the_figure_say_the_same(house: Path, tmp_path: Path, capsys: Capture) -> None:
    over = ["--index", house / "i", "--questions", house, "--split", "dev", "--policy", house / "run", "--quiet"]
    files = ["--json", tmp_path / "misses.json", "--svg", tmp_path / "misses.svg"]
    assert run("explain-misses", *over, *files) == 0
    output, errors = capsys.readouterr()
    written = json.loads((tmp_path / "misses.json").read_text())
    assert errors == ""
    assert f"{written['total']} of 2 supporting passages are not among the first five" in output
    assert re.search(r"chunking +│ not in the index │ +1 │", output)
    assert "missing: “brun.txt” (brun.txt)" in output
    assert "the index has no passage and no document 'brun.txt'" in output
    assert written["stages"]["chunking"]["causes"] == {"not in the index": 1}
    ElementTree.parse(tmp_path / "misses.svg")


def test_a_folder_that_is_not_there_is_said_before_the_search(house: Path, tmp_path: Path, capsys: Capture) -> None:
    over = ["--index", house / "i", "--questions", house, "--split", "dev", "--policy", house / "run", "--quiet"]
    assert run("explain-misses", *over, "--json", tmp_path / "none" / "f.json") == 1
    assert "its folder is not there" in capsys.readouterr().err
