"""A folder of routers that were tuned apart, each on the index of its own part of the corpus, opened as one router."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import RouterError
from ..retrievers.protocols import SubIndex
from ..retrievers.records import Rows
from ..retrievers.router.clues import Corpus
from ..retrievers.router.ensemble import Member, RouterEnsemble, local_corpus
from ..retrievers.router.routed import LexicalShard, open_lexical_shards
from ..retrievers.router.router import SETTINGS, load_router, read_about
from .segments import PassageParts

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
    """Open routers that together know the passages of an index, by their ids.

    Args:
        folders: of the routers.
        base: the index that holds the passages of all of them.
        corpus: what a router looks up in it.
        encoder: its encoder's name.

    Returns:
        The routers as one, and the lexical index of every shard.

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
    """Return the ids of the passages that a router knows.

    Raises:
        RouterError: when they cannot be read.
    """
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
