"""What ``trailhound search`` prints: the answer or the best sentence, the passages, and the path in short."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator

from ..agent._drawing import draw_path, summarise_path
from ..agent.reader._citations import WrittenAnswer
from ..agent.search_result import Evidence, SearchResult
from ..retrievers._places import place_of
from ..retrievers._svg import printable
from ..retrievers.records import Passage

_WIDTH = 100
_AROUND = 360
"""Characters of a passage that are shown, about the sentence that matters."""
_BEFORE = 100
_LONGEST = 480
"""Characters of a sentence that are shown."""
_ON, _OFF = "\ue000", "\ue001"
"""Stand in a line where the highlight begins and ends; no passage keeps them."""
_RULE = re.compile(r"\|?[\s:|-]{3,}")
"""The line below the header of a Markdown table."""


def print_result(result: SearchResult, whole_path: bool) -> None:
    """Print a result; what documents say can neither pose as a line of its own nor steer the terminal."""
    highlighted = False
    for line in _page(result, whole_path):
        highlighted = _print(line, highlighted)


def _page(result: SearchResult, whole_path: bool) -> Iterator[str]:
    if result.unanswered and result.evidence:
        yield "Probably not answered here. What comes nearest:"
    if result.unreachable:
        yield printable(f"Not reachable, so not searched: {', '.join(result.unreachable)}")
    if result.written is not None:
        yield from _written(result.written)
    else:
        yield from _headline(result)
    for evidence in result.evidence:
        yield ""
        yield from _passage(evidence)
    yield ""
    if whole_path:
        yield from draw_path(result).split("\n")
        yield ""
    else:
        for number, line in enumerate(summarise_path(result)):
            yield from _wrapped(line, "path: " if not number else "      ", "        ")
    effort = f"{result.calls} calls, {result.milliseconds:.0f} ms"
    if result.shards:
        effort += f", shards asked: {len(result.shards)}"
    yield f"{'by' if whole_path else '      by'} the {printable(result.answered_by)}: {effort}"
    if result.confidence is not None:
        margin = "" if whole_path else "      "
        yield f"{margin}that these hold all the evidence has a probability of {result.confidence:.2f}"


def _headline(result: SearchResult) -> Iterator[str]:
    """Say the answer where reader and search are sure of it, else the sentence that agrees best with the question."""
    answer = result.answer
    found = [evidence for evidence in result.evidence if answer is not None and evidence.passage.id == answer.passage]
    if not result.evidence:
        yield "Nothing was found."
    elif answer is not None and answer.stated and not result.unanswered:
        yield f"Answer: {_ON}{_plain(answer.text)}{_OFF} (probability {answer.probability:.2f})"
        if found:
            yield from _quoted(found[0], answer.start, answer.end)
    else:
        scored = [evidence for evidence in result.evidence if evidence.sentence is not None]
        best = max(scored, key=lambda one: one.sentence.score if one.sentence else 0.0, default=None)
        if best is not None and best.sentence is not None:
            yield "Best sentence:"
            yield from _quoted(best, best.sentence.start, best.sentence.end)


def _written(answer: WrittenAnswer) -> Iterator[str]:
    """Say what a language model wrote, and what of it the passages that it cites do not support."""
    yield f"Written by {_plain(answer.written_by)} from the passages below:"
    for claim in answer.claims:
        yield from _wrapped(_plain(claim.text), "   ", "   ")
        if claim.problem is not None:
            yield f"   ✗ not supported: this {claim.problem}"


def _quoted(evidence: Evidence, start: int, end: int) -> Iterator[str]:
    """Yield a place of a passage within the sentence it stands in, and where that is."""
    passage = evidence.passage
    spans = [(first, last) for first, last in passage.sentences if first <= start < last]
    first, last = spans[0] if spans else (start, end)
    shown = _marked(passage.text, start, end, min(first, start), max(last, end))
    yield from _wrapped(shown.removeprefix("… ").removesuffix("…"), "   ", "   ")
    yield f"   ({_where(evidence, start)}, passage {evidence.rank})"


def _passage(evidence: Evidence) -> Iterator[str]:
    """Yield rank and title, the place, and the text about the sentence that matters."""
    passage, sentence = evidence.passage, evidence.sentence
    mark = "✓" if evidence.taken else " "
    title = _plain(passage.title) or _plain(passage.text[:60])
    yield from _wrapped(title, f"{mark} {evidence.rank}. ", "     ")
    start, end = (sentence.start, sentence.end) if sentence is not None else (0, 0)
    yield f"     {_where(evidence, start)}"
    if passage.lead:
        yield from _wrapped(_cut(_marked(passage.lead, 0, 0, 0, _AROUND), _AROUND), "     ", "     ")
    first = max(start - _BEFORE, _after_title(passage)) if start else _after_title(passage)
    yield from _wrapped(_marked(passage.text, start, end, first, start + _AROUND), "     ", "     ")


def _after_title(passage: Passage) -> int:
    """Return where the text goes on after a first heading that is the title over again."""
    heading, _, rest = passage.text.partition("\n")
    same = heading.startswith("#") and heading.strip("# ") == passage.title.strip()
    return len(passage.text) - len(rest.lstrip()) if same and rest.strip() else 0


def _where(evidence: Evidence, offset: int) -> str:
    """Say where a place of a passage stands; its page is that of the sentence, where the place is within it."""
    sentence, passage = evidence.sentence, evidence.passage
    within = sentence is not None and sentence.start <= offset < sentence.end
    return _plain(place_of(passage, offset, evidence.page if within else None)) or _plain(passage.id)


def _marked(text: str, start: int, end: int, first: int, last: int) -> str:
    """Return a text from ``first`` to ``last``, cut at words, with ``start`` to ``end`` marked, in its own lines."""
    text = text.replace(_ON, "\ufffd").replace(_OFF, "\ufffd")
    first, last = max(min(first, start or first), 0), max(min(last, len(text)), min(end, start + _LONGEST))
    end = min(end, last)
    while 0 < first < start and not text[first - 1].isspace():
        first += 1
    while end < last < len(text) and not text[last].isspace():
        last -= 1
    parts = [text[first:start], _ON, text[start:end], _OFF, text[end:last]] if end > start else [text[first:last]]
    head = ["… "] if text[:first].strip() and not text.startswith("#") else []
    tail = ["…"] if last < len(text.rstrip()) else []
    lines = "".join([*head, *parts, *tail]).split("\n")
    return "\n".join(line for line in lines if line.strip() and not _RULE.fullmatch(line.strip()))


def _plain(text: str) -> str:
    """Return a text in one line that a terminal can show."""
    return " ".join(_clean(text).split())


def _clean(text: str) -> str:
    return printable(text).replace(_ON, "\ufffd").replace(_OFF, "\ufffd")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _wrapped(text: str, start: str, following: str) -> list[str]:
    """Return the lines of a text, wrapped; none of them begins at the margin but the first one by its ``start``."""
    width = max(_width(), 40)
    lines: list[str] = []
    for line in text.split("\n"):
        flat = " ".join(printable(line).split())
        lines += textwrap.wrap(flat, width, initial_indent=following if lines else start, subsequent_indent=following)
    return lines or [start.rstrip()]


def _width() -> int:
    from rich.console import Console

    return min(Console().width, 120) if sys.stdout.isatty() else _WIDTH


def _print(line: str, highlighted: bool) -> bool:
    """Print a line: highlighted on a terminal, between « and » elsewhere; returns whether the highlight goes on."""
    from rich.console import Console
    from rich.text import Text

    console = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
    if not console.is_terminal or console.no_color:
        print(line.replace(_ON, "«").replace(_OFF, "»"))
        return False
    margin = len(line) - len(line.lstrip())
    shown = Text(line[:margin])
    for part in re.split(f"([{_ON}{_OFF}])", line[margin:]):
        if part in {_ON, _OFF}:
            highlighted = part == _ON
        else:
            shown.append(part, "bold yellow" if highlighted else None)
    console.print(shown)
    return highlighted
