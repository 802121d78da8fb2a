"""The lexical sub-index: BM25 over titles and texts, by tantivy."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DamagedIndexError, StorageError
from .._atomic_file import storing
from .._forks import Uncut
from ..protocols import Progress
from ..records import Hits, Query, Rows
from ._analyser import FUNCTION_WORDS, STOP_WORDS, Identifier, terms, words
from ._asked_words import asked_words
from ._links_folder import LinksFolder
from ._word_statistics import CorpusSize, FieldWord, WordStatistics, size_of, write_filler

MOST_IDENTIFIED = 5
"""Passages that an identifier may stand in to be the name of each."""

WEIGHED = ("both", "title", "forms", "common")
"""Fields that a question's words are looked up in, with scores."""

_LEFT_OUT: Mapping[str, frozenset[str]] = {"title": FUNCTION_WORDS, "text": STOP_WORDS, "both": FUNCTION_WORDS}
"""Words that a field does not have."""

_HEAP = 512_000_000
"""Bytes that the writer may fill before it must begin another segment; touched only as far as they are needed."""
_SMALL_HEAP = 15_000_000
_FEW = 1000
"""Passages that are written in RAM and then copied, because tantivy waits for the disk after every file."""
_FIRST_ASKED = 100
DELETED_SPARE = 16
"""Passages beyond those wanted that are asked for at first where some are deleted."""

_FEW_LEFT, _LISTED = 1 / 16, 50_000
"""Share and number of passages up to which those that are not deleted are named to tantivy: it then finds no others,
instead of being asked for more until these are among them."""


class LexicalIndex:
    """BM25 (k1 = 1.2, b = 0.75) over what the analyser makes of titles and texts; fulfils ``SubIndex``.

    Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond". The fields are ``both``,
    the words of title and text without function words; ``title`` alone; ``forms``, other forms of these words; and
    ``common``, stop words, which are asked only where a question has nothing else. A word that a question repeats
    counts by the square root of its number. Phrases are looked up in ``text``, which has no stop words.

    Several folders are searched as one index: tantivy reads a folder of links to all their files, so the statistics
    of words are those of all passages together. Deleted passages are not found, and count in these statistics until
    their folder is written again.

    Args:
        folders: what :meth:`build` wrote; rows of one follow on those of the folder before.
        alive: bool [N], false for deleted passages; None when none is deleted.
        links: folder for the links, kept from one state of an index to the next; a passing one when None.

    Attributes:
        opened: tantivy's index.
        searcher: tantivy's searcher over it.

    Raises:
        DamagedIndexError: when it cannot be opened.
        StorageError: when the folder of links cannot be written.
    """

    name = "lexical"

    def __init__(
        self, folders: Path | Sequence[Path], alive: NDArray[np.bool_] | None = None, links: LinksFolder | None = None
    ) -> None:
        folders = [folders] if isinstance(folders, Path) else folders
        try:
            metas = [json.loads((folder / "meta.json").read_text()) for folder in folders]
            with (links or LinksFolder()).opened() as place:
                _link(folders, metas, place)
                self.opened = _opened(place)
                self.searcher = self.opened.searcher()
        except StorageError:
            raise
        except (ValueError, OSError, KeyError, TypeError) as error:
            raise DamagedIndexError(
                f"{folders[-1]} cannot be opened by tantivy ({error}): build the index again"
            ) from error
        if _schema().build() != self.opened.schema:
            raise DamagedIndexError(f"{folders[-1]} has another schema than this version writes: build the index again")
        sizes = [sum(segment["max_doc"] for segment in meta["segments"]) for meta in metas]
        self._folders = tuple(folders)
        self._rows_here = sum(map(int, sizes))
        self._offsets = np.repeat(np.cumsum([0, *sizes[:-1]]), [len(meta["segments"]) for meta in metas])
        self._alive = alive
        self._dead = 0 if alive is None else int(len(alive) - alive.sum())
        self.spare = DELETED_SPARE

    @classmethod
    def build(
        cls, folder: Path, passages: Iterable[tuple[str, str]], total: int = 0, progress: Progress | None = None
    ) -> None:
        """Index (title, text) of every passage, in row order, into ``folder``, which is made.

        Args:
            folder: to make.
            passages: title and text of each.
            total: how many there are; where there are few, they are written in RAM first.
            progress: called with (stage, done, total).

        Raises:
            StorageError: when the disk is full or cannot be written.
        """
        with storing(folder):
            folder.mkdir(parents=True)
            if not 0 < total <= _FEW:
                _write(folder, passages, total, progress)
                return
        scratch = LinksFolder()
        with scratch.opened() as place:
            with storing(place):
                _write(place, passages, total, progress)
            with storing(folder):
                for path in place.iterdir():
                    shutil.copyfile(path, folder / path.name)

    def __len__(self) -> int:
        """Return the number of rows, deleted ones among them."""
        return self._rows_here

    def without(self, alive: NDArray[np.bool_], spare: int = DELETED_SPARE) -> LexicalIndex:
        """Return the same index with other passages deleted.

        Args:
            alive: bool [N], false for deleted passages.
            spare: passages beyond those wanted that are asked for at first.
        """
        found = copy(self)
        found.spare = spare
        found._alive = alive
        found._dead = int(len(alive) - alive.sum())
        found.__dict__.pop("_among", None)  # of the passages that were left before
        return found

    def size(self) -> CorpusSize:
        """Return the passages, deleted ones among them, and how many words every weighed field has."""
        return size_of(self.opened, self.searcher, WEIGHED)

    def within(self, corpus: CorpusSize) -> LexicalIndex:
        """Return the same index with the mean lengths of the larger corpus that it is a part of.

        tantivy takes them from all its documents. So some are added that no question finds, in a folder that passes.
        """
        missing = self.size().missing_in(corpus)
        if not missing.passages:
            return self
        scratch = LinksFolder()
        with scratch.opened() as folder:
            with storing(folder):
                write_filler(folder, _schema().build(), missing)
            found = LexicalIndex([*self._folders, folder])
        found._rows_here = len(self)
        found._offsets = self._offsets  # what was added is never found
        return found if self._alive is None else found.without(self._alive, self.spare)

    @cached_property
    def _among(self) -> Any:
        """Tantivy's query for the passages that are left, which adds nothing to a score; None where they are many.

        A row is known to tantivy by its number within its folder, so other folders' rows may fit beside.
        """
        if self._alive is None or not 0 < len(self._alive) - self._dead <= min(_LISTED, _FEW_LEFT * len(self._alive)):
            return None
        import tantivy

        rows = np.flatnonzero(self._alive)
        begins = np.unique(self._offsets)
        local = np.unique(rows - begins[np.searchsorted(begins, rows, side="right") - 1])
        listed = tantivy.Query.term_set_query(self.opened.schema, "row", local.tolist())
        return tantivy.Query.const_score_query(listed, 0.0)

    def search(self, query: Query, limit: int, statistics: WordStatistics | None = None) -> Hits:
        """Return at most ``limit`` passages that share a word with the query's text, best first, ties by row.

        With ``statistics`` words weigh as in these, of a larger corpus; lengths count as :meth:`within` says.
        """
        limit = min(limit, len(self) - self._dead)  # tantivy sets aside memory for as many as it is asked for
        parsed = None if limit < 1 else self._parsed(query.text, statistics)
        if parsed is None:
            return Hits(np.zeros(0, np.int64), np.zeros(0, np.float32))
        wanted = limit + min(self._dead, self.spare)
        if self._among is not None:
            import tantivy

            parsed = tantivy.Query.boolean_query([(tantivy.Occur.Must, self._among), (tantivy.Occur.Must, parsed)])
        while True:
            with Uncut():
                found = self.searcher.search(parsed, wanted, count=False).hits
                rows = self._rows(found)
            scores = np.array([score for score, _ in found], np.float32)
            if self._alive is None:
                break
            alive = self._alive[rows]
            if len(rows) < wanted or int(alive.sum()) >= limit:
                rows, scores = rows[alive], scores[alive]
                break
            wanted = min(max(4 * wanted, _FIRST_ASKED), limit + self._dead)
        order = np.lexsort((rows, -scores))[:limit]
        return Hits(rows[order], scores[order])

    def _parsed(self, text: str, statistics: WordStatistics | None) -> Any:
        """Return tantivy's query for a question; None where it has no word that a passage has."""
        import tantivy

        weighed = [(one.field, one.term, one.weight) for one in asked_words(text)]
        if statistics is not None:
            shares = statistics.shares_of_idf(int(self.searcher.num_docs))
            weighed = [
                (field, term, weight * shares[field, term])
                for field, term, weight in weighed
                if (field, term) in shares
            ]
        should, schema = tantivy.Occur.Should, self.opened.schema
        clauses = []
        for field, term, weight in weighed:
            query = tantivy.Query.term_query(schema, field, term)
            clauses.append((should, query if weight == 1 else tantivy.Query.boost_query(query, weight)))
        return tantivy.Query.boolean_query(clauses) if clauses else None

    def frequency(self, field: str, word: str) -> int:
        """Return how many passages have an analysed word in a field, deleted ones among them."""
        return int(self.frequencies([(field, word)])[0])

    def frequencies(self, words: Sequence[FieldWord]) -> NDArray[np.int64]:
        """Return how many passages have each analysed word in its field, deleted ones among them, int64 [k]."""
        of = self.searcher.doc_freq
        with Uncut():
            return np.array([of(field, word) for field, word in words], np.int64)

    def with_word(self, word: str, most: int) -> Rows:
        """Return the passages that have an analysed word in title or text, ascending; none where over ``most``."""
        return self._matching(self._phrase("both", [word]), most)

    def identified(self, identifier: Identifier) -> Rows:
        """Return the passages that have an identifier, ascending; none where more than a few have it."""
        for name in identifier.terms:
            for field in ("forms", "both"):
                rows = self._matching(self._phrase(field, [name]), MOST_IDENTIFIED)
                if len(rows):
                    return rows
        return np.zeros(0, np.int64)

    def naming(self, text: str, field: str = "text") -> Rows:
        """Return the passages that may have the words of ``text`` one after the other, int64 [k], ascending.

        Words that the field leaves out are not compared, unless there is no other. A passage that has these words is
        among them.
        """
        found = words(text)
        said = [word for word in found if word not in _LEFT_OUT[field]]
        if not found:
            return np.zeros(0, np.int64)
        return self.with_phrase(said, field) if said else self.with_phrase(found, "common")

    def with_phrase(self, words: Sequence[str], field: str = "text", most: int | None = None) -> Rows:
        """Return the passages that have analysed words one after the other, int64 [k], ascending.

        Args:
            words: the words, none that the field leaves out.
            field: where, ``title`` or ``text``.
            most: where more passages have them, none is returned.
        """
        return self._matching(self._phrase(field, words), len(self) if most is None else most)

    def _phrase(self, field: str, words: Sequence[str]) -> Any:
        import tantivy

        schema = self.opened.schema
        if len(words) == 1:
            return tantivy.Query.term_query(schema, field, words[0])
        return tantivy.Query.phrase_query(schema, field, list(words))

    def _matching(self, query: Any, most: int) -> Rows:
        """Return the rows that match a query of tantivy's and are not deleted, ascending; none if over ``most``."""
        if self._among is not None:
            import tantivy

            query = tantivy.Query.boolean_query([(tantivy.Occur.Must, self._among), (tantivy.Occur.Must, query)])
        with Uncut():
            found = self.searcher.search(query, max(1, min(most, _FIRST_ASKED)), count=True)
            if not 0 < found.count <= most + self._dead:
                return np.zeros(0, np.int64)
            hits = found.hits
            if len(hits) < found.count:
                hits = self.searcher.search(query, found.count, count=False).hits
            rows = np.sort(self._rows(hits))
        rows = rows if self._alive is None else rows[self._alive[rows]]
        return rows if len(rows) <= most else np.zeros(0, np.int64)

    def _rows(self, hits: Sequence[tuple[float, Any]]) -> Rows:
        addresses = [address for _, address in hits]
        rows = np.array(self.searcher.fast_field_values("row", addresses), np.int64)
        if len(self._offsets) > 1:
            rows += self._offsets[[address.segment_ord for address in addresses]]
        return rows


def _write(folder: Path, passages: Iterable[tuple[str, str]], total: int, progress: Progress | None) -> None:
    import tantivy

    index = tantivy.Index(_schema().build(), path=str(folder))
    # One thread and one segment: places in the index are rows, and two builds are equal.
    writer = index.writer(_SMALL_HEAP if 0 < total <= _FEW else _HEAP, 1)
    for row, (title, text) in enumerate(passages):
        document = tantivy.Document()
        document.add_integer("row", row)
        for field, value in _fields(title, text).items():
            document.add_text(field, value)
        writer.add_document(document)
        if progress is not None and row % 1000 == 999:
            progress("indexing words", row + 1, total)
    writer.commit()
    writer.wait_merging_threads()
    if progress is not None:
        progress("indexing words", total, total)
    for lock in folder.glob(".tantivy-*.lock"):
        lock.unlink()


def _link(folders: Sequence[Path], metas: Sequence[Any], links: Path) -> None:
    """Let ``links`` be one index of all folders: links to their files, and a list of all their segments."""
    wanted = {
        path.name: path
        for folder in folders
        for path in folder.absolute().iterdir()
        if path.name != "meta.json" and not path.name.startswith(".")
    }
    with storing(links):
        links.mkdir(exist_ok=True)
        there = {name for name in os.listdir(links) if not name.startswith(".") and name != "meta.json"}
        for name in there - wanted.keys():
            (links / name).unlink()
        for name in wanted.keys() - there:
            (links / name).symlink_to(wanted[name])
        segments = [segment for meta in metas for segment in meta["segments"]]
        (links / "meta.json").write_text(json.dumps({**metas[0], "segments": segments}))


def _opened(links: Path) -> Any:
    """Open through links: tantivy writes a lock file where it opens, and an index is not written to."""
    import tantivy

    with storing(links):
        index = tantivy.Index.open(str(links))
    index.config_reader("Manual")  # nothing will change there: no thread need watch it
    return index


def _fields(title: str, text: str) -> dict[str, str]:
    """Return the terms of a passage by field, each set apart by a space."""
    parts = (terms(title), terms(text))
    words = parts[0].words + parts[1].words
    said = {"title": parts[0].words, "text": parts[1].words, "both": words}
    fields = {field: [word for word in found if word not in _LEFT_OUT[field]] for field, found in said.items()}
    fields["forms"] = [form for part in parts for form in part.forms]
    fields["common"] = [word for word in words if word in STOP_WORDS]
    return {field: " ".join(found) for field, found in fields.items()}


def _schema() -> Any:
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("row", indexed=True, fast=True)
    # The analyser has cut the texts: what is left to tantivy is to read its terms, which have no spaces.
    for field, option in (("title", "position"), ("text", "position"), ("common", "position")):
        builder.add_text_field(field, tokenizer_name="whitespace", index_option=option)
    for field in ("both", "forms"):
        builder.add_text_field(field, tokenizer_name="whitespace", index_option="freq")
    return builder
