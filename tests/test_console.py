"""What is drawn: one line to a stage where nobody watches a bar, tables with every system as it is called."""

import io
import sys

import pytest
from trailhound import Evaluation
from trailhound.console import ProgressBar, print_table

FIGURES = {
    "recall@2": 0.5,
    "recall@5": 0.98765,
    "all_recall@5": 0.75,
    "ndcg@10": 0.25,
    "failure_rate@5": 0.125,
    "calls_mean": 3.14159,
    "latency_ms_p50": 12.3456,
}


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_one_line_for_each_stage_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar(quiet=False) as bar:
        for done in range(4):
            bar.report("reading", done, 3)
        bar.report("encoding passages", 1, 0)
    output, errors = capsys.readouterr()
    assert errors == "reading ...\nencoding passages ...\n"
    assert output == ""


def test_quiet_says_nothing_but_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar(quiet=True) as bar:
        bar.report("reading", 1, 3)
        bar.warn("a.txt: [bold] is empty: " + "left out " * 30)
    output, errors = capsys.readouterr()
    assert errors == "warning: a.txt: [bold] is empty: " + "left out " * 30 + "\n", "one line, as it was said"
    assert output == ""


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with ProgressBar(quiet=False) as bar:
        bar.report("reading", 1, 3)
        bar.report("PPO, validation 0.9", 2, 12)
        bar.report("PPO, validation 0.9", 3, 12)
        bar.warn("a file was left out")
    drawn = terminal.getvalue()
    assert "PPO, validation 0.9" in drawn
    assert "3/12" in drawn
    assert "warning: a file was left out" in drawn
    assert "reading ..." not in drawn


def test_a_table_has_shares_in_percent_and_effort_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([Evaluation("fixed system: hybrid", FIGURES, {}, {}), Evaluation("policy runs/x", FIGURES, {}, {})])
    lines = capsys.readouterr().out.splitlines()
    (head,) = (line for line in lines if "recall@2" in line)
    rows = [line for line in lines if "hybrid" in line or "runs/x" in line]
    assert [cell.strip() for cell in head.strip("┃ ").split("┃")] == [
        "system",
        *FIGURES,
    ]
    for row, system in zip(rows, ["fixed system: hybrid", "policy runs/x"], strict=True):
        cells = [cell.strip() for cell in row.strip("│ ").split("│")]
        assert cells == [system, "50.0", "98.8", "75.0", "25.0", "12.5", "3.14", "12.35"]


def test_a_system_is_called_as_its_folder_is_even_if_that_looks_like_markup(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table([Evaluation("policy runs/[red]x[/blue] :smile:", FIGURES, {}, {})])
    assert "policy runs/[red]x[/blue] :smile:" in capsys.readouterr().out
