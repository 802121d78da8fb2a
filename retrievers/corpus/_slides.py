"""PowerPoint slides (.pptx): each is a page with its title, text, tables, diagrams and notes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import MissingExtraError
from ._archive import attribute, local_name, read_office_file
from ._csv_table import table_text
from ._markdown_marks import as_heading, as_lines
from ._read_text import ReadText

_BREAK = "\n\n"


def read_slides(data: bytes, path: Path) -> ReadText:
    """Read slides.

    Raises:
        CorpusError: the file is damaged or encrypted.
        MissingExtraError: python-pptx is not installed.
    """
    try:
        import pptx
    except ImportError as cause:
        raise MissingExtraError("python-pptx", "office", f"reading {path}") from cause
    return read_office_file(data, path, lambda file: _text_of(pptx.Presentation(file)))


def _text_of(presentation: Any) -> ReadText:
    pages, starts, position = [], [], 0
    first_title = ""
    for slide in presentation.slides:
        heading = slide.shapes.title
        title = " ".join(heading.text_frame.text.split()) if heading is not None and heading.has_text_frame else ""
        first_title = first_title or title
        page = _BREAK.join(_slide(slide, title))
        starts.append(position)
        pages.append(page)
        position += len(page) + len(_BREAK)
    title = " ".join((presentation.core_properties.title or "").split())
    if title == "PowerPoint Presentation":
        title = ""
    return ReadText(title or first_title, _BREAK.join(pages), page_starts=tuple(starts))


def _slide(slide: Any, title: str) -> Iterator[str]:
    if title:
        yield as_heading(title, 1)
    heading = slide.shapes.title
    for shape in slide.shapes:
        if heading is None or shape.shape_id != heading.shape_id:
            yield from _shape(shape)
    for relation in slide.part.rels.values():
        if relation.reltype.endswith("/diagramData") and not relation.is_external:
            yield from _diagram(relation.target_part.blob)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = slide.notes_slide.notes_text_frame.text.strip()
        if notes:
            yield "Notes:\n" + _lines(notes)


def _shape(shape: Any) -> Iterator[str]:
    """Yield the text of a shape, and of those that are grouped in it."""
    inner = getattr(shape, "shapes", None)
    if inner is not None:
        for one in inner:
            yield from _shape(one)
    elif getattr(shape, "has_table", False):
        rows = [[" ".join(cell.text.split()) for cell in row.cells] for row in shape.table.rows]
        yield table_text(rows)
    elif getattr(shape, "has_chart", False):
        yield from _chart(shape.chart)
    elif shape.has_text_frame:
        text = _paragraphs(shape.text_frame)
        if text:
            yield text
    else:
        described = next((attribute(one, "descr") for one in shape.element.iter() if local_name(one) == "cNvPr"), None)
        if described:
            yield as_lines(" ".join(described.split()))


def _paragraphs(frame: Any) -> str:
    """Return the paragraphs of a frame; those further in are items of a list."""
    lines = []
    for paragraph in frame.paragraphs:
        text = _lines(paragraph.text)
        if text and paragraph.level:
            lines.append("  " * (paragraph.level - 1) + "- " + text.replace("\n", " "))
        elif text:
            lines.append(text)
    return "\n".join(lines)


def _lines(text: str) -> str:
    lines = (" ".join(line.split()) for line in text.replace("\v", "\n").split("\n"))
    return as_lines("\n".join(filter(None, lines)))


def _chart(chart: Any) -> Iterator[str]:
    """Yield the title of a chart and its values as a table."""
    if chart.has_title and chart.chart_title.has_text_frame:
        yield as_lines(" ".join(chart.chart_title.text_frame.text.split()))
    for plot in chart.plots:
        names = [str(series.name) for series in plot.series]
        columns = [list(series.values) for series in plot.series]
        labels = [str(label) for label in plot.categories]
        height = max(map(len, [labels, *columns]))
        rows = [["", *names]]
        for number in range(height):
            cells = [column[number] if number < len(column) else None for column in columns]
            label = labels[number] if number < len(labels) else ""
            rows.append([label, *("" if cell is None else f"{cell:.12g}" for cell in cells)])
        yield table_text(rows)


def _diagram(blob: bytes) -> Iterator[str]:
    from pptx.oxml import parse_xml

    for point in parse_xml(blob).iter():
        if local_name(point) == "p":
            text = " ".join("".join(one.text or "" for one in point.iter() if local_name(one) == "t").split())
            if text:
                yield as_lines(text)
