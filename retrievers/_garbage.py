"""What no manifest names any more: files of a segment, and the mark of its rows in a database, which go after them."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

from ._atomic_file import synchronise
from ._postgres import MARK

ROWS = "rows-"
"""What a mark is called beside the segments, once no manifest names its own."""


def remove(path: Path) -> None:
    """Remove a file or a folder; the mark of a segment's rows stays beside it, until :func:`forget`."""
    if path.is_dir() and not path.is_symlink():
        if (path / MARK).is_file():
            with suppress(OSError, ValueError, KeyError, TypeError):
                key = int(json.loads((path / MARK).read_text("utf-8"))["key"])
                os.replace(path / MARK, path.parent / f"{ROWS}{key}")
                synchronise(path.parent)
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def forget(mark: Path) -> None:
    """Remove the rows that a mark names, and then the mark; both stay where the rows are read or nobody answers."""
    from ._postgres_store import forget_rows  # with psycopg: most indexes have no database

    if forget_rows(mark):
        with suppress(OSError):
            mark.unlink()
