"""JSON records with their place: one to a line, or in one array, strict and streaming."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import orjson

from ...errors import CorpusError, QuestionsError
from ._normalise import Place

LocatedError = type[CorpusError] | type[QuestionsError]
"""Which error a damaged file raises: the same format holds documents and questions."""

Damaged = Callable[[CorpusError | QuestionsError], None]
"""Is told of a record that cannot be read, so that reading goes on with the next one."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SPACE = re.compile(r"[ \t\n\r]*")
_UNUSABLE_IN_ID = re.compile("[\0\t\n\r\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Record:
    """One JSON object of a file, its number in it counted from 1, and the error that :meth:`fail` gives."""

    values: dict[str, Any]
    place: Place
    number: int
    error: LocatedError

    def fail(self, message: str) -> CorpusError | QuestionsError:
        """Return, for raising, the error that says what is wrong with this record."""
        return self.error(message, self.place.path, self.place.line)

    def string(self, name: str) -> str:
        """Return a field that must be there and be a string."""
        if name not in self.values:
            there = ", ".join(map(repr, self.values)) or "none"
            raise self.fail(f"the field {name!r} is missing; fields there are: {there}")
        value = self.values[name]
        if not isinstance(value, str):
            raise self.fail(f"the field {name!r} must be a string, not {json_type(value)}")
        return value

    def optional_string(self, name: str) -> str:
        """Return a field that may be absent or null, which reads as an empty string."""
        return "" if self.values.get(name) is None else self.string(name)

    def identifier(self, name: str) -> str:
        """Return an id, exactly as it stands: not empty, and writable in a tab-separated file."""
        value = self.string(name)
        if not value.strip():
            raise self.fail(f"the field {name!r} is empty: every record needs an id of its own")
        if _UNUSABLE_IN_ID.search(value):
            raise self.fail(f"the id {value!r} has a tab, line break, NUL or lone surrogate in it: rename the record")
        return value


def json_type(value: object) -> str:
    """Name a JSON value's type in JSON's own words."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def open_regular(path: Path, error: LocatedError, *, follow: bool = True) -> BinaryIO:
    """Open a regular file for reading; nothing else is ever waited for or read, nor links unless ``follow`` is set.

    Raises:
        CorpusError, QuestionsError: as ``error`` says; it is a FIFO, a device, a socket or a folder, or cannot be read.
    """
    try:
        status = os.stat(path, follow_symlinks=follow)
        if stat.S_ISREG(status.st_mode):
            # It may have been exchanged since: a FIFO must not be waited for, a link not be followed.
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
            status = os.fstat(handle)
            if stat.S_ISREG(status.st_mode):
                return os.fdopen(handle, "rb")
            os.close(handle)
    except OSError as cause:
        raise error(f"cannot be read ({cause.strerror}): check the path and its permissions", path) from cause
    raise error(f"is {file_kind(status.st_mode)}, not a regular file: give a file or leave it out", path)


def file_kind(mode: int) -> str:
    """Return what a mode of the file system stands for, in words: "a FIFO"."""
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFLNK: "a link",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "a special file")


def read_file(path: Path, error: LocatedError, *, follow: bool = True) -> bytes:
    """Read a whole file without its byte order mark; raises as :func:`open_regular`."""
    try:
        with open_regular(path, error, follow=follow) as file:
            return file.read().removeprefix(_BYTE_ORDER_MARK)
    except OSError as cause:
        raise error(f"cannot be read ({cause.strerror}): check the path and its permissions", path) from cause


def decode(data: bytes, path: Path, error: LocatedError, first_line: int = 1) -> str:
    """Decode UTF-8; bytes that are not raise ``error`` with their line and byte."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as cause:
        line = first_line + data.count(b"\n", 0, cause.start)
        column = cause.start - (data.rfind(b"\n", 0, cause.start) + 1) + 1
        raise error(
            f"byte {column} of the line (0x{data[cause.start]:02x}) is not UTF-8: save the file as UTF-8",
            path,
            line,
        ) from cause


def read_json_lines(path: Path, error: LocatedError, damaged: Damaged | None = None) -> Iterator[Record]:
    """Yield the objects of a JSON-lines file, one line in memory at a time; blank lines are passed over.

    Args:
        path: of the file.
        error: what is raised.
        damaged: is told of a bad line instead, which is passed over.

    Raises:
        CorpusError, QuestionsError: as ``error`` says; unreadable file, bytes that are not UTF-8, a line
            that is not one whole JSON object.
    """
    number = 0
    try:
        with open_regular(path, error) as file:
            for line_number, line in enumerate(file, start=1):
                data = line.removeprefix(_BYTE_ORDER_MARK) if line_number == 1 else line
                if data.isspace() or not data:
                    continue
                number += 1
                try:
                    values = _object(_parse_line(data, path, line_number, error), path, line_number, error)
                except error as cause:
                    if damaged is None:
                        raise
                    damaged(cause)
                    continue
                yield Record(values, Place(path, line_number), number, error)
    except OSError as cause:
        raise error(f"cannot be read ({cause.strerror}): check the path and its permissions", path) from cause


def _parse_line(data: bytes, path: Path, line: int, error: LocatedError) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        text = decode(data, path, error, first_line=line).rstrip("\r\n")
    try:
        # The standard parser keeps a lone surrogate escape, so that it can be replaced later.
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as cause:
        raise _not_json(cause, path, line, line, error) from cause


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _not_json(cause: Exception, path: Path, first: int, line: int, error: LocatedError) -> CorpusError | QuestionsError:
    """Return what a parser's error becomes: the text begins in line ``first``, the value in ``line``."""
    if not isinstance(cause, json.JSONDecodeError):
        return error(f"not valid JSON ({cause})", path, line)
    reason = "it ends in the middle" if cause.pos >= len(cause.doc) else cause.msg
    message = f"not valid JSON ({reason} at column {cause.colno}): repair the file or fetch it again"
    return error(message, path, first + cause.lineno - 1)


def _object(value: Any, path: Path, line: int, error: LocatedError) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise error(f"expected a JSON object, found {json_type(value)}", path, line)
    return value


def read_json_array(path: Path, error: LocatedError) -> Iterator[Record]:
    """Yield the objects of a file that is one JSON array; only the file's text is held in memory whole.

    Raises:
        CorpusError, QuestionsError: as ``error`` says; see ``read_json_lines``.
    """
    text = decode(read_file(path, error), path, error)
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    position = _skip_space(text, 0)
    if not text.startswith("[", position):
        raise error("expected a JSON list of records, [...]; name a file with one record per line .jsonl", path, 1)
    line, counted, number = 1, 0, 0
    try:
        while text[position : position + 1] != "]":
            if number and text[position : position + 1] != ",":
                raise json.JSONDecodeError("expected ',' or ']'", text, position)
            position = _skip_space(text, position + 1)
            line, counted = line + text.count("\n", counted, position), position
            if not number and text.startswith("]", position):
                break
            number += 1
            value, position = decoder.raw_decode(text, position)
            yield Record(_object(value, path, line, error), Place(path, line), number, error)
            position = _skip_space(text, position)
        position = _skip_space(text, position + 1)
        if position < len(text):
            raise json.JSONDecodeError("text after the end of the list", text, position)
    except (ValueError, RecursionError) as cause:
        raise _not_json(cause, path, 1, line, error) from cause


def _skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return position if match is None else match.end()
