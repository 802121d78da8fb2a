"""What became of the files of a corpus: read, skipped with the reason, or left out by kind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import CorpusError, MissingExtraError
from ._normalise import Complaints, Place

_KEPT = 1000
"""Skipped files and notes that are named; of others there is a count, so that a report stays small."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file, or a record of one (``corpus.jsonl:17``), that could not be read, and why."""

    path: str
    reason: str


@dataclass(slots=True)
class ReadingReport:
    """What became of a corpus.

    Attributes:
        files: that were read and gave a document, or records of some.
        documents: that they gave.
        skipped: what could not be read; the first thousand.
        skipped_count: how many there are in all.
        left_out: how many were left out on purpose, by kind: "hidden", ".png", "empty".
        encodings: the encoding that was found for files which are not UTF-8, by their path.
        notes: what else is to be known of a file, such as pages without text; the first thousand.
        furniture: hashes of the blocks that pages of a site repeat, which were left out of each.
        strict: whether the first file that cannot be read is an error.
    """

    files: int = 0
    documents: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    skipped_count: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    encodings: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    furniture: frozenset[str] = frozenset()
    strict: bool = False

    def skip(self, cause: CorpusError | MissingExtraError, place: Place, complaints: Complaints) -> None:
        """Take down that something could not be read, and warn of it.

        Raises:
            CorpusError, MissingExtraError: the cause, where reading is strict.
        """
        if self.strict:
            raise cause
        reason = reason_of(cause, place.path)
        line = cause.line if isinstance(cause, CorpusError) and cause.line is not None else place.line
        self.skipped_count += 1
        if len(self.skipped) < _KEPT:
            self.skipped.append(Skipped(str(Place(place.path, line)), reason))
        complaints.add("skipped", Place(place.path, line), f": {reason}")

    def note(self, place: Place, text: str) -> None:
        """Take down what is to be known of a file."""
        if len(self.notes) < _KEPT:
            self.notes.append(f"{place}: {text}")

    def to_json(self) -> dict[str, Any]:
        """Return what the manifest of an index keeps of it."""
        return {
            "files": self.files,
            "documents": self.documents,
            "skipped": [{"path": one.path, "reason": one.reason} for one in self.skipped],
            "skipped_count": self.skipped_count,
            "left_out": dict(sorted(self.left_out.items())),
            "encodings": dict(self.encodings),
            "notes": list(self.notes),
            "furniture": sorted(self.furniture),
        }


def reason_of(cause: CorpusError | MissingExtraError, path: Path) -> str:
    """Return what an error says, without the place that stands beside it."""
    message = str(cause)
    if isinstance(cause, CorpusError) and cause.path is not None:
        message = message.removeprefix(f"{Place(cause.path, cause.line)}: ")
    return message.removeprefix(f"{path}: ")
