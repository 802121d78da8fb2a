"""The demo, small: everything once, with the built-in encoder, and a second time without harm."""

import json
import re

import pytest
from trailhound import Index
from trailhound.agent._drawing import draw_path
from trailhound.cli import main
from trailhound.demo._run import DemoReport, run_demo
from trailhound.errors import PolicyError

ARTICLES, QUESTIONS = 70, 20


@pytest.fixture(scope="module")
def stages() -> list[str]:
    """What the demo said that it was doing, in order."""
    return []


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, stages: list[str]) -> DemoReport:
    def note(stage: str, done: int, total: int) -> None:
        assert 0 <= done <= max(total, done)
        if not stages or stages[-1] != stage:
            stages.append(stage)

    folder = tmp_path_factory.mktemp("demo") / "here"
    return run_demo(folder, articles=ARTICLES, questions=QUESTIONS, seed=1, progress=note)


def test_the_report_compares_every_system_on_questions_that_training_never_saw(report: DemoReport) -> None:
    names = [evaluation.system for evaluation in report.evaluations]
    assert names[:4] == [f"fixed system: {kind}" for kind in ("lexical", "dense", "hybrid", "ppr")]
    assert names[4] == f"exhaustive search, ranked by the policy {report.folder / 'policy'}"
    assert names[5] == f"policy {report.folder / 'policy'}"
    for evaluation in report.evaluations:
        assert evaluation.figures["questions"] == 5
        assert 0 <= evaluation.figures["recall@5"] <= 1
    trained = (report.folder / "corpus" / "qrels" / "train.tsv").read_text().splitlines()[1:]
    assert {line.split("\t")[0] for line in trained}.isdisjoint(report.evaluations[0].run)


def test_what_it_made_is_kept_for_a_closer_look(report: DemoReport) -> None:
    assert sorted(path.name for path in report.folder.iterdir()) == ["corpus", "demo.json", "index", "policy"]
    assert len(Index.open(report.folder / "index")) == report.passages == ARTICLES
    assert (
        json.loads((report.folder / "policy" / "metrics.json").read_text())["recall@5"]
        == (report.training.metrics["recall@5"])
    )


def test_the_example_is_a_search_of_the_policy_with_its_path(report: DemoReport) -> None:
    assert report.example.answered_by == f"policy {report.folder / 'policy'}"
    assert report.example.path
    assert 0 < len(report.example.evidence) <= 5


def test_every_stage_is_heard_of(report: DemoReport, stages: list[str]) -> None:
    said = " | ".join(stages)
    for part in ("encoding passages", "imitation 1/7", "PPO, validation", "answering questions"):
        assert part in said


def test_a_second_demo_in_the_same_folder_repeats_the_first(report: DemoReport) -> None:
    again = run_demo(report.folder, articles=ARTICLES, questions=QUESTIONS, seed=1)
    assert [evaluation.run for evaluation in again.evaluations] == [e.run for e in report.evaluations]
    assert again.training.metrics == report.training.metrics
    assert again.example.evidence == report.example.evidence


def test_the_command_line_shows_the_table_a_path_and_what_to_do_next(
    report: DemoReport, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--articles", str(ARTICLES), "--questions", str(QUESTIONS), "--seed", "1"]
    assert main(["demo", "--out", str(report.folder), *arguments]) == 0
    output, errors = capsys.readouterr()
    assert f"{ARTICLES} invented articles" in output
    for evaluation in report.evaluations[:4]:
        assert re.search(rf"{evaluation.system} .* {100 * evaluation.figures['recall@5']:.1f} ", output)
    assert draw_path(report.example) in output
    assert output.endswith(
        "Now your own documents:\n"
        "  trailhound index my-docs/ --out my-docs.index\n"
        '  trailhound search my-docs.index "your question"\n'
    )
    assert "answering questions ..." in errors.splitlines()


def test_a_demo_of_other_settings_in_the_same_folder_is_refused(report: DemoReport) -> None:
    with pytest.raises(PolicyError, match="holds a demo of other settings: choose another folder"):
        run_demo(report.folder, articles=ARTICLES, questions=QUESTIONS, seed=2)
    assert len(Index.open(report.folder / "index")) == ARTICLES
