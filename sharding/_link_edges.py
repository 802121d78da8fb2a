"""The third step of linking shards: the edges that begin in a shard, at whichever shard they end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..graph._generic_titles import Phrase, in_small_letters, is_generic, may_be_generic
from ..graph._linking import BLOCK, find_mentions, strongest
from ..index._segment_rows import open_base
from ..retrievers.protocols import Progress
from ..retrievers.records import Rows
from ..retrievers.words._terms import rarity
from ..retrievers.words._titles import TitleMatcher
from ._link_files import Columns, LinkFiles, Write, packed, places_of, write_once
from ._link_groups import SHARED, forms_of
from ._messages import place_of, row_in_shard, shards_of
from ._tasks import Warn


@dataclass(frozen=True)
class FindEdges:
    """Writes the edges that begin in a shard, in the order of the shards where they end.

    Mentions are ``source`` (in the shard), ``target`` (among all), ``relation``, ``start`` and ``end`` within
    ``bounds``, and ``phrase``, the place of their words in ``phrases``, of which ``named`` counts passages. Links over
    what is shared are ``share_source``, ``share_target`` and ``share_weight`` within ``share_bounds``.

    Attributes:
        headings: whether titles are headings, so that the words of mentions are wanted.
    """

    files: LinkFiles
    shard: int
    headings: bool
    stage = "linking shards"

    def run(self, warn: Warn, progress: Progress | None) -> None:
        """Do it."""
        write_once(self.files.edges(self.shard), lambda write: self._write(write, progress))

    def _write(self, write: Write, progress: Progress | None) -> None:
        rows = np.array(Columns(self.files.keys(self.shard))["rows"])
        for name, column in self._mentions(rows, progress).items():
            write(name, column)
        with TemporaryDirectory(dir=self.files.place) as folder:
            # kept by nothing else, so that its files are closed before they are removed
            asked = list(
                _asked(SharedKeys(self.files, self.shard, len(rows), Path(folder)), rows, self.files.passages, progress)
            )
        source, target, weight = map(np.concatenate, zip(*asked, strict=True))
        order, bounds = self._by_shard(target)
        for name, column in {"source": source, "target": target, "weight": weight}.items():
            write(f"share_{name}", column[order])
        write("share_bounds", bounds)

    def _mentions(self, rows: Rows, progress: Progress | None) -> dict[str, NDArray[Any]]:
        store = open_base(self.files.shards[self.shard]).store
        titles, documents = store.columns()
        forms = forms_of(self.files, self.shard)
        others = dict(zip(forms.rows, forms.titles, strict=True))
        matcher = TitleMatcher.of(forms.named(), folded=False)
        del forms
        found = find_mentions(
            rows.tolist(),
            (passage.text for passage in store),
            matcher,
            _OfShard(self.shard, titles, others),
            _OfShard(self.shard, documents, {}),
            self.headings,
            progress,
        )
        store.close()
        order, bounds = self._by_shard(found.target)
        table = {phrase: place for place, phrase in enumerate(dict.fromkeys(found.phrases))}
        named = found.named() if self.headings else Counter[Phrase]()
        return {
            "source": row_in_shard(found.source[order]).astype(np.int32),
            "target": found.target[order],
            "relation": found.relation[order].astype(np.int8),
            "start": found.start[order].astype(np.int32),
            "end": found.end[order].astype(np.int32),
            "bounds": bounds,
            "phrase": np.array([table[phrase] for phrase in found.phrases], np.int32)[order if self.headings else []],
            "named": np.array([named[phrase] for phrase in table], np.int64),
            **packed("phrases", list(map(" ".join, table))),
        }

    def _by_shard(self, targets: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return edges in the order of the shards where they end, and where those of each begin."""
        shards = shards_of(targets)
        order = np.argsort(shards, kind="stable")
        return order, np.searchsorted(shards[order], np.arange(len(self.files.shards) + 1))


@dataclass(frozen=True)
class CountSmallLetters:
    """Writes how many passages of a shard have the words of mentions in small letters: ``phrases`` and ``small``."""

    files: LinkFiles
    shard: int
    stage = "looking for headings"

    def run(self, warn: Warn, progress: Progress | None) -> None:
        """Do it."""
        write_once(self.files.small_letters(self.shard), self._write)
        if progress is not None:
            progress(self.stage, self.shard + 1, len(self.files.shards))

    def _write(self, write: Write) -> None:
        store = open_base(self.files.shards[self.shard]).store
        phrases = may_be_generic(named_in(self.files))
        small = in_small_letters(phrases, (passage.text for passage in store))
        store.close()
        for name, column in packed("phrases", list(map(" ".join, small))).items():
            write(name, column)
        write("small", np.array(list(small.values()), np.int64))


def named_in(files: LinkFiles) -> Counter[Phrase]:
    """Return how many passages of all shards name a title by each phrase."""
    return _counted(map(files.edges, range(len(files.shards))), "named")


def generic_in(files: LinkFiles) -> frozenset[Phrase]:
    """Return the phrases that name nothing."""
    named = named_in(files)
    small = _counted(map(files.small_letters, range(len(files.shards))), "small")
    return frozenset(phrase for phrase in may_be_generic(named) if is_generic(small[phrase], named[phrase]))


def phrases_in(columns: Columns) -> list[Phrase]:
    """Return the phrases that a task has written."""
    texts = columns.texts("phrases", slice(0, len(columns["phrases_ends"])))
    return [tuple(text.split(" ")) for text in texts]


def _counted(folders: Iterable[Path], name: str) -> Counter[Phrase]:
    total = Counter[Phrase]()
    for folder in folders:
        columns = Columns(folder)
        total.update(dict(zip(phrases_in(columns), columns[name].tolist(), strict=True)))
    return total


class SharedKeys:
    """The rare keys that passages of a shard have, with all passages that have them.

    Args:
        files: of what is linked.
        shard: its number.
        passages: that it has.
        folder: for files that are mapped into memory while this is used: there is more than memory should hold.
    """

    def __init__(self, files: LinkFiles, shard: int, passages: int, folder: Path) -> None:
        owners, keys, known, total = list[NDArray[np.int32]](), list[NDArray[np.int32]](), 0, 0
        with (folder / "offsets").open("wb") as offsets, (folder / "rows").open("wb") as all_rows:
            np.zeros(1, np.int64).tofile(offsets)
            for ends, rows in _sections(files, shard):
                own = shards_of(rows) == shard
                key = np.repeat(np.arange(len(ends), dtype=np.int32), np.diff(ends, prepend=0))
                owners.append(row_in_shard(rows[own]).astype(np.int32))
                keys.append(key[own] + np.int32(known))
                (ends + total).tofile(offsets)
                rows.tofile(all_rows)
                known, total = known + len(ends), total + len(rows)
            np.zeros(1, np.int64).tofile(all_rows)  # an empty file cannot be mapped
        self._offsets = np.memmap(folder / "offsets", np.int64, "r")
        self._rows = np.memmap(folder / "rows", np.int64, "r")
        owner = np.concatenate(owners)
        self._keys = np.concatenate(keys)[np.argsort(owner, kind="stable")]
        self._begins = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=passages))])

    def of(self, first: int, last: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Return how many keys each of the passages from ``first`` to ``last`` has, and the keys, ascending in each."""
        begins = self._begins[first : last + 1]
        return np.diff(begins), self._keys[begins[0] : begins[-1]]

    def having(self, keys: NDArray[np.int32]) -> tuple[NDArray[np.int64], Rows]:
        """Return how many passages have each of some keys, and their rows among all, key after key."""
        begins = self._offsets[keys]
        counts = self._offsets[keys + 1] - begins
        return counts, self._rows[places_of(begins, counts)]


def _sections(files: LinkFiles, shard: int) -> Iterator[tuple[NDArray[np.int64], Rows]]:
    """Iterate over what all ranges have for a shard, terms first: where the rows of each rare key end, and the rows."""
    for name in SHARED:
        for number in range(files.ranges):
            columns = Columns(files.groups(number))
            begin, end = columns[f"{name}_bounds"][shard : shard + 2].tolist()
            ends = columns[f"{name}_ends"][max(begin - 1, 0) : end]
            first = int(ends[0]) if begin else 0
            ends = np.array(ends[1:] if begin else ends) - first
            yield ends, np.array(columns[f"{name}_rows"][first : first + (int(ends[-1]) if len(ends) else 0)])


class _OfShard:
    """Something of passages, by their rows among all: of a shard, and of some others."""

    def __init__(self, shard: int, own: Sequence[str], others: Mapping[int, str]) -> None:
        self._shard, self._own, self._others = shard, own, others

    def __getitem__(self, row: int) -> object:
        shard, place = place_of(row)
        return self._own[place] if shard == self._shard else self._others.get(row)


def _asked(
    shared: SharedKeys, rows: Rows, passages: int, progress: Progress | None
) -> Iterator[tuple[NDArray[np.int32], Rows, NDArray[np.float32]]]:
    """Iterate over the links that passages of a shard ask for: source in the shard, target among all, and weight."""
    from scipy import sparse

    yield np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.float32)
    for first in range(0, len(rows), BLOCK):
        last = min(first + BLOCK, len(rows))
        counts, keys = shared.of(first, last)
        known, key = np.unique(keys, return_inverse=True)
        sizes, having = shared.having(known)
        others, column = np.unique(having, return_inverse=True)
        offsets = [np.concatenate([[0], np.cumsum(some)]) for some in (counts, sizes)]
        has = sparse.csr_array((np.ones(len(key), np.float32), key, offsets[0]), shape=(last - first, len(known)))
        idf = np.repeat(rarity(sizes, passages), sizes)
        weighted = sparse.csr_array((idf, column, offsets[1]), shape=(len(known), len(others)))
        source, target, weight = strongest(has @ weighted, np.searchsorted(others, rows[first:last]))
        yield (source + first).astype(np.int32), others[target], weight
        if progress is not None:
            progress("linking shared phrases", last, len(rows))
