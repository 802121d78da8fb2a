"""The router of an index in its folder: written with what an index needs to be searched by it, and refreshed."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import RouterError
from ...index.index import Index
from ...index.routing import BASE, ENCODER, LEXICAL_SHARDS, PASSAGES, passage_ids
from ...index.segments import PassageParts
from ...retrievers.atomic_file import write_json
from ...retrievers.folder import base_hash
from ...retrievers.protocols import Progress
from ...retrievers.records import Rows, Vectors
from ...retrievers.router.clues import Corpus
from ...retrievers.router.docids import NONE, Docid, DocidTree
from ...retrievers.router.router import PREFIXES, Router, read_about, read_parts, save_router
from ...retrievers.router.shards import Partition, build_lexical_shards
from ...retrievers.words.phrases import words_of
from ...retrievers.words.terms import STOP_WORDS, TermHashes, TermIndex, term_hashes
from .examples import Examples, TrainingPair, encoded, examples_of, joined, made_pairs
from .training import RouterTraining, measured, train_decoder, train_shards

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
    sample = old.take(np.sort(rng.permutation(len(old))[:count]))
    examples = joined(new, sample)
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
    place = _new_rows(folder, index)
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


def _report(progress: Progress | None, stage: str) -> None:
    if progress is not None:
        progress(stage, 0, 0)


_SHORTEST_WORD = 3


def describe_prefixes(
    tree: DocidTree, terms: TermIndex, texts: Iterable[str], words: int = 4
) -> dict[Docid, tuple[str, ...]]:
    """Return the most distinctive words of every docid prefix, most distinctive first.

    Class-based tf-idf (Grootendorst 2022, "BERTopic", arXiv:2203.05794, eq. 2): ``tf(t, c) log(1 + A / f(t))``;
    ``tf`` counts the passages of cluster ``c`` that have the term, ``f`` those of the whole level, and ``A`` is the
    mean number of terms in a cluster. A term is written as the commonest word of ``texts`` that it is the stem of.
    """
    chosen: dict[Docid, TermHashes] = {}
    for level in range(1, tree.depth):
        nodes = tree.nodes_of(level)
        group = np.concatenate([nodes, np.full(len(terms) - len(nodes), NONE, np.int64)])
        found = distinctive_terms(terms, group, words)
        known, rows = np.unique(nodes, return_index=True)
        for node, row in zip(known.tolist(), rows.tolist(), strict=True):
            if node != NONE:
                chosen[tuple(tree.codes[row, :level].tolist())] = found[node]
    wanted = {int(term) for found in chosen.values() for term in found}
    written = _written(wanted, texts)
    return {
        prefix: tuple(written[int(term)] for term in found if int(term) in written) for prefix, found in chosen.items()
    }


def distinctive_terms(terms: TermIndex, group: NDArray[np.int64], most: int) -> Mapping[int, TermHashes]:
    """Return the ``most`` terms with the highest class-based tf-idf of every group; rows below 0 are in none."""
    owner = group[np.repeat(np.arange(len(terms)), np.diff(terms.offsets))]
    inside = owner >= 0
    term = np.searchsorted(terms.vocabulary, terms.hashes[inside])
    size = len(terms.vocabulary)
    keys, counts = np.unique(owner[inside] * size + term, return_counts=True)
    groups, term = keys // size, keys % size
    totals = np.bincount(term, counts, size)
    mean = counts.sum() / max(len(np.unique(groups)), 1)
    weights = counts * np.log1p(mean / totals[term])
    order = np.lexsort((term, -weights, groups))
    names, begins = np.unique(groups[order], return_index=True)
    ends = [*begins[1:].tolist(), len(order)]
    return {
        name: terms.vocabulary[term[order[begin : min(begin + most, end)]]]
        for name, begin, end in zip(names.tolist(), begins.tolist(), ends[: len(names)], strict=True)
    }


def _written(wanted: set[int], texts: Iterable[str]) -> dict[int, str]:
    """Return the commonest lower-cased word of each wanted term; the first in the alphabet among equals."""
    seen: Counter[str] = Counter()
    for text in texts:
        seen.update(set(words_of(text.lower())))
    best: dict[int, tuple[int, str]] = {}
    for word, count in seen.items():
        if word in STOP_WORDS or len(word) < _SHORTEST_WORD:
            continue
        for term in term_hashes(word).tolist():
            if term in wanted:
                best[term] = min(best.get(term, (0, "")), (-count, word))
    return {term: word for term, (_, word) in best.items()}
