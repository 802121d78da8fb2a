"""The router of an index in its folder: written with what an index needs to be searched by it, and refreshed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import RouterError
from ...index.ensemble_folder import ENCODER, LEXICAL_SHARDS, PASSAGES, passage_ids
from ...index.index import Index
from ...index.routing import BASE
from ...index.segments import PassageParts
from ...retrievers.atomic_file import write_json
from ...retrievers.folder import base_hash
from ...retrievers.protocols import Progress
from ...retrievers.records import Rows
from ...retrievers.router.clues import Corpus
from ...retrievers.router.docid_descriptors import describe_prefixes
from ...retrievers.router.docids import NONE
from ...retrievers.router.routed import build_lexical_shards
from ...retrievers.router.router import Router
from ...retrievers.router.router_file import read_about, read_parts, record_files, save_router
from .docid_pairs import TrainingPair, made_pairs
from .examples import Examples, encoded, examples_of
from .making import measured
from .refreshing import RefreshSettings, carried_over, refresh

_HELD_OUT = 0.2
_SHOWN = ("shards@2", "docid_hits@1")


def settled(index: Index) -> PassageParts:
    """Return the parts of an index to tune on.

    Raises:
        RouterError: when it has changes that are not part of its base.
    """
    if index.changed:
        raise RouterError(f"{index.path} was changed since it was built: `trailhound compact` it first")
    return index.parts.base


def corpus_of(parts: PassageParts) -> Corpus:
    """Return what a router looks up in an index."""
    return Corpus(parts.dense.reconstruct(np.arange(len(parts.store))), parts.terms, parts.entity)


def write_router(
    index: Index, router: Router, out: Path, about: Mapping[str, Any], progress: Progress | None = None
) -> None:
    """Write a router with the lexical index of every shard, the ids of its passages and what its prefixes are about."""
    parts = settled(index)
    save_router(out, router, {**about, BASE: base_hash(index.manifest), ENCODER: index.encoder_name})
    _say(progress, "indexing the shards")
    shutil.rmtree(out / LEXICAL_SHARDS, ignore_errors=True)
    texts = [(passage.title, passage.text) for passage in index.store]
    build_lexical_shards(out / LEXICAL_SHARDS, texts, router.partition)
    write_json(out / PASSAGES, [passage.id for passage in index.store])
    _say(progress, "describing docids")
    described = describe_prefixes(router.tree, parts.terms, (f"{title}\n{text}" for title, text in texts))
    named = {".".join(map(str, prefix)): list(words) for prefix, words in sorted(described.items())}
    write_json(out / "prefixes.json", named)
    record_files(out)


def refresh_router(
    index: Index,
    folder: Path,
    out: Path,
    pairs: Sequence[TrainingPair] = (),
    made: int = 2000,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Teach a router what came into its index since it was tuned, without forgetting; see :func:`refresh`.

    Args:
        index: the index as it is now, compacted.
        folder: of the former router.
        out: where the new one is written.
        pairs: labelled questions, of old passages or new ones.
        made: most pairs that are made of new passages, and of old ones.
        seed: of everything random.
        progress: hears of the stages.

    Returns:
        Shares of passages that are new and that are gone; held-out figures of old and of new pairs, before and after.

    Raises:
        RouterError: when there is no router, it does not know its passages by name, or nothing is new.
    """
    parts = settled(index)
    place = _new_rows(folder, index)
    corpus = corpus_of(parts)
    fresh = np.setdiff1d(np.arange(len(corpus)), place)
    if not len(fresh):
        raise RouterError(f"{index.path} has no passage that the router of {folder} does not know: nothing to refresh")
    known = read_parts(folder)
    partition, tree = carried_over(known.partition, known.tree, place, corpus.vectors)
    before = Router(corpus, partition, tree, known.networks, known.temperatures)
    rng = np.random.default_rng(seed)
    _say(progress, "making training pairs")
    old, new = _examples(index, corpus, pairs, fresh, made, rng, progress)
    (old, old_test), (new, new_test) = old.parted(_HELD_OUT, rng), new.parted(_HELD_OUT, rng)
    _say(progress, "refreshing the router")
    after = refresh(before, corpus, new, old, RefreshSettings(), seed)
    figures = {"new passages": len(fresh) / len(corpus), "gone": float((place == NONE).mean())}
    for kind, held_out in (("old", old_test), ("new", new_test)):
        for stage, router in (("before", before), ("after", after)):
            found = measured(router, held_out)
            figures |= {f"{kind}, {name}, {stage}": found[name] for name in _SHOWN if name in found}
    about = read_about(folder).get("about", {})
    write_router(index, after, out, {**about, "refreshed": str(folder), "figures": figures}, progress)
    return figures


def _new_rows(folder: Path, index: Index) -> Rows:
    """Return the row of every passage that a router knows, NONE for one that is gone, int64 [its passages]."""
    names = passage_ids(folder)
    rows = {passage.id: row for row, passage in enumerate(index.store)}
    return np.array([rows.get(name, NONE) for name in names], np.int64)


def _examples(
    index: Index,
    corpus: Corpus,
    labelled: Sequence[TrainingPair],
    fresh: Rows,
    made: int,
    rng: np.random.Generator,
    progress: Progress | None,
) -> tuple[Examples, Examples]:
    """Return training examples of old passages and of new ones."""
    unknown = set(fresh.tolist())
    known = np.setdiff1d(np.arange(len(corpus)), fresh)
    known = np.sort(rng.permutation(known)[:made])
    new = [pair for pair in labelled if unknown.intersection(pair.rows)] + _made(index, fresh, made, rng)
    old = [pair for pair in labelled if not unknown.intersection(pair.rows)] + _made(index, known, made, rng)
    if len(new) < 2 or len(old) < 2:
        raise RouterError(
            f"{index.path} gives {len(old)} old and {len(new)} new training pairs: at least two of each are needed"
        )
    of_old = examples_of(old, encoded(old, index.encoder, progress), corpus)
    return of_old, examples_of(new, encoded(new, index.encoder, progress), corpus)


def _made(index: Index, rows: Rows, most: int, rng: np.random.Generator) -> list[TrainingPair]:
    """Return at most so many pairs that are made of the passages at ``rows``."""
    passages = index.store.passages(rows.tolist())
    made = made_pairs(passages, settled(index).terms, rng, most)
    return [replace(pair, rows=tuple(int(rows[place]) for place in pair.rows)) for pair in made]


def _say(progress: Progress | None, stage: str) -> None:
    if progress is not None:
        progress(stage, 0, 0)
