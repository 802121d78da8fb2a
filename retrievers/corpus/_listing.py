"""The files of a corpus: which of a folder are read, and what is left out, counted by kind."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import CorpusError
from .._folder import is_index
from ._json_records import file_kind
from ._known_files import KnownFiles
from ._normalise import Complaints, Place
from ._report import ReadingReport, reason_of

BY_NAME = frozenset({".git", ".hg", ".svn", "node_modules", "__pycache__"})
"""Folders that hold no documents of a user's own."""


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """A file that is to be read.

    Attributes:
        name: its path from the corpus root with "/" in NFC: the id of the document that it is.
        path: as the user finds it.
        target: the regular file to open, no link.
        named: whether the user named the file itself, so that it is read whatever its suffix.
    """

    name: str
    path: Path
    target: Path
    named: bool = False

    @property
    def suffix(self) -> str:
        """The suffix, in lower case."""
        return self.path.suffix.lower()


@dataclass(frozen=True, slots=True)
class Listing:
    """Lists folders; what is left out goes into the report.

    Attributes:
        suffixes: of the files that are read, in lower case, "" for files without one.
        report: takes what is left out or cannot be read.
        complaints: warns of it.
        but: folders that are no part of the corpus, such as the index that is being made.
        known: the files that an index holds: says what their ids are, and takes those that cannot be read.
    """

    suffixes: Collection[str]
    report: ReadingReport
    complaints: Complaints
    but: Collection[Path] = ()
    known: KnownFiles = field(default_factory=KnownFiles)

    def file(self, path: Path) -> CorpusFile:
        """Return a file that the user named; a link is followed."""
        return CorpusFile(self._name(path, path.name), path, Path(os.path.realpath(path)), named=True)

    def folder(self, folder: Path) -> list[CorpusFile]:
        """Return the files of a folder and its subfolders that can be read, sorted by their path in it.

        Raises:
            CorpusError: the folder cannot be listed; a folder inside it only where reading is strict.
        """
        found: list[CorpusFile] = []
        whole = folder.resolve()
        without = {Path(os.path.realpath(path)) for path in self.but}
        for parent, folders, names in os.walk(folder, onerror=lambda cause: self._cannot_list(cause, folder)):
            folders[:] = [name for name in sorted(folders) if self._entered(Path(parent, name), whole, without)]
            for name in sorted(names):
                path = Path(parent, name)
                if name.startswith("."):
                    self.report.left_out["hidden"] += 1
                elif path.suffix.lower() not in self.suffixes:
                    self.report.left_out[path.suffix.lower() or "without suffix"] += 1
                elif (target := self._target(path, whole)) is not None:
                    found.append(CorpusFile(self._name(path, path.relative_to(folder).as_posix()), path, target))
        return sorted(found, key=lambda file: file.name)

    def _name(self, path: Path, name: str) -> str:
        """Return the id of a file; what is no character in its name is warned of."""
        return self.complaints.normalised(self.known.name_of(path, name), Place(path))

    def _entered(self, path: Path, whole: Path, without: Collection[Path]) -> bool:
        """Return whether a folder inside is walked through; where it is not, it is counted."""
        if path.is_symlink():
            # Not entered, so that there is no way round in a circle. What it leads to in the folder is read there.
            inside = path.resolve().is_relative_to(whole)
            self.report.left_out["links to folders of the corpus" if inside else "links to folders elsewhere"] += 1
            self.complaints.add("left out a link to a folder", Place(path), f" (to {path.resolve()})")
            return False
        if path.name in BY_NAME:
            self.report.left_out[f"in {path.name}"] += _count_files(path)
            return False
        if path.name.startswith("."):
            self.report.left_out["in hidden folders"] += _count_files(path)
            return False
        if Path(os.path.realpath(path)) in without or is_index(path):
            self.report.left_out["indexes"] += 1
            return False
        return True

    def _target(self, path: Path, folder: Path) -> Path | None:
        """Return the regular file that a path stands for; None, reported, where there is none in the folder."""
        try:
            target = path.resolve(strict=True) if path.is_symlink() else path
            mode = target.lstat().st_mode
        except (OSError, RuntimeError) as cause:  # of a link to itself either, as the version of Python has it
            reason = "is a link that leads nowhere" if path.is_symlink() else f"cannot be read ({cause})"
            self._skip(reason, path)
            return None
        if target is not path and not target.is_relative_to(folder):
            self.report.left_out["links to files elsewhere"] += 1
            self.complaints.add("left out a link that leads out of the folder", Place(path), f" (to {target})")
            return None
        if not stat.S_ISREG(mode):
            self._skip(f"is {file_kind(mode)}, not a regular file", path)
            return None
        return target

    def _skip(self, reason: str, path: Path) -> None:
        self.known.unread[self._name(path, path.name)] = reason
        self.report.skip(CorpusError(reason, path), Place(path), self.complaints)

    def _cannot_list(self, cause: OSError, folder: Path) -> None:
        path = Path(cause.filename)
        error = CorpusError(f"cannot be listed ({cause.strerror}): check its permissions", path)
        if path == folder:
            raise error from cause
        self.known.unread[self._name(path, path.name)] = reason_of(error, path)
        self.report.skip(error, Place(path), self.complaints)


def _count_files(folder: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(folder))


def names_in(folder: Path) -> Iterator[str]:
    """Yield the paths of all files in a folder that are not hidden, as far as it can be listed."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in BY_NAME]
        yield from (Path(parent, name).relative_to(folder).as_posix() for name in names if not name.startswith("."))
