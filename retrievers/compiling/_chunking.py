"""Documents into passages that an encoder reads whole: units gathered to a size, cut where it hurts least."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ...errors import CorpusError
from ..records import Document, Passage, Spans
from ._sentences import sentence_spans
from ._units import Unit, Units
from ._window import Window, fits_surely

WANTED = 0.8
"""Size of the parts that a long section is cut into, of the most that they may have: whole sentences need room."""

SMALLEST = 0.5
"""Sections of fewer tokens, in parts of that size, are merged with their neighbours."""

_OF_DOCUMENT = ("page_starts", "first_line", "file_hash")


def chunk(document: Document, tokens: int = 120, window: Window | None = None, spare: int = 0) -> list[Passage]:
    """Cut a document into passages, in order and without overlap; ids are ``<document id>#0``, ``#1`` and so on.

    Small sections are merged with their neighbours, long ones cut into parts of about one size: between blocks rather
    than sentences, between sentences rather than words. A heading stays with what follows it, the rows of a table and
    the lines of code stay whole, and rows after the first passage of a table have its header as their ``lead``. Every
    character that is not white space is in exactly one passage.

    An atomic document that the encoder reads whole is one passage with the document's id.

    Args:
        document: what to cut.
        tokens: most tokens of a passage; an atomic document is cut as seldom as can be instead.
        window: counts tokens, and says how many there may be; words, and any number, when None.
        spare: tokens that are left free for a line before the passage; no more than a quarter of the window is.

    Raises:
        CorpusError: they are below 1.
    """
    if tokens < 1:
        raise CorpusError(f"a passage of {tokens} tokens cannot be made: tokens must be 1 or more")
    window = window or Window()
    if document.atomic and _is_read_whole(document, window):
        passages = [_whole(document)]
    else:
        passages = _cut(document, tokens, window, spare)
    return _with_places(document, passages)


def is_atomic(document: Document, passages: Sequence[Passage]) -> bool:
    """Return whether the document is its one passage."""
    return len(passages) == 1 and passages[0].id == document.id


def _is_read_whole(document: Document, window: Window) -> bool:
    if window.limit is None or fits_surely(f"{document.title}. {document.text}", window.limit):
        return True
    whole = window.embedded([_unplaced(document, "", (0, len(document.text)), (), "")], [""])
    return window.counts(whole)[0] <= window.limit


def _whole(document: Document) -> Passage:
    spans = sentence_spans(document.text, document.markup)
    return _unplaced(document, document.id, (0, len(document.text)), spans, "")


def _unplaced(document: Document, identifier: str, span: tuple[int, int], sentences: Spans, lead: str) -> Passage:
    start, end = span
    text = document.text[start:end]
    return Passage(
        identifier, document.id, document.title, text, start, end, sentences, document.source, document.metadata, lead
    )


def _cut(document: Document, tokens: int, window: Window, spare: int) -> list[Passage]:
    most = tokens
    if window.limit is not None:
        room = max(
            1, window.limit - window.counts([window.title(document.title) + "."])[0] - min(spare, window.limit // 4)
        )
        most = room if document.atomic else min(tokens, room)
    wanted = most if document.atomic else WANTED * most
    units = Units(document.text, document.markup, window, most)
    parts = [part for run in _runs(units.all, most, wanted) for part in _split(units, run, most, wanted)]
    passages = _within(document, units, parts, window)
    return [replace(passage, id=f"{document.id}#{number}") for number, passage in enumerate(passages)]


def _runs(units: Sequence[Unit], most: int, wanted: float) -> list[Sequence[Unit]]:
    """Return the sections of a document, small ones with their neighbours."""
    begins = [place for place, unit in enumerate(units) if unit.section and place]
    smallest = SMALLEST * wanted
    runs: list[tuple[int, int, int]] = []  # start, end, tokens
    for start, end in zip([0, *begins], [*begins, len(units)], strict=True):
        size = sum(units[place].size for place in range(start, end))
        if runs:
            first, _, before = runs[-1]
            if before < smallest or (size < smallest and before + size <= most):
                runs[-1] = (first, end, before + size)
                continue
        runs.append((start, end, size))
    if len(runs) > 1 and runs[-1][2] < smallest / 2:
        first, _, before = runs[-2]
        runs[-2:] = [(first, len(units), before + runs[-1][2])]
    return [units[start:end] for start, end, _ in runs]


def _split(units: Units, run: Sequence[Unit], most: int, wanted: float) -> Iterator[Sequence[Unit]]:
    """Yield parts of a run of about the wanted size, none above ``most`` tokens unless a single unit is."""
    left = sum(unit.size for unit in run)
    start = 0
    while start < len(run):
        used = units.lead(run[start]).size if start else 0
        if used + left <= most:
            yield run[start:]
            return
        aim = (used + left) / max(-(-(used + left) // most), round((used + left) / wanted))
        best, least = start + 1, float("inf")
        for place in range(start, len(run)):
            used += run[place].size
            if used > most:
                break
            after = run[place + 1].cost if place + 1 < len(run) else 0.0
            cost = abs(used - aim) / aim + after
            if cost <= least:
                best, least = place + 1, cost
        yield run[start:best]
        left -= sum(run[place].size for place in range(start, best))
        start = best


def _passage(document: Document, units: Units, part: Sequence[Unit]) -> Passage:
    start, end = part[0].start, part[-1].end
    text = document.text
    sentences = []
    for unit in part:
        indent = len(text[unit.start : unit.end]) - len(text[unit.start : unit.end].lstrip())
        sentences.append((unit.start + indent - start, unit.end - start))
    return _unplaced(document, "", (start, end), tuple(sentences), units.lead(part[0]).text)


def _within(document: Document, units: Units, parts: list[Sequence[Unit]], window: Window) -> list[Passage]:
    """Return the passages, those halved that are longer as a whole than their words were together."""
    passages = [_passage(document, units, part) for part in parts]
    unread = [*range(len(parts))] if window.limit is not None else list[int]()
    while unread:
        counts = window.counts(window.embedded([passages[place] for place in unread], [""] * len(unread)))
        long = {place for place, count in zip(unread, counts, strict=True) if count > (window.limit or count)}
        long = {place for place in long if passages[place].end - passages[place].start > 1}
        if not long:
            break
        halved: list[Sequence[Unit]] = []
        unread = []
        for place, part in enumerate(parts):
            some = _halves(document.text, part) if place in long else [part]
            size = part[-1].end - part[0].start
            if all(0 < half[-1].end - half[0].start < size for half in some):
                unread += range(len(halved), len(halved) + len(some))
            else:  # not cut, or it cannot be
                some = [part]
            halved += some
        parts = halved
        passages = [_passage(document, units, part) for part in parts]
    return passages


def _halves(text: str, part: Sequence[Unit]) -> list[Sequence[Unit]]:
    if len(part) > 1:
        return [part[: len(part) // 2], part[len(part) // 2 :]]
    (unit,) = part
    whole = text[unit.start : unit.end]
    start, end = unit.end - len(whole.lstrip()), unit.start + len(whole.rstrip())
    if end - start < 2:  # one character, whatever white space stands around it
        return [[unit._replace(start=start, end=end)]]
    middle = (start + end) // 2
    space = text.rfind(" ", start + 1, middle)
    middle = space if space > 0 else middle
    first, second = text[start:middle].rstrip(), text[middle:end].lstrip()
    return [
        [unit._replace(start=start, end=start + len(first))],
        [unit._replace(start=end - len(second), end=end, section=False)],
    ]


def _with_places(document: Document, passages: list[Passage]) -> list[Passage]:
    """Return the passages, saying on which pages and lines they are instead of where those of the document begin."""
    known = document.metadata
    if not any(name in known for name in _OF_DOCUMENT):
        return passages
    others = {name: value for name, value in known.items() if name not in _OF_DOCUMENT}
    pages, line = known.get("page_starts"), known.get("first_line")
    placed, reached = [], 0
    for passage in passages:
        first, last = passage.start, max(passage.start, passage.end - 1)
        metadata = dict(others)
        if pages is not None:
            metadata |= {"page": max(1, bisect_right(pages, first)), "last_page": max(1, bisect_right(pages, last))}
        if line is not None:
            line += document.text.count("\n", reached, first)
            inside = document.text.count("\n", first, last)
            metadata |= {"line": line, "last_line": line + inside}
            reached = first
        placed.append(replace(passage, metadata=metadata))
    return placed
