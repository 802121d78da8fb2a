"""Folders of plain text, Markdown, HTML and PDF: every file is a document."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from ...errors import CorpusError, MissingExtraError
from .._folder import is_index
from ..compiling._markdown import headings
from ..records import Document
from ._json_records import decode, file_kind, open_regular, read_file
from ._known_files import FILE_HASH, KnownFiles, hash_of
from ._normalise import Complaints, Place

_SKIPPED = frozenset({"script", "style", "nav", "noscript", "template", "svg", "iframe", "object", "select"})
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCK_NAMES = """
    address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption
    figure footer form header hr html li main ol p pre section summary table tbody tfoot thead tr ul
"""
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_CELLS = frozenset({"td", "th"})
_SPACE = re.compile(r"\s+")


class _TextCollector(HTMLParser):
    """Gathers paragraphs, the title and the first h1 while the parser walks the tags."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.paragraphs: list[str] = []
        self.title = ""
        self.first_heading = ""
        self._parts: list[str] = []
        self._heading = 0
        self._title_parts: list[str] | None = None
        self._skipped: list[str] = []
        self._preformatted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a paragraph, a heading or a part that is left out."""
        if tag in _SKIPPED:
            self._skipped.append(tag)
        elif self._skipped:
            return
        elif tag == "title":
            self._title_parts = []
        elif tag == "br":
            self._parts.append("\n" if self._preformatted else "\0")
        elif tag in _CELLS:
            self._parts.append(" ")
        elif tag in _HEADINGS:
            self.end_paragraph()
            self._heading = _HEADINGS[tag]
        elif tag in _BLOCKS:
            self.end_paragraph()
            self._preformatted += tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        """Close what the tag closes; a closing tag without its opening one changes nothing."""
        if self._skipped:
            if tag in self._skipped:
                del self._skipped[self._skipped.index(tag) :]
        elif tag == "title" and self._title_parts is not None:
            self.title = self.title or _one_line("".join(self._title_parts))
            self._title_parts = None
        elif tag in _BLOCKS or tag in _HEADINGS:
            self.end_paragraph()
            if tag == "pre":
                self._preformatted = max(0, self._preformatted - 1)

    def handle_data(self, data: str) -> None:
        """Take text, with runs of white space as one space except in preformatted parts."""
        if self._skipped:
            return
        data = data.replace("\0", "")
        if self._title_parts is not None:
            self._title_parts.append(data)
        else:
            self._parts.append(data if self._preformatted else _SPACE.sub(" ", data))

    def end_paragraph(self) -> None:
        """Finish the paragraph or heading being gathered; an empty one leaves no trace."""
        lines = "".join(self._parts).replace("\0", "\n").split("\n")
        if not self._preformatted:
            lines = [_SPACE.sub(" ", line).strip() for line in lines]
        text = "\n".join(lines).strip("\n" if self._preformatted else None)
        self._parts.clear()
        if text.strip():
            if self._heading:
                text = _one_line(text)
                if self._heading == 1:
                    self.first_heading = self.first_heading or text
                text = "#" * self._heading + " " + text
            self.paragraphs.append(text)
        self._heading = 0


def _one_line(text: str) -> str:
    return " ".join(text.split())


def html_to_text(html: str, path: Path) -> tuple[str, str]:
    """Return the title (title tag, else first h1, else empty) and the text of an HTML page.

    Paragraphs are set apart by an empty line, headings are written ``# heading``; scripts, styles and
    navigation are left out.

    Raises:
        CorpusError: the page has a declaration that cannot be read; names file and line.
    """
    collector = _TextCollector()
    try:
        collector.feed(html)
        collector.close()
    except AssertionError as cause:
        # The standard parser reports an unreadable "<![...]" declaration this way.
        raise CorpusError(f"not readable as HTML ({cause})", path, collector.getpos()[0]) from cause
    collector.end_paragraph()
    return collector.title or collector.first_heading, "\n\n".join(collector.paragraphs)


def pdf_pages(path: Path, *, follow: bool = True) -> list[str]:
    """Return the text of every page of a PDF, in order; a page that is a picture gives an empty string.

    Raises:
        MissingExtraError: pypdf is not installed.
        CorpusError: the file is damaged, encrypted, no PDF or no regular file.
    """
    try:
        from pypdf import PdfReader
    except ImportError as cause:
        raise MissingExtraError("pypdf", "pdf", f"reading {path}") from cause
    try:
        with open_regular(path, CorpusError, follow=follow) as file:
            return [page.extract_text() for page in PdfReader(file).pages]
    except CorpusError:
        raise
    except OSError as cause:
        raise CorpusError(f"cannot be read ({cause.strerror}): check its permissions", path) from cause
    except Exception as cause:
        # A damaged PDF makes pypdf raise nearly anything, so the boundary is drawn around the whole reading.
        raise CorpusError(
            f"cannot be read as PDF ({type(cause).__name__}: {cause}): repair or decrypt it, or leave it out",
            path,
        ) from cause


SUFFIXES = frozenset({".txt", ".md", ".html", ".htm", ".pdf"})
"""The kinds of text file that are read, in lower case."""

_PAGE_BREAK = "\n\n"


def read_text_folder(
    folder: Path, complaints: Complaints, known: KnownFiles | None = None
) -> Iterator[tuple[Document, Place]]:
    """Yield the text files of a folder and its subfolders, sorted by their path; ids are those paths.

    Files of other kinds and hidden ones are left out with one warning that counts them. So are, each with a warning,
    what is no regular file, links to folders, and links that lead out of the folder or nowhere.

    Raises:
        CorpusError: a file cannot be read; names file and, for bytes that are not UTF-8, line.
    """
    known = known or KnownFiles()
    files, ignored = _list_files(folder, complaints)
    if ignored:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(ignored.items()))
        complaints.add(
            f"ignored {ignored.total():,} files that are not {', '.join(sorted(SUFFIXES))}: {kinds}",
            Place(folder),
        )
    for name in sorted(files):
        identifier = known.name_of(folder / name, name)
        try:
            yield from read_text_file(folder / name, identifier, complaints, known, files[name])
        except (CorpusError, MissingExtraError) as error:
            if not known.follows:
                raise
            known.unread[complaints.normalised(identifier, Place(folder / name))] = str(error)


def _list_files(folder: Path, complaints: Complaints) -> tuple[dict[str, Path], Counter[str]]:
    """Return the text files by their path in the folder, with the file to open, and how many others there are."""
    files: dict[str, Path] = {}
    ignored: Counter[str] = Counter()
    whole = folder.resolve()
    for parent, folders, names in os.walk(folder, onerror=_fail_listing):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in [name for name in folders if is_index(Path(parent, name))]:
            complaints.add("left out an index", Place(Path(parent, name)))
            folders.remove(name)
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


def read_text_file(
    path: Path, name: str, complaints: Complaints, known: KnownFiles, target: Path | None = None
) -> Iterator[tuple[Document, Place]]:
    """Yield the one document of a text file, or nothing when it has no text (which is warned of).

    Its id and source is ``name``. It is read from ``target``, which is no link; by default where ``path`` leads to.
    A file that ``known`` knows gives nothing.

    Raises:
        CorpusError: it is no regular file or cannot be read; names file and, for bytes that are not UTF-8, line.
        MissingExtraError: a PDF, without pypdf.
    """
    target = target or Path(os.path.realpath(path))
    place = Place(path)
    identifier = complaints.normalised(name, place)
    content = read_file(target, CorpusError, follow=False)
    metadata: dict[str, Any] = {FILE_HASH: hash_of(content)}
    if known.is_unchanged(identifier, metadata[FILE_HASH]):
        return
    suffix = path.suffix.lower()
    if suffix == ".pdf":
        title = ""
        text, metadata["page_starts"] = _join_pages(pdf_pages(target, follow=False), complaints, place)
    else:
        raw = complaints.normalised(decode(content, path, CorpusError), place)
        title, text = _title_and_text(raw, suffix, path)
        # A page can spell as a character reference what must not be in normalised text.
        text, title = complaints.normalised(text, place), complaints.normalised(title, place)
    if not text.strip():
        known.empty.append(identifier)
        complaints.add("skipped an empty document", place)
        return
    title = title or complaints.normalised(path.stem, place)
    yield Document(identifier, title, text, source=identifier, metadata=metadata), place


def _title_and_text(raw: str, suffix: str, path: Path) -> tuple[str, str]:
    if suffix == ".md":
        return next((heading.title for heading in headings(raw)), ""), raw
    if suffix in (".html", ".htm"):
        return html_to_text(raw, path)
    return "", raw


def _join_pages(pages: list[str], complaints: Complaints, place: Place) -> tuple[str, list[int]]:
    """Join pages into one text, with the offset at which each page begins."""
    normalised = [complaints.normalised(page, place) for page in pages]
    starts, position = [], 0
    for page in normalised:
        starts.append(position)
        position += len(page) + len(_PAGE_BREAK)
    return _PAGE_BREAK.join(normalised), starts
