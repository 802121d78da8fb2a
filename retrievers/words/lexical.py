"""The lexical sub-index: BM25 over titles and texts, by tantivy."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ...errors import DamagedIndexError
from ..protocols import Progress
from ..records import Hits, Query

_WORD = re.compile(r"\w+")
_HEAP = 512_000_000
"""Bytes that the writer may fill before it must begin another segment; touched only as far as they are needed."""


class LexicalIndex:
    """BM25 (k1 = 1.2, b = 0.75) over title and text, English stems; fulfils ``SubIndex``.

    Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond".

    Args:
        folder: what :meth:`build` wrote.

    Attributes:
        opened: tantivy's index.
        searcher: tantivy's searcher over it.

    Raises:
        DamagedIndexError: when it cannot be opened.
    """

    name = "lexical"

    def __init__(self, folder: Path) -> None:
        try:
            self.opened = _opened(folder)
            self.searcher = self.opened.searcher()
        except (ValueError, OSError) as error:
            raise DamagedIndexError(f"{folder} cannot be opened by tantivy ({error}): build the index again") from error
        if _schema().build() != self.opened.schema:
            raise DamagedIndexError(f"{folder} has another schema than this version writes: build the index again")

    @classmethod
    def build(
        cls, folder: Path, passages: Iterable[tuple[str, str]], total: int = 0, progress: Progress | None = None
    ) -> None:
        """Index (title, text) of every passage, in row order, into ``folder``, which is made."""
        import tantivy

        folder.mkdir(parents=True)
        index = tantivy.Index(_schema().build(), path=str(folder))
        # One thread and one segment: places in the index are rows, and two builds are equal.
        writer = index.writer(_HEAP, 1)
        for row, (title, text) in enumerate(passages):
            document = tantivy.Document()
            document.add_integer("row", row)
            document.add_text("title", title)
            document.add_text("text", text)
            writer.add_document(document)
            if progress is not None and row % 1000 == 999:
                progress("indexing words", row + 1, total)
        writer.commit()
        writer.wait_merging_threads()
        if progress is not None:
            progress("indexing words", total, total)
        for lock in folder.glob(".tantivy-*.lock"):
            lock.unlink()

    def __len__(self) -> int:
        """Return the number of passages."""
        return int(self.searcher.num_docs)

    def search(self, query: Query, limit: int) -> Hits:
        """Return at most ``limit`` passages that share a word with the query's text, best first, ties by row."""
        words = words_asked(query)
        limit = min(limit, len(self))  # tantivy sets aside memory for as many as it is asked for
        if not words or limit < 1:
            return Hits(np.zeros(0, np.int64), np.zeros(0, np.float32))
        parsed = self.opened.parse_query(" ".join(words), ["title", "text"])
        found = self.searcher.search(parsed, limit, count=False).hits
        scores = np.array([score for score, _ in found], np.float32)
        addresses = [address for _, address in found]
        rows = np.array(self.searcher.fast_field_values("row", addresses), np.int64)
        order = np.lexsort((rows, -scores))
        return Hits(rows[order], scores[order])


def words_asked(query: Query) -> list[str]:
    """Return the words of a query, in lower case."""
    return _WORD.findall(query.text.lower())


def _opened(folder: Path) -> Any:
    """Open through links: tantivy writes a lock file where it opens, and an index is not written to."""
    import tantivy

    # tantivy's own thread may still be letting go of its lock file while the folder is removed
    with TemporaryDirectory(prefix="trailhound-", ignore_cleanup_errors=True) as links:
        for path in folder.resolve().iterdir():
            (Path(links) / path.name).symlink_to(path)
        index = tantivy.Index.open(links)
        index.config_reader("Manual")  # nothing will change there: no thread need watch it
        return index


def _schema() -> Any:
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("row", indexed=True, fast=True)
    builder.add_text_field("title", tokenizer_name="en_stem")
    builder.add_text_field("text", tokenizer_name="en_stem")
    return builder
