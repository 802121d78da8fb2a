"""The second step of linking shards: a range of the keys of all shards, and for each shard what they lead to.

A shard is told of every rare key that it has which passages have it, and of every title that its texts may mention.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..graph._linking import are_rare
from ..retrievers.protocols import Progress
from ..retrievers.words._phrases import words_of
from ..retrievers.words._terms import among
from ..retrievers.words._title_forms import Kind
from ..retrievers.words._title_tables import FormKey, NamedForm, most_rows
from ._link_files import Columns, LinkFiles, Write, packed, places_of, write_once
from ._messages import shards_of
from ._tasks import Warn

SHARED = ("term", "phrase")
"""What passages share, in the order in which one index adds it up."""


@dataclass(frozen=True)
class Forms:
    """Forms of titles, each with one row that it names.

    Attributes:
        texts: how they are written.
        kinds: 2 for an alias, and 1 for a whole title.
        rows: among all.
        titles: of these rows.
    """

    texts: Sequence[str]
    kinds: Sequence[int]
    rows: Sequence[int]
    titles: Sequence[str]

    def keys(self) -> Iterator[FormKey]:
        """Iterate over how a table knows each."""
        for text, kind in zip(self.texts, self.kinds, strict=True):
            yield " ".join(words_of(text)), _kind(kind), bool(kind & 1)

    def named(self) -> Iterator[tuple[FormKey, NamedForm]]:
        """Iterate over what a table is made of."""
        for key, text, row in zip(self.keys(), self.texts, self.rows, strict=True):
            yield key, NamedForm(text, key[1], key[2], [row])


@dataclass(frozen=True)
class GroupKeys:
    """Writes for every shard what a range of keys leads to.

    In the order of shards: ``term_ends`` and ``term_rows`` are the rows of every rare term, up to its end, and so are
    those of phrases. ``form_rows``, ``form_kinds``, ``form_texts`` and ``form_titles`` are titles. The bounds of every
    shard are ``term_bounds``, ``phrase_bounds`` and ``form_bounds``, int64 [shards + 1].
    """

    files: LinkFiles
    number: int
    stage = "finding what links shards"

    def run(self, warn: Warn, progress: Progress | None) -> None:
        """Do it."""
        write_once(self.files.groups(self.number), self._write)
        if progress is not None:
            progress(self.stage, self.number + 1, self.files.ranges)

    def _write(self, write: Write) -> None:
        shards = [Columns(self.files.keys(shard)) for shard in range(len(self.files.shards))]
        for name in SHARED:
            keys, rows = self._postings(shards, name)
            for column, array in _grouped(keys, rows, len(shards), self.files.passages).items():
                write(f"{name}_{column}", array)
        self._write_forms(write, shards)

    def _postings(self, shards: Sequence[Columns], name: str) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Return the keys of all shards in the range, and the row of each among all."""
        keys, rows = [], []
        for columns in shards:
            part = self.files.range_of(self.number, columns[f"{name}s"])
            keys.append(np.array(columns[f"{name}s"][part]))
            rows.append(columns["rows"][columns[f"{name}_rows"][part]])
        return np.concatenate(keys), np.concatenate(rows)

    def _write_forms(self, write: Write, shards: Sequence[Columns]) -> None:
        keys, forms = self._forms(shards)
        named = defaultdict[FormKey, set[int]](set)
        known = list(forms.keys())
        for key, row in zip(known, forms.rows, strict=True):
            named[key].add(row)
        names = np.array([len(named[key]) <= most_rows(key[1]) for key in known], np.bool_)
        found = []
        for columns in shards:
            words = columns["words"]
            inside = among(keys, words[self.files.range_of(self.number, words)])
            found.append(np.flatnonzero(inside & names))
        chosen = np.concatenate(found).tolist()
        write("form_bounds", np.cumsum([0, *map(len, found)]))
        write("form_rows", np.array([forms.rows[one] for one in chosen], np.int64))
        write("form_kinds", np.array([forms.kinds[one] for one in chosen], np.uint8))
        for name, texts in (("form_texts", forms.texts), ("form_titles", forms.titles)):
            for column, array in packed(name, [texts[one] for one in chosen]).items():
                write(column, array)

    def _forms(self, shards: Sequence[Columns]) -> tuple[NDArray[np.uint32], Forms]:
        """Return the forms of the titles of all shards in the range with their keys."""
        keys = [np.zeros(0, np.uint32)]
        texts, kinds, rows, titles = list[str](), list[int](), list[int](), list[str]()
        for columns in shards:
            part = self.files.range_of(self.number, columns["forms"])
            keys.append(np.array(columns["forms"][part]))
            texts += columns.texts("form_texts", part)
            kinds += columns["form_kinds"][part].tolist()
            rows += columns["rows"][columns["form_rows"][part]].tolist()
            titles += columns.texts("form_titles", part)
        return np.concatenate(keys), Forms(texts, kinds, rows, titles)


def forms_of(files: LinkFiles, shard: int) -> Forms:
    """Return the forms of the titles that the texts of a shard may mention."""
    texts, kinds, rows, titles = list[str](), list[int](), list[int](), list[str]()
    for number in range(files.ranges):
        columns = Columns(files.groups(number))
        part = slice(*columns["form_bounds"][shard : shard + 2].tolist())
        texts += columns.texts("form_texts", part)
        kinds += columns["form_kinds"][part].tolist()
        rows += columns["form_rows"][part].tolist()
        titles += columns.texts("form_titles", part)
    return Forms(texts, kinds, rows, [title or text for title, text in zip(titles, texts, strict=True)])


def _kind(kind: int) -> Kind:
    return "alias" if kind & 2 else "title"


def _grouped(
    keys: NDArray[np.uint32], rows: NDArray[np.int64], shards: int, passages: int
) -> dict[str, NDArray[np.int64]]:
    """Return the rows of every rare key for each shard that has it, in the order of shards and keys."""
    order = np.argsort(keys, kind="stable")  # the rows of a key stay in the order of shards
    keys, rows = keys[order], rows[order]
    begins = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
    counts = np.diff(np.append(begins, len(keys)))
    rare = are_rare(counts, passages)
    begins, counts = begins[rare], counts[rare]
    places = places_of(begins, counts)
    key_of = np.repeat(np.arange(len(begins)), counts)
    # each key once for every shard that has it
    pairs = np.unique(shards_of(rows[places]) * max(len(begins), 1) + key_of)
    shard_of, key = np.divmod(pairs, max(len(begins), 1))
    return {
        "bounds": np.searchsorted(shard_of, np.arange(shards + 1)),
        "ends": np.cumsum(counts[key]),
        "rows": rows[places_of(begins[key], counts[key])],
    }
