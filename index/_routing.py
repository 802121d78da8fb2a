"""A routed index: what is searched for a question lies in the shards that a router chooses for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RouterError
from ..retrievers.protocols import SubIndex
from ..retrievers.records import Hits, Query, Rows
from ..retrievers.router._clues import Corpus
from ..retrievers.router._ensemble import Member, RouterEnsemble, local_corpus
from ..retrievers.router._router import SETTINGS, Router, explained, load_router, read_about
from ..retrievers.router._shards import LexicalShard, WithinShards, best, dense_shards, open_lexical_shards
from ._segments import Parts, PassageParts

BASE = "base"
"""What a router's file says of the index that it was tuned on: the hash of its first segment."""


_MORE = 8
"""Passages beyond those wanted that are asked for at first where some are deleted."""


class Routing:
    """The shards of an index, and the router that chooses among them.

    What came into the index after the router was tuned is in no shard: it is found by the sub-indexes that hold it, and
    what was deleted is left out.

    Args:
        folder: that ``trailhound tune-router`` wrote; or a folder of such folders, each of a router that was tuned on
            the index of a part of the corpus.
        base: the index that it was tuned on; or the index of all parts.
        base_hash: of that index's first segment.
        encoder: the name of its encoder.
        mass: shards are searched for a question until they hold so much of the probability; 1 for all of them.

    Raises:
        RouterError: when there is no router, or it is another index's.
    """

    def __init__(self, folder: Path, base: PassageParts, base_hash: str, encoder: str, mass: float) -> None:
        if not 0 < mass <= 1:
            raise RouterError(f"the shard mass must be above 0 and at most 1, not {mass}")
        self.base = base
        self._folder = folder
        self.mass = mass
        self.router: Router | RouterEnsemble
        lexical: Sequence[SubIndex]
        vectors = base.dense.reconstruct(np.arange(len(base.store)))
        corpus = Corpus(vectors, base.terms, base.entity)
        if members := member_folders(folder):
            self.router, lexical = open_ensemble(members, base, corpus, encoder)
        else:
            self.router, lexical = _open_router(folder, corpus, base_hash)
        dense = dense_shards(vectors, self.router.partition)
        self._parts: dict[str, Sequence[SubIndex]] = {"dense": dense, "lexical": lexical}

    def sub_indexes(self, question: Query, parts: Parts) -> dict[str, SubIndex]:
        """Return the sub-indexes of the index as it is now, by name: lexical and dense in its shards, and docids."""
        clues: Any = self.router.clues(question)
        chosen = self.router.shards(clues, self.mass).numbers
        routed: dict[str, SubIndex] = dict(parts.sub_indexes)
        for name, shards in self._parts.items():
            routed[name] = WithinShards([shards[number] for number in chosen.tolist()])
        routed["docid"] = _RoutedDocids(self.router, clues)
        if parts.changed:
            for name in (*self._parts, "docid"):
                routed[name] = _Current(routed[name], parts)
        return routed

    def explained(self, question: Query) -> list[str]:
        """Return in words where the router leads a question: shards, and what its likely docids are about."""
        if isinstance(self.router, Router):
            return explained(self._folder, self.router, question, self.mass)
        chosen = self.router.shards(question, self.mass)
        shares = ", ".join(f"{n} ({p:.2f})" for n, p in zip(chosen.numbers, chosen.probabilities, strict=True))
        return [f"shards searched: {shares} of {len(self.router.partition)}"]

    def passages_searched(self, question: Query) -> int:
        """Return how many passages lie in the shards of a question."""
        chosen = self.router.shards(question, self.mass).numbers
        return int(self.router.partition.sizes[chosen].sum())

    def reachable(self, question: Query, rows: int) -> NDArray[np.bool_]:
        """Return whether each of the index's ``rows`` is searched for a question, bool [rows]: what came later is."""
        chosen = self.router.shards(question, self.mass).numbers
        there = np.ones(rows, np.bool_)
        there[: len(self.router.partition.shard)] = np.isin(self.router.partition.shard, chosen)
        return there


def _open_router(folder: Path, corpus: Corpus, base_hash: str) -> tuple[Router, Sequence[SubIndex]]:
    """Open a router and the lexical index of each of its shards."""
    if read_about(folder).get("about", {}).get(BASE) != base_hash:
        raise RouterError(
            f"the router of {folder} was tuned on another index, or on this one before it was built anew:"
            " tune it again (trailhound tune-router)"
        )
    router = load_router(folder, corpus)
    return router, open_lexical_shards(folder / LEXICAL_SHARDS, router.partition)


class _RoutedDocids:
    """The passages whose docids the router spells for one question, whatever is asked; fulfils ``SubIndex``."""

    name = "docid"

    def __init__(self, router: Router | RouterEnsemble, clues: Any) -> None:
        self._router, self._clues = router, clues

    def search(self, query: Query, limit: int) -> Hits:
        return self._router.docids(self._clues, limit)


class _Current:
    """A routed sub-index over an index that was changed since; fulfils ``SubIndex``."""

    def __init__(self, routed: SubIndex, parts: Parts) -> None:
        self.name, self._routed, self._parts = routed.name, routed, parts
        self._explicit = parts.sub_indexes.get(routed.name)

    def search(self, query: Query, limit: int) -> Hits:
        wanted = limit + _MORE
        while True:
            old = self._routed.search(query, wanted)
            alive = self._parts.alive[old.rows]
            if int(alive.sum()) >= limit or len(old) < wanted:
                break
            wanted *= 4
        rows, scores = old.rows[alive], old.scores[alive]
        if self._explicit is not None:
            new = self._explicit.search(query, limit)
            added: Rows = np.flatnonzero(new.rows >= len(self._parts.base))
            rows = np.concatenate([rows, new.rows[added]])
            scores = np.concatenate([scores, new.scores[added]])
        return best(rows, scores, limit)


ENCODER = "encoder"
"""What a router's file says of the encoder of the index that it was tuned on: its name."""

LEXICAL_SHARDS = "lexical"
"""Folder of the lexical index of every shard, inside a router's."""

PASSAGES = "passages.json"
"""Ids of the passages that a router knows, in the order of its rows."""


def member_folders(folder: Path) -> list[Path]:
    """Return the routers in a folder of routers, by name; none for a router's own folder."""
    if (folder / SETTINGS).is_file() or not folder.is_dir():
        return []
    return sorted(path.parent for path in folder.glob(f"*/{SETTINGS}"))


def open_ensemble(
    folders: Sequence[Path], base: PassageParts, corpus: Corpus, encoder: str
) -> tuple[RouterEnsemble, list[SubIndex]]:
    """Open routers that together know the passages of an index, by their ids, and the lexical index of every shard.

    Raises:
        RouterError: when a router cannot be read, was tuned with another encoder or knows a passage that the index
            does not hold; or when a passage of the index is no router's, or several routers'.
    """
    rows = _rows_of(folders, base)
    members: list[Member] = []
    lexical: list[SubIndex] = []
    for folder, mine in zip(folders, rows, strict=True):
        known = read_about(folder).get("about", {}).get(ENCODER)
        if known != encoder:
            raise RouterError(
                f"the router of {folder} was tuned with the encoder {known!r}, the index has {encoder!r}:"
                " tune it again, on an index of this encoder"
            )
        own = local_corpus(corpus, base.title_of, mine, base.document_of)
        router = load_router(folder, own)
        members.append(Member(mine, router))
        for shard in open_lexical_shards(folder / LEXICAL_SHARDS, router.partition):
            lexical.append(LexicalShard(mine[shard.rows], shard.index))
    return RouterEnsemble(members, len(corpus)), lexical


def passage_ids(folder: Path) -> list[str]:
    """Return the ids of the passages that a router knows; RouterError when they cannot be read."""
    try:
        return [str(name) for name in json.loads((folder / PASSAGES).read_text("utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise RouterError(f"{folder / PASSAGES} cannot be read ({error}): tune a router anew (tune-router)") from error


def _rows_of(folders: Sequence[Path], base: PassageParts) -> list[Rows]:
    """Return the rows of every router's passages; each passage of the index is one router's."""
    place = {passage.id: row for row, passage in enumerate(base.store)}
    owner: dict[str, Path] = {}
    found = []
    for folder in folders:
        names = passage_ids(folder)
        for name in names:
            if name not in place:
                raise RouterError(
                    f"the router of {folder} knows the passage {name!r}, which the index does not hold:"
                    " build the index of the passages of all routers"
                )
            if name in owner:
                raise RouterError(
                    f"the passage {name!r} is known to the routers of {owner[name]} and {folder}: leave one of them out"
                )
            owner[name] = folder
        found.append(np.array([place[name] for name in names], np.int64))
    missing = next((name for name in place if name not in owner), None)
    if missing is not None:
        raise RouterError(
            f"{len(place) - len(owner)} passages of the index, {missing!r} among them, are known to none of the"
            f" {len(folders)} routers in {folders[0].parent}: add the router that was tuned on them"
        )
    return found
