"""Comparing on the command line: the table and the JSON say the same, and wrong use is said."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from trailhound.cli import main

Capture = pytest.CaptureFixture[str]


def question(number: int, recall: float, kind: str | None) -> dict[str, Any]:
    figures = {"recall@5": recall, "ndcg@10": recall / 2, "calls": 3}
    return {
        "id": f"q{number}",
        "question": "Who?",
        "type": kind,
        "figures": figures,
        "missed": [],
        "found": [],
        "path": [],
    }


def results(path: Path, system: str, recalls: list[float], kind: str | None = None) -> str:
    value = {"system": system, "questions": len(recalls)}
    value["per_question"] = [question(number, recall, kind) for number, recall in enumerate(recalls)]
    path.write_text(json.dumps(value))
    return str(path)


def test_the_table_says_what_the_json_says(tmp_path: Path, capsys: Capture) -> None:
    a = results(tmp_path / "a.json", "one \x1b[31m system", [0, 0, 0, 0, 0, 1, 0.5], "bridge | \n")
    b = results(tmp_path / "b.json", "another", [1, 1, 1, 1, 1, 1, 0], "bridge | \n")
    assert main(["compare", a, b, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert main(["compare", a, b]) == 0
    output, errors = capsys.readouterr()
    assert errors == ""
    assert "\x1b" not in output
    assert "A: one \ufffd[31m system\nB: another\n7 questions\n" in output
    ndcg, recall = value["overall"]
    assert recall["p"] == 4 / 64, "five of one against half the other way: by hand"
    assert recall["p_corrected"] == 2 * 4 / 64
    row = next(line for line in output.splitlines() if re.match(r"│ recall@5 +│ +0\.", line))
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[1:4] == [f"{recall['first']:.4f}", f"{recall['second']:.4f}", f"{recall['difference']:+.4f}"]
    assert cells[5:] == ["=0.0625", "0.1250", "5", "1", "1"]
    assert ndcg["difference"] == pytest.approx(recall["difference"] / 2)
    assert "p (Holm): corrected for all 2 p-values of the first table, and all 2 of the second" in output
    assert [one["type"] for one in value["by_type"]] == ["bridge | \n"] * 2


def test_metrics_are_chosen_and_wrong_use_is_said(tmp_path: Path, capsys: Capture) -> None:
    a = results(tmp_path / "a.json", "a", [0, 1])
    b = results(tmp_path / "b.json", "b", [1, 1])
    assert main(["compare", a, b, "--metric", "calls", "--metric", "calls", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert [one["metric"] for one in value["overall"]] == ["calls"]
    assert value["by_type"] == []
    assert main(["compare", a, b, "--questions", str(tmp_path)]) == 2
    assert "--questions and --split belong together" in capsys.readouterr().err
    assert main(["compare", a, str(tmp_path / "none.json")]) == 1
    assert "none.json: cannot be read (No such file or directory)" in capsys.readouterr().err
    three = results(tmp_path / "c.json", "c", [0, 1, 1])
    assert main(["compare", a, three]) == 1
    assert "has 1 question (such as 'q2') that are not there" in capsys.readouterr().err
