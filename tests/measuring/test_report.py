"""A report shows what the files say, safely: whatever a title holds, the page keeps its structure and loads nothing."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser, LexborNode
from trailhound import Index, evaluate, write_report
from trailhound.cli import build_parser
from trailhound.errors import PolicyError, QuestionsError
from trailhound.learning._run_folder import RunLog
from trailhound.measuring._report_style import STYLE

HOSTILE = "</script></title></svg><script>alert(1)</script><img src=x onerror=alert(1)>\"'&]]>\x00\x1b\u202e\ud800"


def training(folder: Path, seed: int, recalls: Sequence[float], **changed: Any) -> Path:
    """Write what a training leaves: settings, the log by its own writer, and the figures of what was kept."""
    folder.mkdir()
    described = {"recipe": {"width": 64, "ppo_iterations": 2}, "seed": seed, "sources": [{"questions": "w"}], **changed}
    (folder / "run.json").write_text(json.dumps(described))
    log = RunLog(folder, 0)
    for number, recall in enumerate(recalls):
        figures = {"loss": 1 / (number + 1), "validation_recall@5": recall, "validation_score": recall, "entropy": 0.5}
        log.write(number, "imitation" if number < 2 else "ppo", figures)
    log.close()
    kept = {"recall@5": recalls[-1], "score": recalls[-1], "kept_round": len(recalls) - 1.0, "seconds": 60.0}
    (folder / "metrics.json").write_text(json.dumps(kept))
    return folder


def question(number: int, recall: float, text: str = "Who?", **figures: float) -> dict[str, Any]:
    """Return how a question went of which all evidence, or none of it, was found."""
    named = {"id": f"p{number}", "title": text}
    return {
        "id": f"q{number}",
        "question": text,
        "type": text,
        "figures": {"recall@5": recall, "complete": recall, "calls": 3, "latency_ms": 20.0, **figures},
        "missed": [] if recall == 1 else [named],
        "found": [{**named, "supports": recall == 1}],
        "path": [
            {"action": "expand", "detail": text, "reason": text, "titles": [text] * 3, "probability": 0.5},
            {"action": "stop", "detail": "stop", "reason": "", "titles": [], "probability": 1},
        ],
    }


def results(path: Path, questions: Sequence[Mapping[str, Any]], **more: Any) -> Path:
    found = [one["figures"]["recall@5"] for one in questions]
    value = {"system": "a system", "questions": len(questions), "recall@5": sum(found) / len(found)}
    path.write_text(json.dumps({**value, "per_question": questions, **more}))
    return path


def page(runs: Sequence[Path], folder: Path) -> LexborHTMLParser:
    return LexborHTMLParser(write_report(runs, folder / "report.html").read_text("utf-8"))


def nodes(tree: LexborHTMLParser | LexborNode, selector: str) -> list[LexborNode]:
    return list(tree.css(selector))


def only(tree: LexborHTMLParser | LexborNode, selector: str) -> LexborNode:
    (node,) = tree.css(selector)
    return node


def cells(tree: LexborHTMLParser | LexborNode, caption: str) -> dict[str, list[str]]:
    """Return the rows of a table by their headings; those of one heading are joined by place."""
    for table in nodes(tree, "table"):
        if only(table, "caption").text() == caption:
            rows = nodes(table, "tbody tr")
            return {f"{only(row, 'th').text()}": [cell.text() for cell in nodes(row, "td")] for row in rows}
    raise AssertionError(f"there is no table {caption!r}")


def structure(tree: LexborHTMLParser) -> list[str]:
    return [node.tag or "" for node in tree.css("*")]


@pytest.fixture(scope="module")
def real(small_index: Index, corpus_folder: Path, tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a real training, the evaluation of its policy, and that of a fixed system."""
    folder = tmp_path_factory.mktemp("real")
    evaluate(small_index, corpus_folder, "dev", policy=tiny_run, json_file=folder / "policy.json")
    evaluate(small_index, corpus_folder, "dev", system="lexical", json_file=folder / "lexical.json")
    return write_report([tiny_run, folder / "policy.json", folder / "lexical.json"], folder / "page.html")


def test_a_real_run_has_every_section_and_its_own_figures(real: Path, tiny_run: Path) -> None:
    tree = LexborHTMLParser(real.read_text("utf-8"))
    found = [node.attributes["id"] for node in nodes(tree, "main > section")]
    assert found[:7] == ["runs", "training", "confidence", "cost", "types", "misses", "paths"]
    policy = json.loads((real.parent / "policy.json").read_text())
    lexical = json.loads((real.parent / "lexical.json").read_text())
    figures = cells(tree, "Figures; of several seeds the mean ± standard deviation")
    assert figures["recall@5"] == [f"{policy['recall@5']:.3f}", f"{lexical['recall@5']:.3f}"]
    assert figures["brier_score"][0] == f"{policy['brier_score']:.3f}"
    kept = json.loads((tiny_run / "metrics.json").read_text())
    assert figures["validation: recall@5"] == [f"{kept['recall@5']:.3f}", "–"]
    rounds = [json.loads(line) for line in (tiny_run / "log.jsonl").read_text().splitlines()]
    curve = cells(tree, "validation recall@5")
    assert [curve[str(row["round"])] for row in rounds] == [
        [f"{row['validation_recall@5']:.3f}"] for row in rounds
    ] or [float(curve[str(row["round"])][0]) for row in rounds] == pytest.approx(
        [row["validation_recall@5"] for row in rounds], abs=6e-4
    )
    missed = [one for one in policy["per_question"] if one["missed"]]
    assert f"{len(missed)} of {len(policy['per_question'])} questions miss some" in only(tree, "#misses").text()
    told = [node.text() for node in nodes(tree, "#paths .path > p > strong")]
    assert set(told) <= {one["question"] for one in policy["per_question"] + lexical["per_question"]}
    assert len(told) >= 3


def test_the_page_loads_nothing_and_runs_nothing(real: Path) -> None:
    text = real.read_text("utf-8")
    tree = LexborHTMLParser(text)
    assert nodes(tree, "script, link, img, iframe, object, embed, form, base, foreignObject") == []
    for node in nodes(tree, "*"):
        for name, value in node.attributes.items():
            assert not name.startswith("on"), name
            assert name not in ("src", "srcset", "data", "action", "style"), name
            assert name != "href" or (value or "").startswith("#"), value
    assert re.search(r"url\(|@import|https?:", STYLE) is None
    policy = only(tree, "meta[http-equiv]").attributes["content"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_the_page_can_be_read_by_everyone(real: Path) -> None:
    tree = LexborHTMLParser(real.read_text("utf-8"))
    assert only(tree, "html").attributes["lang"] == "en"
    names = [node.attributes["id"] for node in nodes(tree, "[id]")]
    assert len(names) == len(set(names))
    assert {(node.attributes["href"] or "")[1:] for node in nodes(tree, "a")} <= set(names)
    pictures = nodes(tree, "svg[role=img]")
    assert len(pictures) > 5
    for picture in pictures:
        assert picture.attributes["aria-label"]
        assert len(only(picture, "svg > title").text()) > 2
        assert " against " in only(picture, "desc").text()
    for table in nodes(tree, "table"):
        assert only(table, "caption").text()
        assert all(node.attributes.get("scope") for node in nodes(table, "th"))
    for region in nodes(tree, "[tabindex]"):
        assert region.attributes["aria-label"]
    levels = [int((node.tag or "h0")[1]) for node in nodes(tree, "h1, h2, h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def luminance(colour: str) -> float:
    """Return the relative luminance of ``#rgb`` or ``#rrggbb`` (WCAG 2.2)."""
    digits = colour.lstrip("#")
    parts = [digits[k : k + 2] for k in (0, 2, 4)] if len(digits) == 6 else [2 * one for one in digits]
    shares = [int(part, 16) / 255 for part in parts]
    red, green, blue = [s / 12.92 if s <= 0.03928 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_light_and_dark_and_paper_have_contrast_enough() -> None:
    themes = re.findall(r":root\{(.*?)\}", STYLE, re.S)
    assert len(themes) == 3
    for theme in themes:
        colours = dict(re.findall(r"--([\w-]+):(#\w+)", theme))
        for name in ("text", "quiet", "link", "good", "bad", *(f"c{number}" for number in range(8))):
            for ground in ("page", "panel"):
                light, dark = sorted((luminance(colours[name]), luminance(colours[ground])), reverse=True)
                assert (light + 0.05) / (dark + 0.05) >= (4.5 if name[0] != "c" else 3), (name, ground, colours)


def test_a_point_of_a_curve_lies_where_its_number_says(tmp_path: Path) -> None:
    recalls = [0.5, 0.75, 0.6, 0.9]
    tree = page([training(tmp_path / "run", 0, recalls)], tmp_path)
    picture = only(tree, "svg[aria-label^='validation recall@5']")
    across, up = {}, {}
    for text in nodes(picture, "text.middle, text.end"):
        if re.fullmatch(r"[\d.]+", text.text()):
            x, y = (float(text.attributes[name] or "") for name in ("x", "y"))
            if text.attributes["class"] == "end":
                up[float(text.text())] = y - 4
            else:
                across[float(text.text())] = x
    drawn = re.findall(r"[ML]([\d.]+) ([\d.]+)", only(picture, "path.line").attributes["d"] or "")
    assert len(drawn) == 4
    low, high = min(up), max(up)
    for number, (recall, (x, y)) in enumerate(zip(recalls, drawn, strict=True)):
        assert float(x) == pytest.approx(across[0] + (across[3] - across[0]) * number / 3, abs=0.2)
        assert float(y) == pytest.approx(up[low] + (up[high] - up[low]) * (recall - low) / (high - low), abs=0.2)
    ring = only(picture, "circle.ring").attributes
    assert [float(ring[name] or "") for name in ("cx", "cy")] == pytest.approx(
        [float(one) for one in drawn[3]], abs=0.2
    )
    assert "ppo" in [text.text() for text in nodes(picture, "text")], "where the second phase begins"
    assert "from 0.500 at 0 to 0.900 at 3, highest 0.900" in only(picture, "desc").text()


def test_seeds_of_one_thing_are_told_together_and_what_differs_is_named(tmp_path: Path) -> None:
    runs = [training(tmp_path / f"a{seed}", seed, [0.5, 0.5, 0.6 + seed / 10]) for seed in range(3)]
    runs.append(training(tmp_path / "wide", 0, [0.5, 0.9], recipe={"width": 128, "ppo_iterations": 2}))
    tree = page(runs, tmp_path)
    heads = [node.text() for node in nodes(only(tree, "#runs"), "table")[0].css("thead th")]
    assert heads == ["", "3 seeds: a0, a1, a2", "wide"]
    assert cells(tree, "What the runs differ in") == {"width": ["64", "128"], "seed": ["0, 1, 2", "0"]}
    figures = cells(tree, "Figures; of several seeds the mean ± standard deviation")
    assert figures["validation: recall@5"] == ["0.700 ± 0.100", "0.900"]
    assert len(nodes(only(tree, "svg[aria-label^='validation recall@5']"), "path.line")) == 4


def test_evaluations_of_several_seeds_are_joined_with_their_trainings(tmp_path: Path) -> None:
    runs = []
    for seed, recalls in enumerate(([1, 0, 0, 0], [1, 1, 0, 0])):
        folder = training(tmp_path / f"run{seed}", seed, [0.5, 0.6])
        questions = [question(number, recall) for number, recall in enumerate(recalls)]
        asked = {"index": "x", "split": "dev", "policy": str(folder)}
        runs += [folder, results(tmp_path / f"of{seed}.json", questions, settings=asked)]
    runs.append(results(tmp_path / "hybrid.json", [question(0, 1)], settings={"index": "x", "system": "hybrid"}))
    tree = page(runs, tmp_path)
    figures = cells(tree, "Figures; of several seeds the mean ± standard deviation")
    assert figures["recall@5"] == ["0.375 ± 0.177", "1.000"]
    assert figures["validation: recall@5"] == ["0.600 ± 0.000", "–"]
    assert cells(tree, "What the runs differ in") == {
        "measured: split": ["dev", "–"],
        "measured: system": ["–", "hybrid"],
        "seed": ["0, 1", "–"],
    }
    alone = page(runs[1:2], tmp_path)
    assert nodes(alone, "#training"), "the folder of the policy is still there"


def test_confidence_and_costs_by_hand(tmp_path: Path) -> None:
    asked = [
        question(0, 1, confidence=0.92, calls=2),
        question(1, 0, confidence=0.94, calls=4),
        question(2, 1, confidence=0.15, calls=8),
        question(3, 1, confidence=0.98, calls=4),
    ]
    tree = page([results(tmp_path / "r.json", asked)], tmp_path)
    rows = [[cell.text() for cell in nodes(row, "th, td")] for row in nodes(only(tree, "#confidence"), "tbody tr")]
    assert rows == [
        ["r.json", "0.1 to 0.2", "1", "0.150", "1.000"],
        ["r.json", "0.9 to 1.0", "3", "0.947", "0.667"],
    ]
    picture = only(tree, "svg[aria-label^='recall@5 within so many calls']")
    points = [node.text() for node in nodes(picture, "g title")]
    assert points == ["r.json: 0 at 0", "r.json: 0.250 at 2", "r.json: 0.500 at 4", "r.json: 0.750 at 8"]
    assert cells(tree, "recall@5 within so many calls")["r.json"] == ["4.500", "4", "7.400", "0.750"]


def test_the_worst_misses_come_first_and_say_what_was_found(tmp_path: Path) -> None:
    asked = [question(number, 0, f"Question {number}?", confidence=number / 100) for number in range(50)]
    asked.append(question(50, 1, "Found?"))
    tree = page([results(tmp_path / "r.json", asked)], tmp_path)
    rows = cells(tree, "Misses of r.json")
    assert next(iter(rows)) == "Question 49?"
    assert len(rows) == 40
    assert rows["Question 49?"][-2:] == ["Question 49? (p49)", "Question 49? (p49)"]
    assert "50 of 51 questions miss some" in only(tree, "#misses").text()
    assert "The 40 worst are shown" in only(tree, "#misses").text()
    told = [node.text() for node in nodes(tree, "#paths .path > p > strong")]
    assert told == ["Found?", "Question 49?"]


def hostile_page(folder: Path, text: str) -> LexborHTMLParser:
    """Write a page whose every text is the same one."""
    run = training(folder / "run", 0, [0.5, 0.6], start=text, hop_encoder={text: [text]})
    with (run / "log.jsonl").open("a") as log:
        log.write(json.dumps({"round": 2, "phase": text, "loss": 0.2, f"loss {text}": 1.0}) + "\n")
    asked = [question(0, 1, text, confidence=0.9), question(1, 0, text, confidence=0.2)]
    file = results(folder / "r.json", asked, system=text, settings={"index": text, "questions": text})
    old = folder / "old.json"
    figure = f"recall {text.replace('[', '(')}"  # a bracket holds a type, whose figures stand elsewhere
    old.write_text(json.dumps({"system": text, "questions": 1, figure: 1, "settings": {"index": text}}))
    return page([run, file, old], folder)


@given(text=st.text(min_size=1, max_size=40) | st.just(HOSTILE))
@settings(max_examples=15)
def test_no_text_changes_the_structure_of_the_page(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    text = text.encode("utf-8", "replace").decode()
    plain = structure(hostile_page(tmp_path_factory.mktemp("plain"), "words"))
    assert structure(hostile_page(tmp_path_factory.mktemp("hostile"), text)) == plain


def test_hostile_text_is_shown_as_text_and_steers_nothing(tmp_path: Path) -> None:
    text = HOSTILE.encode("utf-8", "replace").decode()
    tree = hostile_page(tmp_path, text)
    assert nodes(tree, "script, img") == []
    assert "<script>alert(1)</script>" in only(tree, "#misses").text()
    written = (tmp_path / "report.html").read_text("utf-8")
    assert not re.search("[\x00-\x08\x0e-\x1f\u202a-\u202e]", written)


def test_what_is_not_there_is_named_with_a_command_that_gives_it(tmp_path: Path) -> None:
    run = training(tmp_path / "run", 0, [0.5, 0.6])
    (run / "log.jsonl").unlink()
    old = tmp_path / "old.json"
    asked = {"index": "w.index", "questions": "data/w", "split": "dev", "query_encoder": "runs/q", "system": "dense"}
    old.write_text(json.dumps({"system": "s", "questions": 3, "recall@5": 0.5, "settings": asked}))
    tree = page([run, old], tmp_path)
    assert nodes(tree, "#training, #confidence, #cost, #misses, #paths") == []
    commands = [node.text() for node in nodes(tree, "#lacking code")]
    assert len(commands) == 3
    parsed = [build_parser().parse_args(shlex.split(command)[1:]) for command in commands]
    assert parsed[0].policy == run
    assert (parsed[2].index, parsed[2].query_encoder, parsed[2].json) == (Path("w.index"), Path("runs/q"), old)
    assert "figures of each question" not in only(tree, "#lacking").text()


def test_a_run_that_is_still_going_on_is_shown_as_far_as_it_is(tmp_path: Path) -> None:
    run = training(tmp_path / "run", 0, [0.5, 0.6])
    (run / "metrics.json").unlink()
    with (run / "log.jsonl").open("a") as log:
        log.write('{"round": 2, "phase": "ppo", "lo')
    tree = page([run], tmp_path)
    assert list(cells(tree, "loss")) == ["0", "1"]
    assert "training has not ended" in only(tree, "#lacking").text()


def test_figures_that_are_no_numbers_leave_a_gap(tmp_path: Path) -> None:
    run = training(tmp_path / "run", 0, [0.5, 0.6])
    with (run / "log.jsonl").open("a") as log:
        log.write('{"round": 2, "phase": "ppo", "loss": NaN}\n{"round": 3, "phase": "ppo", "loss": 1e999}\n')
        log.write('{"round": 4, "phase": "ppo", "loss": 0.25}\n')
    assert list(cells(page([run], tmp_path), "loss")) == ["0", "1", "4"]


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QuestionsError, match="there is no run to report on"):
        write_report([], tmp_path / "x.html")
    with pytest.raises(PolicyError, match=r"is no folder of a run, it has no run.json, log.jsonl or metrics.json"):
        write_report([tmp_path], tmp_path / "x.html")
    with pytest.raises(QuestionsError, match="cannot be read"):
        write_report([tmp_path / "gone.json"], tmp_path / "x.html")
    run = training(tmp_path / "run", 0, [0.5, 0.6])
    (run / "log.jsonl").write_text('{"phase": "ppo"}\n')
    with pytest.raises(PolicyError, match=r"log.jsonl:1 is damaged \(no round\)"):
        write_report([run], tmp_path / "x.html")
    (run / "log.jsonl").write_text('{"round": 0}\n{"round"\n')
    with pytest.raises(PolicyError, match=r"log.jsonl:2 is damaged"):
        write_report([run], tmp_path / "x.html")
    (run / "run.json").write_text("[]")
    with pytest.raises(PolicyError, match=r"run.json is damaged \(no JSON object\)"):
        write_report([run], tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    runs = [training(tmp_path / name / "run", 0, [0.5, 0.6]) for name in ("one", "two")]
    tree = page([*runs, runs[0]], tmp_path)
    assert [node.text().strip() for node in nodes(tree, "header .legend li")] == ["one/run", "two/run"]
