"""Tuning and refreshing the router of an index, and its folder with what an index needs to be searched by it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...envs._question_set import supporting_rows
from ...errors import RouterError
from ...graph._edges import Relation
from ...index._routing import BASE, ENCODER, LEXICAL_SHARDS, PASSAGES, passage_ids
from ...index._segments import PassageParts
from ...index.index import Index
from ...retrievers._atomic_file import write_json
from ...retrievers._folder import base_hash
from ...retrievers.protocols import Progress
from ...retrievers.questions._label_targets import settle_labels
from ...retrievers.questions._labelled import load_questions
from ...retrievers.records import Rows, Vectors
from ...retrievers.router._clues import Corpus
from ...retrievers.router._docids import NONE, DocidTree, describe_prefixes
from ...retrievers.router._router import PREFIXES, Router, read_about, read_parts, save_router
from ...retrievers.router._shards import Partition, build_lexical_shards
from .._epochs import write_metrics
from ._examples import Examples, TrainingPair, encoded, examples_of, joined, labelled_pairs, made_pairs
from ._training import Place, RouterSettings, RouterTraining, make_router, measured, train_decoder, train_shards

Warn = Callable[[str], None]

_HELD_OUT = 0.2
_SHOWN = ("shards@2", "docid_hits@1")


def settled(index: Index) -> PassageParts:
    """Return the parts of an index to tune on; RouterError when it has changes that are not part of its base."""
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
    _report(progress, "indexing the shards")
    shutil.rmtree(out / LEXICAL_SHARDS, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    texts = [(passage.title, passage.text) for passage in index.store]
    build_lexical_shards(out / LEXICAL_SHARDS, texts, router.partition)
    write_json(out / PASSAGES, [passage.id for passage in index.store])
    _report(progress, "describing docids")
    described = describe_prefixes(router.tree, parts.terms, (f"{title}\n{text}" for title, text in texts))
    named = {".".join(map(str, prefix)): list(words) for prefix, words in sorted(described.items())}
    write_json(out / PREFIXES, named)
    lexical = sorted(path for path in (out / LEXICAL_SHARDS).rglob("*") if path.is_file())
    stated = {**about, BASE: base_hash(index.manifest), ENCODER: index.encoder_name}
    save_router(out, router, stated, [*lexical, out / PASSAGES, out / PREFIXES])


@dataclass(frozen=True, slots=True)
class RefreshSettings:
    """How a router is refreshed."""

    replay: float = 1.0  # old pairs that are trained on again, for each new pair
    distillation: float = 1.0  # weight of the distance to the former decoder's query vectors
    # of the networks
    training: RouterTraining = field(default_factory=lambda: RouterTraining(decoder_epochs=2, shard_epochs=10))


def carried_over(partition: Partition, tree: DocidTree, place: Rows, vectors: Vectors) -> tuple[Partition, DocidTree]:
    """Return shards and docids of a corpus that was changed and built anew; passages that stayed keep theirs.

    ``place``, int64 [former rows], is the new row of each passage, NONE for one that is gone; ``vectors`` [N, d] of the
    new corpus say where new passages belong. When every docid is taken, a ValueError says so: tune the router again.
    """
    new = np.setdiff1d(np.arange(len(vectors)), place)
    shard = np.concatenate([place, new])
    grown = partition.with_added(vectors[new])
    there = shard != NONE
    shards = np.zeros(len(vectors), np.int64)
    shards[shard[there]] = grown.shard[there]
    with_new = tree.without(np.flatnonzero(place == NONE)).with_added(vectors[new])
    return replace(grown, shard=shards), with_new.renumbered(shard, len(vectors))


def refresh(
    router: Router, corpus: Corpus, new: Examples, old: Examples, settings: RefreshSettings, seed: int
) -> Router:
    """Return a router of the grown corpus that has learned new pairs; the given router does not change.

    Until then the new passages are reached all the same: they have docids and shards by their vectors, and the explicit
    sub-indexes hold them. Training replays a sample of the old pairs (experience replay, Rolnick et al. 2019,
    arXiv:1811.11682; DSI++, Mehta et al. 2022, arXiv:2212.09744) and holds the decoder near its former self.

    Args:
        router: the former one.
        corpus: the old passages, in the old order, and the new ones after them.
        new, old: pairs of new passages and those that the router was trained on, with clues of ``corpus``.
        settings: how.
        seed: of everything random.
    """
    rng = np.random.default_rng(seed)
    count = min(round(settings.replay * len(new)), len(old))
    examples = joined(new, old.take(np.sort(rng.permutation(len(old))[:count])))
    networks = deepcopy(router.networks)
    grown = Router(corpus, router.partition, router.tree, networks, router.temperatures)
    training = replace(settings.training, distillation=settings.distillation)
    train_shards(networks.shards, grown.statistics, grown.partition, examples, training, seed)
    train_decoder(networks.decoder, [(grown.view, examples)], training, seed, teacher=router.networks.decoder)
    return grown


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
        progress: called with (stage, done, total) at every stage.

    Returns:
        Shares of passages that are new and that are gone; held-out figures of old and of new pairs, before and after.

    Raises:
        RouterError: when there is no router, it does not know its passages by name, or nothing is new.
    """
    parts = settled(index)
    rows = {passage.id: row for row, passage in enumerate(index.store)}
    place = np.array([rows.get(name, NONE) for name in passage_ids(folder)], np.int64)
    corpus = corpus_of(parts)
    fresh = np.setdiff1d(np.arange(len(corpus)), place)
    if not len(fresh):
        raise RouterError(f"{index.path} has no passage that the router of {folder} does not know: nothing to refresh")
    known = read_parts(folder)
    partition, tree = carried_over(known.partition, known.tree, place, corpus.vectors)
    before = Router(corpus, partition, tree, known.networks, known.temperatures)
    rng = np.random.default_rng(seed)
    _report(progress, "making training pairs")
    old, new = _examples(index, corpus, pairs, fresh, made, rng, progress)
    (old, old_test), (new, new_test) = old.parted(_HELD_OUT, rng), new.parted(_HELD_OUT, rng)
    _report(progress, "refreshing the router")
    after = refresh(before, corpus, new, old, RefreshSettings(), seed)
    figures = {"new passages": len(fresh) / len(corpus), "gone": float((place == NONE).mean())}
    for kind, held_out in (("old", old_test), ("new", new_test)):
        for stage, router in (("before", before), ("after", after)):
            found = measured(router, held_out)
            figures |= {f"{kind}, {name}, {stage}": found[name] for name in _SHOWN if name in found}
    about = read_about(folder).get("about", {})
    write_router(index, after, out, {**about, "refreshed": str(folder), "figures": figures}, progress)
    return figures


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


def _report(progress: Progress | None, stage: str) -> None:
    if progress is not None:
        progress(stage, 0, 0)


@dataclass(frozen=True, slots=True)
class RouterTuning:
    """How a router is tuned.

    Attributes:
        shards: how many.
        made: most pairs that are made of passages.
        balance: weight of how far the shards are from being asked in proportion to their sizes.
        seed: of everything random.
    """

    shards: int = 8
    made: int = 2000
    balance: float = 0.02
    seed: int = 0


def tune_router(
    index: Index,
    out: Path,
    tuning: RouterTuning | None = None,
    *,
    questions: Path | None = None,
    split: str | None = None,
    warn: Warn | None = None,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Tune a router for an index and write it into ``out``; the same arguments give the same one.

    An interrupted run goes on when it is called again with the same arguments.

    Args:
        index: as it was built; a changed one is compacted first.
        out: folder of the router.
        tuning: how.
        questions: labelled questions; without them all is learned from pairs that are made of the passages.
        split: of the questions.
        warn: called with each warning: what is left out.
        progress: called with (stage, done, total).

    Returns:
        Figures on held-out pairs (shares from 0 to 1), see :func:`._training.measured`; ``metrics.json`` has them too.

    Raises:
        RouterError: when there is too little to learn from, there are more shards than passages, or the labels are
            another index's.
        PolicyError: when ``out`` holds a run of other settings.
    """
    tuning = tuning or RouterTuning()
    parts = settled(index)
    if tuning.shards > len(index):
        raise RouterError(f"{len(index)} passages cannot be parted into {tuning.shards} shards: ask for fewer")
    pairs = _pairs(index, tuning, questions, split, warn, progress)
    described = {
        "command": "tune-router",
        **asdict(tuning),
        "questions": None if questions is None else Path(questions).name,
        "split": split,
        "passages": len(index),
        "pairs": len(pairs),
    }
    corpus, edges = corpus_of(parts), index.graph.edges
    linked = edges.relation == Relation.TITLE_MENTION
    made = make_router(
        corpus,
        examples_of(pairs, encoded(pairs, index.encoder, progress), corpus),
        RouterSettings(tuning.shards, training=RouterTraining(balance=tuning.balance)),
        tuning.seed,
        (edges.source[linked], edges.target[linked]),
        Place(out, described, progress),
    )
    figures = dict(made.figures)
    write_router(index, made.router, out, {**described, "index": str(index.path), "figures": figures}, progress)
    write_metrics(out, asdict(tuning), figures)
    return figures


def _pairs(
    index: Index,
    tuning: RouterTuning,
    questions: Path | None,
    split: str | None,
    warn: Warn | None,
    progress: Progress | None,
) -> list[TrainingPair]:
    """Return what to learn from: pairs of questions, if there are any, and of passages."""
    pairs = labelled_of(index, questions, split, warn) if questions is not None and split is not None else []
    _report(progress, "making training pairs")
    pairs += made_pairs(list(index.store), settled(index).terms, np.random.default_rng(tuning.seed), tuning.made)
    if len(pairs) < 2:
        raise RouterError(f"{index.path} gives {len(pairs)} training pairs: a router needs two, better hundreds")
    return pairs


def labelled_of(index: Index, questions: Path, split: str, warn: Warn | None = None) -> list[TrainingPair]:
    """Return the pairs of labelled questions.

    What an index of a part of the corpus does not hold is left out of the labels, with a warning.

    Raises:
        RouterError: when the index holds nothing that the labels name.
    """
    asked, qrels = load_questions(questions, split, warn)
    labels = settle_labels(index.store, qrels)
    unknown, named = labels.unmatched, labels.supporting
    if unknown and len(unknown) == named:
        raise RouterError(
            f"the labels of {questions} name {unknown[0]!r}, which {index.path} does not hold, and nothing that it"
            " holds: give the questions of this index"
        )
    if unknown and warn is not None:
        warn(
            f"{len(unknown)} of the {named} passages and documents that the labels of {questions} name are not in"
            f" {index.path}: nothing is learned of them"
        )
    return labelled_pairs(asked, supporting_rows(index, asked, labels))
