"""The documents of a corpus: lists its files, picks the reader for each, and reports what became of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

from ...errors import CorpusError, MissingExtraError, QuestionsError
from ..protocols import READING, Progress
from ..records import Document
from ._beir import read_beir
from ._data_sets import CORPUS_FILE, belongs_to_data_set, is_data_set, kind_of
from ._known_files import KnownFiles
from ._listing import CorpusFile, Listing, names_in
from ._multihop import read_multihop
from ._normalise import Complaints, Place
from ._report import ReadingReport, reason_of
from ._site_furniture import repeated_blocks
from ._text_files import SUFFIXES, read_text_file

_KINDS = "text, Markdown, HTML, PDF and other documents, a BEIR folder or .jsonl, or a multi-hop .json or .jsonl"
_OFTEN = 20
"""Files, or hundreds of records, after which progress is told."""


class CorpusReader:
    """Reads every document of a corpus in a fixed order; what cannot be read is skipped and reported.

    Args:
        paths: each a folder of documents, a folder with ``corpus.jsonl`` (BEIR), or one file of any of these.
        warn: called with what was skipped, left out or repaired, naming file and line; many alike become a count.
        strict: the first file or record that cannot be read is an error.
        progress: called with (stage, files done, files in all).
        but: folders that are no part of the corpus, such as the index that is being made.
        known: the files that an index holds already, which give no documents.

    Attributes:
        report: what became of the files, as far as they have been read.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        warn: Callable[[str], None],
        *,
        strict: bool = False,
        progress: Progress | None = None,
        but: Collection[Path] = (),
        known: KnownFiles | None = None,
    ) -> None:
        self.report = ReadingReport(strict=strict)
        self._paths = [Path(path) for path in paths]
        self._complaints = Complaints(warn)
        self._warn = warn
        self._progress = progress
        self._known = known or KnownFiles()
        self._listing = Listing(SUFFIXES, self.report, self._complaints, but, self._known)

    def files(self) -> list[CorpusFile]:
        """List the files that are to be read, in the order of the paths and of their names.

        Raises:
            CorpusError: no path is given, one is not there, or a folder cannot be listed.
        """
        if not self._paths:
            raise CorpusError(f"no corpus given: name {_KINDS}")
        for path in self._paths:
            if not path.exists():
                raise CorpusError("there is no such file or folder", path)
        files: list[CorpusFile] = []
        for path in self._paths:
            before = len(files), self.report.skipped_count
            files += self._files_of(path)
            if before == (len(files), self.report.skipped_count) and not self._known.follows:
                self.report.skip(self._holds_nothing(path), Place(path), self._complaints)
        return files

    def __iter__(self) -> Iterator[Document]:
        """Yield the documents.

        Raises:
            CorpusError: as :meth:`files`; no document could be read; where reading is strict, whatever cannot
                be read or has an id that is taken. Documents yielded before are void.
        """
        yield from self.read(self.files())

    def read(self, files: Sequence[CorpusFile]) -> Iterator[Document]:
        """Yield the documents of files that :meth:`files` listed; raises as it does."""
        seen: dict[str, tuple[bytes, Place]] = {}
        self._say(0, len(files))
        known = self._known.furniture
        self.report.furniture = repeated_blocks(files) if known is None else frozenset(known)
        for number, file in enumerate(files, start=1):
            before = self.report.documents
            for document, place, pooled in self._documents_of(file):
                if self._is_new(document, place, seen, pooled):
                    self.report.documents += 1
                    yield self._known.mark(document, place.path)
                    if self.report.documents % (100 * _OFTEN) == 0:
                        self._say(number - 1, len(files))
            self.report.files += self.report.documents > before
            if number % _OFTEN == 0 or number == len(files):
                self._say(number, len(files))
        self._complaints.finish()
        if not (self.report.documents or self._known.follows or self._known.unchanged):
            raise self._nothing()

    def _files_of(self, path: Path) -> Iterable[CorpusFile]:
        if not path.is_dir():
            return [self._listing.file(path)]
        corpus = path / CORPUS_FILE
        target = os.path.realpath(corpus)
        if corpus.is_symlink() and not Path(target).is_relative_to(os.path.realpath(path)):
            raise CorpusError(f"is a link that leads out of its folder: name {target} itself", corpus)
        if is_data_set(path):
            beside = sum(1 for _ in names_in(path)) - corpus.exists()
            if beside:
                self.report.left_out[f"of the data set of {CORPUS_FILE}"] += beside
            return [self._listing.file(corpus)] if corpus.exists() else []
        files = self._listing.folder(path)
        if not any(file.path == corpus for file in files):
            return files
        others = [file for file in files if not belongs_to_data_set(file.path.relative_to(path).as_posix())]
        if len(others) < len(files):
            self.report.left_out[f"of the data set of {CORPUS_FILE}"] += len(files) - len(others)
        message = (
            f"read its records, and {len(others) - 1:,} other files of the folder: name it itself to read it alone"
        )
        self._complaints.add(message, Place(corpus))
        return others

    def _documents_of(self, file: CorpusFile) -> Iterator[tuple[Document, Place, bool]]:
        """Yield a file's documents with their places, and whether repetitions are in their nature."""
        place = Place(file.path)

        def damaged(cause: CorpusError | QuestionsError) -> None:
            if isinstance(cause, CorpusError):
                self._known.unread[file.name] = reason_of(cause, file.path)
                self.report.skip(cause, place, self._complaints)

        try:
            kind = kind_of(file)
            if kind == "text":
                document = read_text_file(file, self._known, self.report, self._complaints)
                if document is not None:
                    yield document, place, False
            elif kind == "beir":
                yield from ((one, where, False) for one, where in read_beir(file.path, self._complaints, damaged))
            else:
                yield from ((one, where, True) for one, where in read_multihop(file.path, self._complaints, damaged))
        except (CorpusError, MissingExtraError) as cause:
            self._known.unread[file.name] = reason_of(cause, file.path)
            self.report.skip(cause, place, self._complaints)

    def _is_new(self, document: Document, place: Place, seen: dict[str, tuple[bytes, Place]], pooled: bool) -> bool:
        """Return whether an id is new; of a repeated document, the first is kept. Another of its id is skipped.

        Raises:
            CorpusError: an id names two documents, where reading is strict.
        """
        content = _content(document)
        if document.id not in seen:
            seen[document.id] = content, place
            return True
        first, first_place = seen[document.id]
        if first != content:
            message = f"the id {document.id!r} names another document than at {first_place}: ids must be unique"
            if place.line is None:
                message = f"{message} (for text files, give the folder that holds both)"
            self.report.skip(CorpusError(message, *place), place, self._complaints)
        elif not pooled:
            detail = f" (id {document.id!r}, first at {first_place})"
            self._complaints.add("repeats a document and is kept once", place, detail)
        return False

    def _say(self, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(READING, done, total)

    def _nothing(self) -> CorpusError:
        """Return the error that says why there is no document."""
        if not self.report.skipped:
            return self._holds_nothing(self._paths[0])
        first = self.report.skipped[0]
        others = f" ({self.report.skipped_count - 1:,} more could not be read)" if self.report.skipped_count > 1 else ""
        return CorpusError(f"{first.reason}{others}", first.path)

    def _holds_nothing(self, path: Path) -> CorpusError:
        questions = path / "queries.jsonl"
        hint = "; it has queries.jsonl, but corpus.jsonl is missing" if questions.exists() else ""
        left_out = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.report.left_out.items()))
        left_out = f" (left out: {left_out})" if left_out else ""
        return CorpusError(f"holds no documents: expected {_KINDS}{hint}{left_out}", path)


def _content(document: Document) -> bytes:
    return blake2b(f"{document.title}\0{document.text}".encode(), digest_size=16).digest()
