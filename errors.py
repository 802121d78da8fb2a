"""Every error that Trailhound raises on purpose.

    TrailhoundError
    ├── CorpusError        a corpus file cannot be read as documents (names file and line)
    ├── QuestionsError     queries.jsonl or qrels cannot be used (names file and line)
    ├── IndexFolderError   an index folder is missing, damaged, or of another format
    │   ├── DamagedIndexError   a file or a row does not match its recorded hash
    │   └── IndexBusyError      another process builds, updates or compacts it (names the process)
    ├── ClosedError        an index or an agent is asked after it was closed
    ├── StorageError       a disk is full, read-only or failing (names path and disk)
    │   └── DatabaseError       a database cannot be reached, refuses, or cannot store (names its address)
    ├── UpdateError        a change of an index cannot be made (unknown id, id that is there already, no room)
    ├── EncoderError       an encoder cannot be loaded or gave vectors that cannot be used
    ├── DeviceError        torch cannot compute where it was told to
    ├── MaskingError       what is to be masked cannot be: an unknown kind, a pattern that is none
    ├── PolicyError        a policy folder is missing, damaged, or does not fit
    ├── RouterError        a router folder is missing, damaged, or does not fit the index
    ├── ShardError         a shard of a sharded index cannot be reached, or was not changed with the others
    ├── ClusterError       a Ray cluster cannot be reached
    ├── RecipeError        a training recipe has an unknown or impossible setting
    ├── CollapseError      a training was stopped because its vectors collapse (names measure, value and limit)
    ├── SearchCancelledError   whoever asked a search has cancelled it
    ├── WorkerError        a worker of a training that has several died
    └── MissingExtraError  an optional dependency is not installed (names the extra)

A message says what is wrong, with the offending value, and what to do.
"""

from __future__ import annotations

from pathlib import Path


class TrailhoundError(Exception):
    """Base of every error that Trailhound raises on purpose."""

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the message and the attributes, whatever arguments an error is made with."""
        return _restored, (type(self), self.args), self.__dict__


class _LocatedError(TrailhoundError):
    """An error in a user's file, with the place it was found.

    Args:
        message: what is wrong and what to do about it.
        path: the offending file.
        line: its line, counted from 1.
    """

    def __init__(self, message: str, path: Path | str | None = None, line: int | None = None) -> None:
        self.path = None if path is None else Path(path)
        self.line = line
        place = "" if path is None else f"{path}:{line}: " if line is not None else f"{path}: "
        super().__init__(place + message)


class CorpusError(_LocatedError):
    """A corpus file cannot be read as documents."""


class QuestionsError(_LocatedError):
    """Questions or their labels cannot be used."""


class IndexFolderError(TrailhoundError):
    """An index folder is missing, damaged, or of another format."""


class DamagedIndexError(IndexFolderError):
    """A file or a row of an index does not match its recorded hash."""


class IndexBusyError(IndexFolderError):
    """Another process builds, updates or compacts the index, and waiting for it took too long."""


class ClosedError(TrailhoundError):
    """An index or an agent is asked after it was closed."""


class StorageError(TrailhoundError):
    """A file cannot be written because its disk is full, read-only or failing."""


class DatabaseError(StorageError):
    """The database that holds rows of an index cannot be reached, is not what is needed, or cannot store."""


class UpdateError(TrailhoundError):
    """A change of an index cannot be made; the index is as it was."""


class EncoderError(TrailhoundError):
    """An encoder cannot be loaded or gave vectors that cannot be used."""


class DeviceError(TrailhoundError):
    """Torch cannot compute on the device that was named."""


class MaskingError(TrailhoundError):
    """What is to be masked names an unknown kind of private data, or a pattern that cannot be used."""


class PolicyError(TrailhoundError):
    """A policy folder is missing, damaged, or does not fit."""


class RouterError(TrailhoundError):
    """A router folder is missing, damaged, or does not fit the index."""


class ShardError(TrailhoundError):
    """A shard of a sharded index cannot be reached, or could not be changed after others were."""


class ClusterError(TrailhoundError):
    """A Ray cluster cannot be reached."""


class RecipeError(TrailhoundError):
    """A training recipe has an unknown or impossible setting."""


class CollapseError(TrailhoundError):
    """A training was stopped because the vectors that it makes collapse.

    Args:
        measure: which measure says so.
        value: what it is now.
        limit: what it must not pass.
        remedy: what to change.
    """

    def __init__(self, measure: str, value: float, limit: float, remedy: str) -> None:
        self.measure, self.value, self.limit, self.remedy = measure, value, limit, remedy
        super().__init__(
            f"training was stopped because the vectors of the questions collapse: their {measure} is {value:.3g}, past"
            f" the limit of {limit:.3g}; {remedy}"
        )


class SearchCancelledError(TrailhoundError):
    """A search was cancelled by whoever asked it."""


class WorkerError(TrailhoundError):
    """A worker of a training that has several died."""


class MissingExtraError(TrailhoundError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}: install it with  pip install 'trailhound[{extra}]'")


def _restored(kind: type[TrailhoundError], args: tuple[object, ...]) -> TrailhoundError:
    """Return an error as it was pickled, without making its message again."""
    error = kind.__new__(kind)
    (ImportError if isinstance(error, ImportError) else Exception).__init__(error, *args)
    return error
