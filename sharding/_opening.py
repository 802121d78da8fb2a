"""Opening whatever kind of index is at a path."""

from __future__ import annotations

from pathlib import Path

from ..index._searchable import Searchable
from ..index.index import Index
from ._building import is_sharded
from .sharded_index import ShardedIndex


def open_searchable(path: Path | str, threads: int = 1) -> Searchable:
    """Open the index, or the sharded index, at a path.

    Raises:
        IndexFolderError: when there is none.
    """
    return ShardedIndex(path, threads=threads) if is_sharded(Path(path)) else Index.open(path, threads=threads)
