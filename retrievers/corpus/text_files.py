"""Folders of plain text, markdown, HTML and PDF: every file is a document."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ...errors import CorpusError
from ..records import Document
from .complaints import Complaints, Place
from .html_text import html_to_text
from .json_records import decode, file_kind, read_file
from .pdf_text import pdf_pages

SUFFIXES = frozenset({".txt", ".md", ".html", ".htm", ".pdf"})
"""The kinds of text file that are read, in lower case."""

_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.*?)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r" {0,3}(```|~~~)")
_PAGE_BREAK = "\n\n"


def read_text_folder(folder: Path, complaints: Complaints) -> Iterator[tuple[Document, Place]]:
    """Yield the text files of a folder and its subfolders, sorted by their path; ids are those paths.

    Files of other kinds and hidden ones are left out with one warning that counts them. So are, each with a warning,
    what is no regular file, links to folders, and links that lead out of the folder or nowhere.

    Raises:
        CorpusError: a file cannot be read; names file and, for bytes that are not UTF-8, line.
    """
    files, ignored = _list_files(folder, complaints)
    if ignored:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(ignored.items()))
        complaints.add(
            f"ignored {ignored.total():,} files that are not {', '.join(sorted(SUFFIXES))}: {kinds}",
            Place(folder),
        )
    for name in sorted(files):
        yield from _read_text_file(folder / name, files[name], name, complaints)


def _list_files(folder: Path, complaints: Complaints) -> tuple[dict[str, Path], Counter[str]]:
    """Return the text files by their path in the folder, with the file to open, and how many others there are."""
    files: dict[str, Path] = {}
    ignored: Counter[str] = Counter()
    whole = folder.resolve()
    for parent, folders, names in os.walk(folder, onerror=_fail_listing):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            if Path(parent, name).is_symlink():  # os.walk does not enter it, so there is no way round in a circle
                complaints.add("left out a link to a folder", Place(Path(parent, name)))
        for name in sorted(names):
            path = Path(parent, name)
            if name.startswith("."):
                ignored["hidden"] += 1
            elif path.suffix.lower() not in SUFFIXES:
                ignored[path.suffix.lower() or "without suffix"] += 1
            elif target := _target(path, whole, complaints):
                files[path.relative_to(folder).as_posix()] = target
    return files, ignored


def _target(path: Path, folder: Path, complaints: Complaints) -> Path | None:
    """Return the regular file that a path stands for; None, with a warning, where there is none in the folder."""
    try:
        target = path.resolve(strict=True) if path.is_symlink() else path
        mode = target.lstat().st_mode
    except (OSError, RuntimeError):  # of a link to itself either, as the version of Python has it
        complaints.add("left out a link that leads nowhere", Place(path))
        return None
    if target is not path and not target.is_relative_to(folder):
        complaints.add("left out a link that leads out of the folder", Place(path), f" (to {target})")
        return None
    if not stat.S_ISREG(mode):
        complaints.add(f"left out {file_kind(mode)}, which is no regular file", Place(path))
        return None
    return target


def _fail_listing(cause: OSError) -> None:
    raise CorpusError(f"cannot be listed ({cause.strerror}): check its permissions", cause.filename) from cause


def read_text_file(path: Path, name: str, complaints: Complaints) -> Iterator[tuple[Document, Place]]:
    """Yield the one document of a text file, or nothing when it has no text (which is warned of).

    Args:
        path: the file.
        name: its id and source, in the corpus's own terms.
        complaints: takes the warnings.

    Raises:
        CorpusError: it is no regular file or cannot be read; names file and, for bytes that are not UTF-8, line.
        MissingExtraError: a PDF, without pypdf.
    """
    yield from _read_text_file(path, Path(os.path.realpath(path)), name, complaints)


def _read_text_file(path: Path, target: Path, name: str, complaints: Complaints) -> Iterator[tuple[Document, Place]]:
    """Yield the document of the file ``target``, which the user knows as ``path``."""
    place = Place(path)
    identifier = complaints.normalised(name, place)
    metadata: dict[str, list[int]] = {}
    suffix = path.suffix.lower()
    if suffix == ".pdf":
        title = ""
        text, metadata["page_starts"] = _join_pages(pdf_pages(target, follow=False), complaints, place)
    else:
        raw = complaints.normalised(decode(read_file(target, CorpusError, follow=False), path, CorpusError), place)
        title, text = _title_and_text(raw, suffix, path)
        # A page can spell as a character reference what must not be in normalised text.
        text, title = complaints.normalised(text, place), complaints.normalised(title, place)
    if not text.strip():
        complaints.add("skipped an empty document", place)
        return
    title = title or complaints.normalised(path.stem, place)
    yield Document(identifier, title, text, source=identifier, metadata=metadata), place


def _title_and_text(raw: str, suffix: str, path: Path) -> tuple[str, str]:
    if suffix == ".md":
        return first_heading(raw), raw
    if suffix in (".html", ".htm"):
        return html_to_text(raw, path)
    return "", raw


def first_heading(markdown: str) -> str:
    """Return the first ``# heading`` of any level outside fenced code, or an empty string."""
    fenced = False
    for line in markdown.split("\n"):
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and (match := _HEADING.match(line)) and match[1]:
            return match[1]
    return ""


def _join_pages(pages: list[str], complaints: Complaints, place: Place) -> tuple[str, list[int]]:
    """Join pages into one text, with the offset at which each page begins."""
    normalised = [complaints.normalised(page, place) for page in pages]
    starts, position = [], 0
    for page in normalised:
        starts.append(position)
        position += len(page) + len(_PAGE_BREAK)
    return _PAGE_BREAK.join(normalised), starts
