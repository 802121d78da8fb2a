"""Linking the shards of a corpus: the edges of all passages as one index has them, written for every shard.

One process reads all shards, as the build of one index reads its passages: it takes as long and as much memory as
linking takes there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import IndexFolderError
from ..graph._knowledge_graph import KnowledgeGraph
from ..index.index import Index
from ..retrievers._atomic_file import storing
from ..retrievers._folder import base_hash
from ..retrievers.protocols import Progress
from ..retrievers.words._terms import TermIndex
from ._messages import GROUPS_OF_EDGES, MOST_PASSAGES, row_in_all
from ._shard_links import LinkedBase


def link(opened: Sequence[Index], order: Mapping[str, int], files: Sequence[Path], progress: Progress | None) -> None:
    """Write how the passages of shards that were just built stand in the whole corpus.

    Args:
        opened: the shards, in order.
        order: place of every document in the corpus, by id.
        files: of each shard, to write.
        progress: called with (stage, done, total).

    Raises:
        IndexFolderError: when a shard has too many passages.
    """
    for index in opened:
        if len(index) > MOST_PASSAGES:
            raise IndexFolderError(
                f"{index.path} has {len(index):,} passages, more than {MOST_PASSAGES:,}: give more shards"
            )
    orders = [np.array([order[name] for name in index.parts.document_of], np.int64) for index in opened]
    in_all = [
        row_in_all(mine, number, np.arange(len(index)))
        for number, (index, mine) in enumerate(zip(opened, orders, strict=True))
    ]
    every = np.sort(np.concatenate(in_all))
    places = [np.searchsorted(every, rows) for rows in in_all]
    graph = _graph(opened, places, len(every), progress)
    for number, (index, mine) in enumerate(zip(opened, orders, strict=True)):
        counts, links = graph.neighbours_of(places[number], GROUPS_OF_EDGES)
        offsets = np.concatenate([[0], np.cumsum(counts.reshape(-1))]).astype(np.int64)
        columns = (every[links.rows], links.relations, links.starts, links.ends)
        with storing(files[number]):
            LinkedBase(base_hash(index.manifest), mine, offsets, *columns).save(files[number])
        if progress is not None:
            progress("writing the links", number + 1, len(opened))


def _graph(
    opened: Sequence[Index], places: Sequence[np.ndarray], passages: int, progress: Progress | None
) -> KnowledgeGraph:
    """Return the graph of all passages, in the order of the corpus."""
    titles, texts, documents = [""] * passages, [""] * passages, [""] * passages
    hashes, owners = [], []
    for index, mine in zip(opened, places, strict=True):
        for place, passage in zip(mine.tolist(), index.store, strict=True):
            titles[place], texts[place], documents[place] = passage.title, passage.text, passage.document_id
        terms, owner = index.terms.terms_of(np.arange(len(mine)))
        hashes.append(terms)
        owners.append(mine[owner])
    owner = np.concatenate(owners)
    by_place = np.argsort(owner, kind="stable")
    terms_of_all = TermIndex.of(np.concatenate(hashes)[by_place], owner[by_place], passages)
    return KnowledgeGraph.build(titles, texts, documents, terms_of_all, None, progress)
