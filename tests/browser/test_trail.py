"""How the trail of a search is read off its steps, and how marks are set: by hand-made examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from browser.visiting import Visit


def step(action: str, detail: str, reason: str, *passages: str) -> dict[str, Any]:
    titles = [passage.title() for passage in passages]
    return {
        "action": action,
        "detail": detail,
        "reason": reason,
        "passages": passages,
        "titles": titles,
        "probability": 0.5,
    }


STEPS = [
    step("expand", "ask the lexical index", "every search begins with it", "a", "b", "c"),
    step("take", "take “A”", "lexical rank 1", "a"),
    step("hop", "follow what “A” mentions", "“A” was taken", "d", "e"),
    step("take", "take “D”", "“A” mentions it", "d"),
    step("expand", "ask the dense index, given “D”, page 2", "2 passages taken so far", "f"),
    step("hop", "follow what mentions “A”", "“A” was taken"),
    step("stop", "stop", "no further step promised more than its price"),
]
TRAIL = """async (steps) => {
  const { groups, taken, links, stop } = (await import("/page/trail.js")).trailOf(steps);
  return {
    groups: groups.map(({ number, label, from, depth, passages }) => [number, label, from, depth, passages.length]),
    taken: [...taken].map(([id, { order, depth }]) => [id, order, depth]),
    links: links.map(({ from, to }) => [from, to]), stop: stop?.number,
  };
}"""
MARKS = """async ([text, marks, offset]) => {
  const { marked } = await import("/page/marks.js");
  const nodes = marked(text, marks, offset);
  return nodes.map((node) => typeof node === "string" ? node : [node.className, node.textContent]);
}"""
PARSED = """async (parts) => {
  const { events } = await import("/page/api.js");
  const real = window.fetch;
  const bytes = parts.map((part) => Uint8Array.from(part));
  window.fetch = async () => new Response(new ReadableStream({
    start(controller) { bytes.forEach((part) => controller.enqueue(part)); controller.close(); },
  }));
  const found = [];
  try {
    for await (const event of events("/", {})) found.push(event);
  } finally {
    window.fetch = real;
  }
  return found;
}"""


def test_steps_set_out_from_the_passage_that_they_name(visit: Callable[..., Visit]) -> None:
    page = visit().go()
    assert page.evaluate(TRAIL, STEPS) == {
        "groups": [
            [1, "by words", None, 1, 3],
            [3, "mentions", "a", 2, 2],
            [5, "by meaning, page 2", "d", 3, 1],
            [6, "mentioned in", "a", 2, 0],
        ],
        "taken": [["a", 1, 1], ["d", 2, 2]],
        "links": [["a", "d"]],
        "stop": 7,
    }


def test_marks_overlap_and_count_whole_characters(visit: Callable[..., Visit]) -> None:
    page = visit().go()
    marks = [{"start": 12, "end": 16, "kind": "sentence"}, {"start": 14, "end": 18, "kind": "exact"}]
    assert page.evaluate(MARKS, ["🏔a🌊bcdefgh", marks, 10]) == [
        "🏔a",
        ["sentence", "🌊b"],
        ["sentence exact", "cd"],
        ["exact", "ef"],
        "gh",
    ]
    assert page.evaluate(MARKS, ["abc", [{"start": 5, "end": 9, "kind": "exact"}], 0]) == ["abc"]


def test_a_stream_is_read_wherever_it_is_cut(visit: Callable[..., Visit]) -> None:
    page = visit().go()
    first = ': still here\r\n\r\nevent: step\r\ndata: {"title": "🏔é"}\r\n\r\n'
    stream = f'{first}event: result\ndata: {{"a":\ndata: 1}}\n\n'.encode()
    whole = [{"event": "step", "data": {"title": "🏔é"}}, {"event": "result", "data": {"a": 1}}]
    assert page.evaluate(PARSED, [list(stream)]) == whole
    assert page.evaluate(PARSED, [[byte] for byte in stream]) == whole
