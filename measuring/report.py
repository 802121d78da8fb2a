"""A page about training runs and evaluations: one HTML file that needs no network and runs no script."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from ..errors import QuestionsError
from ..retrievers._atomic_file import write_atomically
from ._html import Html, element
from ._report_searches import by_type, how_sure, measured, misses, paths, what_it_costs
from ._report_style import STYLE
from ._report_training import curves, legend, side_by_side, trained_lines
from ._runs import Run, read_runs

Section = tuple[str, str, list[Html]]
"""An anchor, a heading and what stands below it."""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""The page may load and run nothing, whatever is in it."""


def write_report(runs: Sequence[Path | str], out: Path | str) -> Path:
    """Write a page about runs: curves, settings and figures side by side, confidence, costs, misses and paths.

    What a run does not have is left out, and the page says which command gives it.

    Args:
        runs: folders that ``train`` or a tuner wrote, and files of ``evaluate --json``. An evaluation of a training's
            policy is one run with it.
        out: the HTML file.

    Raises:
        QuestionsError: when there is no run, or a file is none of an evaluation.
        PolicyError: when a folder is none of a training, or is damaged.
        StorageError: when the file cannot be written.
    """
    if not runs:
        raise QuestionsError("there is no run to report on: give a folder of `trailhound train`, or more")
    page = draw_report(read_runs([Path(run) for run in runs]))
    write_atomically(Path(out), page.encode())
    return Path(out)


def draw_report(runs: Sequence[Run]) -> str:
    """Return the page."""
    sections = _sections(runs)
    links = (element("li", element("a", heading, href=f"#{anchor}")) for anchor, heading, _ in sections)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("title", "Trailhound: report of " + ", ".join(run.name for run in runs)),
        element("style", Html(STYLE)),
    )
    body = element(
        "body",
        element("a", "Skip to the report", href="#report", class_="skip"),
        element(
            "header",
            element("h1", "Training and evaluation"),
            legend({number: run.name for number, run in enumerate(runs)}),
            element("nav", element("ul", *links), aria_label="Sections"),
        ),
        element("main", *map(_section, sections), id="report"),
        element("footer", element("p", "Made by  trailhound report. Nothing on this page is loaded from elsewhere.")),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _section(section: Section) -> Html:
    anchor, heading, content = section
    return element(
        "section",
        element("h2", heading, id=f"{anchor}-heading"),
        *content,
        id=anchor,
        aria_labelledby=f"{anchor}-heading",
    )


def _sections(runs: Sequence[Run]) -> list[Section]:
    """Return the sections that there is something to say in."""
    sections: list[Section] = [("runs", "Runs side by side", [side_by_side(runs)])]
    if trained_lines(runs):
        sections.append(("training", "Training", curves(runs)))
    sure = measured(runs, lambda one: {"confidence", "complete"} <= one.figures.keys())
    if sure:
        sections.append(("confidence", "How sure, and how right", how_sure(sure)))
    priced = measured(runs, lambda one: {"recall@5", "calls", "latency_ms"} <= one.figures.keys())
    if priced:
        sections.append(("cost", "What it costs", what_it_costs(priced)))
    every = measured(runs, lambda one: True)
    typed = {number: one for number, one in every.items() if any(question.type for question in one[1].per_question)}
    if typed:
        sections.append(("types", "By type of question", [by_type(typed)]))
    if every:
        told = [part for name, results in every.values() for part in misses(name, results)]
        sections.append(("misses", "What is missed", told))
    walked = [one for one in every.values() if any(question.path for question in one[1].per_question)]
    if walked:
        told = [part for name, results in walked for part in paths(name, results)]
        sections.append(("paths", "Searches step by step", told))
    lacking = [note for run in runs for note in _lacking(run)]
    if lacking:
        sections.append(("lacking", "What is not here", [element("ul", *lacking)]))
    return sections


_TRAIN = "trailhound train --index INDEX --questions DIR --split SPLIT --out"


def _lacking(run: Run) -> list[Html]:
    """Say what a run does not have, and which command gives it."""
    training, results, notes = run.training, run.results, []
    folder = "RUN" if training is None else quote(str(training.path))
    measure = f"trailhound evaluate --index INDEX --questions DIR --split SPLIT --policy {folder} --json results.json"
    if results is None:
        notes.append(_note(run, "confidence, costs, misses and paths", measure, "and give results.json to the report"))
    elif not results.per_question:
        given = {"index": "INDEX", "questions": "DIR", "split": "SPLIT", **results.settings}
        options = " ".join(f"--{name.replace('_', '-')} {quote(value)}" for name, value in given.items())
        again = f"trailhound evaluate {options} --json {quote(str(results.path))}"
        notes.append(_note(run, "how each question went, which earlier versions did not write", again))
    elif not all("confidence" in one.figures for one in results.per_question):
        notes.append(_note(run, "how sure each search is, which a policy says whose training came to its end", measure))
    if training is None and results is not None and "policy" in results.settings:
        notes.append(_note(run, "curves and settings of its training, whose folder was not found", f"{_TRAIN} RUN"))
    elif training is not None and not training.rounds:
        notes.append(_note(run, "curves: its folder has no log.jsonl, which training writes", f"{_TRAIN} {folder}"))
    elif training is not None and not training.metrics:
        about = "figures of validation: training has not ended, and the same command goes on with it"
        notes.append(_note(run, about, f"{_TRAIN} {folder}"))
    return notes


def _note(run: Run, what: str, command: str, then: str = "") -> Html:
    return element(
        "li", element("strong", run.name), f": {what}: ", element("code", command), f" {then}" if then else ""
    )
