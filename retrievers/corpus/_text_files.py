"""A file as a document: its reader is chosen by its suffix, and what comes of it is normalised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import CorpusError, TrailhoundError
from ..records import FILE_HASH, OF_DOCUMENTS, Document
from ._json_records import read_file
from ._known_files import KnownFiles, hash_of
from ._listing import CorpusFile
from ._normalise import Complaints, Place
from ._plain import read_plain
from ._read_text import ReadText
from ._readers import READERS
from ._report import ReadingReport
from ._site_furniture import without_repeated

SUFFIXES = frozenset({*READERS, "", ".json", ".jsonl"})
"""The kinds of file that are read, in lower case; one without a suffix, where it is text."""


def read_text_file(
    file: CorpusFile, known: KnownFiles, report: ReadingReport, complaints: Complaints
) -> Document | None:
    """Return the document that a file is; None when it has no text, or ``known`` knows it.

    Raises:
        CorpusError: it is no regular file, or cannot be read as what its suffix says.
        MissingExtraError: its reader needs a package that is not installed.
    """
    place = Place(file.path)
    content = read_file(file.target, CorpusError, follow=False)
    metadata: dict[str, Any] = {FILE_HASH: hash_of(content)}
    if known.is_unchanged(file.name, metadata[FILE_HASH]):
        return None
    read, repeated = without_repeated(_read(content, file), report.furniture)
    text, page_starts = _normalised(read, complaints, place)
    if read.encoding is not None:
        report.encodings[file.name] = read.encoding
    report.left_out.update(dict(read.left_out))
    if repeated:
        report.left_out["blocks that pages of a site repeat"] += repeated
    for note in read.notes:
        report.note(place, note)
        complaints.add(note, place)
    if not text.strip():
        known.empty.append(file.name)
        report.left_out["empty"] += 1
        complaints.add("skipped an empty document", place)
        return None
    said = complaints.normalised_json(dict(read.metadata), place)
    metadata = {name: value for name, value in said.items() if name not in OF_DOCUMENTS} | metadata
    if page_starts:
        metadata["page_starts"] = page_starts
    if read.first_line is not None:
        metadata["first_line"] = read.first_line
    title = complaints.normalised(read.title, place).strip() or complaints.normalised(file.path.stem, place)
    return Document(file.name, title, text, source=file.name, metadata=metadata, markup=read.markup)


def _read(content: bytes, file: CorpusFile) -> ReadText:
    reader = READERS.get(file.suffix)
    if reader is None:
        reader = read_plain
    try:
        return reader(content, file.path)
    except TrailhoundError:
        raise
    except Exception as cause:
        # A damaged file makes a library raise nearly anything, so the boundary is drawn around the whole reading.
        message = (
            f"cannot be read as {file.suffix or 'text'} ({type(cause).__name__}: {cause}): repair it or leave it out"
        )
        raise CorpusError(message, file.path) from cause


def _normalised(read: ReadText, complaints: Complaints, place: Place) -> tuple[str, list[int]]:
    """Return the text normalised page by page, and the offset at which each page begins."""
    pages = _pages(read.text, read.page_starts)
    normalised = [complaints.normalised(page, place) for page in pages]
    starts, position = [], 0
    for page in normalised:
        starts.append(position)
        position += len(page)
    return "".join(normalised), starts if read.page_starts else []


def _pages(text: str, starts: Sequence[int]) -> list[str]:
    ends = [*starts[1:], len(text)] if starts else [len(text)]
    return [text[start:end] for start, end in zip(starts or [0], ends, strict=True)]
