"""Linking the shards of a corpus: the edges of all passages as one index has them, written for every shard.

No task reads more than the texts of one shard, and none needs all titles:

    keys-0003     of a shard: rare terms and phrases, forms of titles, and words that its texts have (``_link_keys.py``)
    groups-0007   of a range of keys: for every shard, what its keys lead to in all shards (``_link_groups.py``)
    edges-0003    of a shard: the edges that begin in it (``_link_edges.py``)
    small-0003    of a shard: words of titles in small letters, where titles are headings

A shard's links are its own edges and those of others that end in it. A task whose folder is there is done.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import IndexFolderError
from ..graph._edges import Edges, Relation
from ..graph._generic_titles import Phrase, looked_at, read_like_headings
from ..graph._knowledge_graph import KnowledgeGraph
from ..graph._linking import each_once, link_neighbours
from ..index._segment_rows import open_base
from ..retrievers._atomic_file import storing, synchronise
from ..retrievers._folder import base_hash, read_manifest
from ..retrievers._hashed_files import fingerprint
from ..retrievers.protocols import Progress
from ..retrievers.records import Rows
from ._building import place_of_links, place_of_order
from ._link_edges import CountSmallLetters, FindEdges, generic_in, phrases_in
from ._link_files import Columns, LinkFiles
from ._link_groups import GroupKeys
from ._link_keys import GatherKeys
from ._messages import GROUPS_OF_EDGES, MOST_PASSAGES, row_in_shard, shards_of
from ._shard_links import LinkedBase, linked_of
from ._tasks import RunTasks, Warn

_RANGE = 1 << 17
"""Passages for each range of keys, where these are more ranges than shards."""


def link(shards: Sequence[Path], parts: Path, run: RunTasks, warn: Warn, progress: Progress | None) -> None:
    """Write how the passages of shards that were just built stand in the whole corpus, unless that is written.

    Args:
        shards: their folders, in order.
        parts: folder for files on the way.
        run: does the tasks.
        warn, progress: as for a build.

    Raises:
        IndexFolderError: when a shard has too many passages.
    """
    manifests = [read_manifest(folder) for folder in shards]
    for folder, manifest in zip(shards, manifests, strict=True):
        if manifest["passages"] > MOST_PASSAGES:
            raise IndexFolderError(
                f"{folder} has {manifest['passages']:,} passages, more than {MOST_PASSAGES:,}: give more shards"
            )
    of = [(base_hash(one), fingerprint(place_of_order(folder))) for one, folder in zip(manifests, shards, strict=True)]
    linked = hashlib.sha256(json.dumps(of).encode()).hexdigest()
    if all(linked_of(place_of_links(folder)) == linked for folder in shards):
        return
    passages = sum(manifest["passages"] for manifest in manifests)
    files = LinkFiles(parts / f"links-{linked[:16]}", tuple(shards), passages, max(len(shards), -(-passages // _RANGE)))
    with storing(parts):
        for other in parts.glob("links-*"):
            if other != files.place:
                shutil.rmtree(other)
        files.place.mkdir(exist_ok=True)
    every = range(len(shards))
    run([GatherKeys(files, shard) for shard in every], warn, progress)
    run([GroupKeys(files, number) for number in range(files.ranges)], warn, progress)
    headings = read_like_headings(_sampled_titles(files))
    run([FindEdges(files, shard, headings) for shard in every], warn, progress)
    generic: frozenset[Phrase] = frozenset()
    if headings:
        run([CountSmallLetters(files, shard) for shard in every], warn, progress)
        generic = generic_in(files)
    run([WriteLinks(files, shard, generic, linked) for shard in every], warn, progress)


@dataclass(frozen=True)
class WriteLinks:
    """Writes the links of a shard.

    Attributes:
        generic: phrases that name nothing.
        linked: what all shards are.
    """

    files: LinkFiles
    shard: int
    generic: frozenset[Phrase]
    linked: str
    stage = "writing the links"

    def run(self, warn: Warn, progress: Progress | None) -> None:
        """Do it."""
        file = place_of_links(self.files.shards[self.shard])
        if linked_of(file) != self.linked:
            with storing(file):
                _, passing = tempfile.mkstemp(prefix=f"{file.name}-", dir=self.files.place)
                self._links().save(Path(passing), self.linked)
                synchronise(Path(passing))
                Path(passing).rename(file)
                synchronise(file.parent)
        if progress is not None:
            progress(self.stage, self.shard + 1, len(self.files.shards))

    def _links(self) -> LinkedBase:
        """Return the edges that begin or end in the shard."""
        base = open_base(self.files.shards[self.shard])
        order = np.load(place_of_order(self.files.shards[self.shard]), allow_pickle=False)
        order = order[base.store.document_numbers()]
        mine = np.array(Columns(self.files.keys(self.shard))["rows"])
        mentions, shares = [], []
        for shard in range(len(self.files.shards)):
            rows = Columns(self.files.keys(shard))["rows"]
            columns = Columns(self.files.edges(shard))
            mentions.append(self._mentions(shard, columns, rows))
            part = self._part(columns["share_bounds"], shard)
            names = ("share_source", "share_target", "share_weight")
            source, target, weight = (np.array(columns[name][part]) for name in names)
            shares.append((rows[source], target, weight))
        every = np.unique(np.concatenate([mine, *(ends for one in (*mentions, *shares) for ends in one[:2])]))
        own = np.searchsorted(every, mine)
        source, target, relation, start, end = map(np.concatenate, zip(*mentions, strict=True))
        source, target = (np.searchsorted(every, rows).astype(np.int32) for rows in (source, target))
        mentioned = Edges(source, target, relation, start, end, np.ones(len(source), np.float32))
        source, target, weight = map(np.concatenate, zip(*shares, strict=True))
        shared = each_once(np.searchsorted(every, source), np.searchsorted(every, target), weight, len(every))
        near = link_neighbours(base.store.columns()[1])
        base.store.close()
        adjacent = Edges.of(own[near.source], own[near.target], Relation.ADJACENT)
        graph = KnowledgeGraph(Edges.concatenate([mentioned, shared, adjacent]), len(every))
        counts, links = graph.neighbours_of(own, GROUPS_OF_EDGES)
        offsets = np.concatenate([[0], np.cumsum(counts.reshape(-1))]).astype(np.int64)
        return LinkedBase(
            base.entry.sha256, order, offsets, every[links.rows], links.relations, links.starts, links.ends
        )

    def _part(self, bounds: NDArray[np.int64], shard: int) -> slice:
        """Return the edges that begin in a shard and begin or end in this one."""
        return (
            slice(0, int(bounds[-1])) if shard == self.shard else slice(*bounds[self.shard : self.shard + 2].tolist())
        )

    def _mentions(self, shard: int, columns: Columns, rows: Rows) -> tuple[NDArray[np.integer], ...]:
        """Return source and target among all, relation, start and end of mentions that name something."""
        part = self._part(columns["bounds"], shard)
        names = ("source", "target", "relation", "start", "end")
        source, target, *others = (np.array(columns[name][part]) for name in names)
        found = (rows[source], target, *others)
        if not self.generic:
            return found
        names_something = np.array([phrase not in self.generic for phrase in phrases_in(columns)], np.bool_)
        kept = names_something[columns["phrase"][part]]
        return tuple(column[kept] for column in found)


def _sampled_titles(files: LinkFiles) -> list[str]:
    """Return the titles that say whether all are headings, as one index of all shards looks at them."""
    keys = [Columns(files.keys(shard)) for shard in range(len(files.shards))]
    chosen = _nth(keys, np.array(looked_at(files.passages), np.int64))
    titles: list[str] = []
    for shard, folder in enumerate(files.shards):
        store = open_base(folder).store
        mine = row_in_shard(chosen[shards_of(chosen) == shard])
        titles += [passage.title for passage in store.passages(mine.tolist())]
        store.close()
    return titles


def _nth(shards: Sequence[Columns], numbers: NDArray[np.int64]) -> Rows:
    """Return those rows of all shards that so many are smaller than; no array of all rows is made."""
    low = np.zeros(len(numbers), np.int64)
    high = np.full(len(numbers), np.iinfo(np.int64).max // 2)
    while bool((low < high).any()):
        middle = (low + high) // 2
        until = np.sum([np.searchsorted(one["rows"], middle, side="right") for one in shards], axis=0)
        enough = until > numbers
        low, high = np.where(enough, low, middle + 1), np.where(enough, middle, high)
    return low
