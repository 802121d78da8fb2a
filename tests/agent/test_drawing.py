"""A path as text keeps its width; as a picture it is XML that holds every step, whatever the titles contain."""

import json
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trailhound import Index, SearchAgent, SearchResult, Step
from trailhound.agent._drawing import draw_path, draw_svg
from trailhound.demo._encyclopedia import Encyclopedia
from trailhound.retrievers._svg import printable, printable_json, printable_lines

SVG = "{http://www.w3.org/2000/svg}"


def result_of(*steps: Step, question: str = "Who is it?") -> SearchResult:
    return SearchResult(question, (), steps, "policy runs/x", 1.0, 1)


def step(action: str, detail: str, *titles: str, reason: str = "it was asked", probability: float = 0.75) -> Step:
    return Step(action, detail, reason, tuple(f"p{k}" for k in range(len(titles))), titles, probability)


WALK = result_of(
    step("expand", "ask the dense index", "A", "B", "C", "D", "E", reason="nothing is in view yet"),
    step("take", "take “A”", "A", reason="the question names it"),
    step("hop", "follow what “A” mentions", reason="“A” is evidence"),
    step("stop", "stop", reason="the evidence looks complete"),
)


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_a_path_in_lines() -> None:
    assert draw_path(WALK).splitlines() == [
        "Who is it?",
        "├─ ? ask the dense index",
        "│    because nothing is in view yet (0.75)",
        "│    brought A, B, C and 2 more",
        "├─ ✓ take “A”",
        "│    because the question names it (0.75)",
        "├─ → follow what “A” mentions",
        "│    because “A” is evidence (0.75)",
        "│    brought nothing new",
        "└─ ■ stop",
        "     because the evidence looks complete (0.75)",
    ]


def test_a_fixed_system_is_not_said_to_be_certain() -> None:
    assert "(1.00)" not in draw_path(result_of(step("expand", "ask the lexical index", "A", probability=1.0)))


def test_a_path_without_steps_is_the_question() -> None:
    assert draw_path(result_of()) == "Who is it?"
    assert texts(draw_svg(result_of())) == ["Who is it?"]


WORDS = st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from(
    [
        "<b>&amp;</b>",
        "a]]>b",
        "\x1b[31mred",
        "a\x9bb",
        "line\u2028end",
        "next\x85line",
        "right\u202eleft",
        "w" * 300,
        " ",
    ]
)
STEPS = st.lists(
    st.builds(
        lambda action, detail, titles, reason, probability: step(
            action, f"do {detail}", *titles, reason=reason, probability=probability
        ),
        st.sampled_from(["expand", "hop", "take", "stop"]),
        WORDS,
        st.lists(WORDS, max_size=5),
        WORDS,
        st.floats(0.01, 1),
    ),
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(STEPS, WORDS, st.integers(-5, 140))
def test_no_line_is_wider_than_asked_and_every_step_is_there(steps: list[Step], question: str, width: int) -> None:
    drawn = draw_path(result_of(*steps, question=f"Q {question}"), width)
    lines = drawn.splitlines()
    assert lines == drawn.split("\n"), "nothing in a title can break a line"
    assert max(map(len, lines)) <= max(width, 30)
    assert sum(line.startswith(("├─ ", "└─ ")) for line in lines) == len(steps)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", drawn)


@settings(max_examples=150, deadline=None)
@given(STEPS, WORDS)
def test_the_picture_is_xml_and_holds_every_step(steps: list[Step], question: str) -> None:
    svg = draw_svg(result_of(*steps, question=f"Q {question}"))
    root = ElementTree.fromstring(svg.encode())
    shown = re.sub(r"\s", "", "".join(texts(svg)))
    for part in (f"Q {question}", *(f"{s.detail}because {s.reason}" for s in steps)):
        assert re.sub(r"\s", "", printable(part)) in shown
    boxes = root.findall(f"{SVG}rect")[1:]
    assert len(boxes) == len(steps)
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg",
        "defs",
        "marker",
        "path",
        "rect",
        "text",
    }


def test_boxes_stand_below_each_other_inside_the_picture() -> None:
    root = ElementTree.fromstring(draw_svg(WALK))
    boxes = [(float(box.get("y", "")), float(box.get("height", ""))) for box in root.findall(f"{SVG}rect")[1:]]
    for (top, height), (following, _) in pairwise(boxes):
        assert top + height < following
    assert boxes[-1][0] + boxes[-1][1] < float(root.get("height", ""))
    rows = [float(text.get("y", "")) for text in root.iter(f"{SVG}text")]
    assert rows == sorted(set(rows)), "no line is drawn over another"


def test_markup_in_a_title_is_text() -> None:
    svg = draw_svg(result_of(step("take", "take “<script>alert(1)</script> & co”", "x"), question="a < b"))
    assert "<script" not in svg
    assert "take “<script>alert(1)</script> & co”" in texts(svg)


def test_what_could_steer_a_terminal_is_shown_as_unreadable() -> None:
    assert printable("a\x1b[2Jb\x85c\u202ed\ud800") == "a\ufffd[2Jb\ufffdc\ufffdd\ufffd"
    assert printable("Zoë “quoted” 日本 🐾 👩\u200d🔬") == "Zoë “quoted” 日本 🐾 👩\u200d🔬"
    assert printable("a\u200eb\u061cc\u2067d\ufeff\U000e0041") == "a\ufffdb\ufffdc\ufffdd\ufffd\ufffd"
    assert printable("A title\r\n✓ [1] forged\tline") == "A title  ✓ [1] forged line"
    assert printable_lines("a\x1b\nb") == "a\ufffd\nb"


def test_json_for_a_terminal_is_the_same_json_without_raw_controls() -> None:
    value = {"ti\x1btle": "a\x9b\u202e\u2066é\x7f\ud800 日本"}
    text = printable_json(value)
    assert json.loads(text) == value
    assert printable_lines(text) == text
    assert "é" in text
    assert printable_json(value, ascii_only=True).isascii()


@pytest.mark.parametrize("system", ["hybrid", "ppr"])
def test_a_real_search_is_drawn(system: str, small_index: Index, encyclopedia: Encyclopedia) -> None:
    result = SearchAgent(small_index, system=system).search(encyclopedia.questions[0].text)
    drawn, svg = draw_path(result), texts(draw_svg(result))
    for part in result.path:
        assert part.detail in drawn
        assert part.detail in svg
