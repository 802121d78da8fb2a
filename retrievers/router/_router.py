"""The router: p(shard | q), p(docid prefix | q) and a shortlist of docids; and its files, none of them a pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import DamagedIndexError, RouterError
from .._atomic_file import load_arrays, write_atomically
from .._calibration import Scores, softmax
from .._hashed_files import fingerprint, read_listed, read_sealed_json, write_sealed_json
from ..records import Hits, Query, Rows
from ._clues import Clues, Corpus, clues_of
from ._decoder import DecoderSettings, DocidDecoder, TreeView
from ._docids import ARRAYS as DOCID_ARRAYS
from ._docids import NONE, DocidTree
from ._docids import SETTINGS as DOCID_SETTINGS
from ._shards import Partition, ShardNetwork, ShardStatistics, shard_inputs

PREFIXES = "prefixes.json"
"""Words that set every docid prefix apart, in a router's folder."""

SETTINGS = "router.json"
ARRAYS = "router.safetensors"
_FORMAT = 3
_REMEDY = "tune the router again"

SHARD_MASS = 0.9
"""Shards are searched until so much of the probability lies in them."""

MOST_SHARDS = 4
"""Shards that are searched at most, however unsure the router is."""

BEAM = 48
"""Nodes that decoding follows."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What to ask, most probable first."""

    numbers: Rows  # int64 [k], shards
    probabilities: Scores  # float32 [k]


def enough_shards(probabilities: Scores, mass: float) -> Choice:
    """Return the most probable shards that together hold ``mass`` (1 or more for all), at most ``MOST_SHARDS``."""
    order = np.argsort(-probabilities, kind="stable")
    if mass < 1:
        order = order[: min(int(np.searchsorted(np.cumsum(probabilities[order]), mass)) + 1, MOST_SHARDS)]
    return Choice(order, probabilities[order])


@dataclass(frozen=True, slots=True)
class Networks:
    """The learned parts of a router."""

    shards: ShardNetwork  # of the partition
    decoder: DocidDecoder  # of docids


@dataclass(frozen=True, slots=True)
class Temperatures:
    """What makes probabilities of scores; fitted on held-out queries."""

    # shards, prefixes, docids: what scores are divided by, as shares of what was scored together
    shards: float = 1.0
    prefixes: float = 1.0
    docids: float = 1.0
    # slope, offset: of the log-odds that a docid with a score is right, whatever else was scored: those of several
    # routers can be compared
    slope: float = 1.0
    offset: float = 0.0


class Router:
    """A learned layer over an index: it proposes, the index and its evidence store decide.

    Passages that the router does not know (rows beyond its tree's) get a docid and a shard by their vectors when it is
    put together; their words count from then on.

    Raises:
        ValueError: when it knows more passages than the corpus has.
    """

    def __init__(
        self,
        corpus: Corpus,
        partition: Partition,
        tree: DocidTree,
        networks: Networks,
        temperatures: Temperatures | None = None,
    ) -> None:
        known = len(partition.shard)
        if known > len(corpus) or tree.rows > len(corpus):
            raise ValueError(f"the router knows {known} passages, the index has {len(corpus)}: tune the router again")
        self.corpus = corpus
        self.partition = partition.with_added(corpus.vectors[known:])
        self.tree = tree.with_added(corpus.vectors[tree.rows :]) if tree.rows < len(corpus) else tree
        self.networks = networks
        self.temperatures = temperatures or Temperatures()
        self.statistics = ShardStatistics(corpus, self.partition)
        self.view = TreeView(self.tree, corpus)

    def clues(self, query: Query) -> Clues:
        """Return what the router sees of a query; several questions to the router may share it."""
        return clues_of(query, self.corpus)

    def shard_probabilities(self, query: Query | Clues) -> Scores:
        """Return p(shard | q), float32 [S]."""
        known, vectors = shard_inputs(self.statistics, [self._seen(query)])
        with torch.no_grad():
            scores = self.networks.shards(vectors, known)[0].numpy()
        return softmax(scores, self.temperatures.shards)

    def shards(self, query: Query | Clues, mass: float = SHARD_MASS) -> Choice:
        """Return the most probable shards, no more than add up to ``mass``, see :func:`enough_shards`."""
        return enough_shards(self.shard_probabilities(query), mass)

    def prefixes(self, query: Query | Clues, most: int = 8) -> list[tuple[int, float]]:
        """Return the most probable first of several codes, with p(code | q) over those that the beam holds."""
        if self.tree.depth < 2:
            return []
        with torch.no_grad():
            found = self.networks.decoder.decode(self.view, [self._seen(query)], max(BEAM, most), 1)
        there = found.found[0].numpy() != NONE
        shares = softmax(found.scores[0].numpy()[there], self.temperatures.prefixes)
        codes = dict(zip(self.tree.children[0].tolist(), range(self.tree.branching), strict=True))
        nodes = found.found[0].numpy()[there].tolist()
        return [(codes[node], float(share)) for node, share in zip(nodes, shares, strict=True)][:most]

    def docids(self, query: Query | Clues, limit: int = 10, beam: int = BEAM) -> Hits:
        """Return the passages of the best docids, with log p(docid | q) over what the beam holds; ties by row."""
        if limit < 1 or not len(self.tree):
            return Hits(np.zeros(0, np.int64), np.zeros(0, np.float32))
        held, _ = self._decoded(query, max(beam, limit))
        logarithms = np.log(np.maximum(softmax(held.scores, self.temperatures.docids), 1e-30)).astype(np.float32)
        order = np.lexsort((held.rows, -logarithms))[:limit]
        return Hits(held.rows[order], logarithms[order])

    def docid_odds(self, query: Query | Clues, beam: int = BEAM) -> tuple[Hits, int]:
        """Return all passages that a beam holds, with the log-odds that each is right, and how many were compared."""
        if not len(self.tree):
            return Hits(np.zeros(0, np.int64), np.zeros(0, np.float32)), 0
        held, passages = self._decoded(query, beam)
        odds = self.temperatures.slope * held.scores + self.temperatures.offset
        return Hits(held.rows, odds.astype(np.float32)), passages

    def _decoded(self, query: Query | Clues, beam: int) -> tuple[Hits, int]:
        """Return what a beam holds with its scores, and how many passages were compared."""
        with torch.no_grad():
            found = self.networks.decoder.decode(self.view, [self._seen(query)], beam)
        rows, scores = found.found[0].numpy(), found.scores[0].numpy()
        return Hits(rows[rows != NONE], scores[rows != NONE]), int(found.passages[0])

    def _seen(self, query: Query | Clues) -> Clues:
        return query if isinstance(query, Clues) else self.clues(query)


def save_router(
    folder: Path, router: Router, about: Mapping[str, Any] | None = None, beside: Sequence[Path] = ()
) -> None:
    """Write a router into ``folder``, which is made; until the last file is there, the folder is refused.

    Args:
        folder: of the router.
        router: to write.
        about: what it was trained on and its figures, JSON values.
        beside: other files of the folder that are read with it: their hashes are kept too.
    """
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    networks = router.networks
    arrays: dict[str, NDArray[Any]] = {
        "partition.shard": router.partition.shard,
        "partition.centroids": router.partition.centroids,
        "partition.regions": router.partition.regions,
    }
    for name, network in (("shards", networks.shards), ("decoder", networks.decoder)):
        arrays |= {f"{name}.{key}": value.numpy() for key, value in network.state_dict().items()}
    write_atomically(folder / ARRAYS, save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
    router.tree.save(folder)
    parts = [folder / name for name in (ARRAYS, DOCID_ARRAYS, DOCID_SETTINGS)]
    settings = {
        "format": _FORMAT,
        "passages": len(router.partition.shard),
        "dimension": router.corpus.vectors.shape[1],
        "decoder": asdict(networks.decoder.settings),
        "temperatures": asdict(router.temperatures),
        "about": dict(about or {}),
        "files": {path.relative_to(folder).as_posix(): fingerprint(path) for path in (*parts, *beside)},
    }
    write_sealed_json(folder / SETTINGS, settings)


def read_about(folder: Path) -> dict[str, Any]:
    """Return everything that a router's settings file says.

    Raises:
        RouterError: when there is no router, one of another format, or it is damaged.
    """
    path = Path(folder) / SETTINGS
    if not path.is_file():
        raise RouterError(
            f"{folder} holds no router (no {SETTINGS}): give a folder that `trailhound tune-router` wrote"
        )
    settings = read_sealed_json(path, RouterError, _REMEDY)
    if settings.get("format") != _FORMAT:
        raise RouterError(
            f"{path} has format {settings.get('format')}, this version reads {_FORMAT}: tune the router again"
        )
    return settings


def check_router(folder: Path) -> dict[str, Any]:
    """Return what :func:`read_about` does, after comparing every file of a router with its hash.

    Raises:
        RouterError: when a file is missing, cut or changed, with its name.
    """
    settings = read_about(folder)
    listed = settings.get("files")
    if not isinstance(listed, dict):
        raise RouterError(f"{folder / SETTINGS} does not list the router's files: {_REMEDY}")
    for name, stated in listed.items():
        if ".." in PurePosixPath(name).parts or name.startswith("/") or (folder / name).is_symlink():
            raise RouterError(f"{folder / SETTINGS} names {name!r}, which is no file of this folder: {_REMEDY}")
        read_listed(folder / name, stated, RouterError, _REMEDY)
    return settings


def load_router(folder: Path | str, corpus: Corpus) -> Router:
    """Read a router for the index that it was trained on, or for one that has grown since.

    Raises:
        RouterError: when it is missing, damaged, or of another index.
    """
    parts = read_parts(folder)
    known, dimension = len(parts.partition.shard), parts.partition.centroids.shape[1]
    if known > len(corpus) or dimension != corpus.vectors.shape[1]:
        raise RouterError(
            f"the router of {folder} is of {known} passages with vectors of {dimension} numbers, the index has"
            f" {len(corpus)} of {corpus.vectors.shape[1]}: tune a router for this index"
        )
    return Router(corpus, *parts)


class RouterParts(NamedTuple):
    """What a router's folder holds, in the order of the router's arguments."""

    partition: Partition  # shards
    tree: DocidTree  # docids
    networks: Networks  # the learned parts
    temperatures: Temperatures  # of its probabilities


def read_parts(folder: Path | str) -> RouterParts:
    """Read a router without its corpus.

    Raises:
        RouterError: when it is missing or damaged.
    """
    folder = Path(folder)
    settings = check_router(folder)
    try:
        arrays = load_arrays(folder / ARRAYS)
        parts = Partition(*(arrays[f"partition.{name}"] for name in ("shard", "centroids", "regions")))
        temperatures = Temperatures(**{name: float(value) for name, value in settings["temperatures"].items()})
        networks = _networks(arrays, settings, len(parts))
        return RouterParts(parts, DocidTree.load(folder), networks, temperatures)
    except (OSError, DamagedIndexError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise RouterError(f"the router of {folder} cannot be read ({error}): tune the router again") from error


def _networks(arrays: Mapping[str, NDArray[Any]], settings: Mapping[str, Any], shards: int) -> Networks:
    decoder = DecoderSettings(**settings["decoder"])
    networks = Networks(ShardNetwork(decoder.dimension, shards), DocidDecoder(decoder))
    for name, network in (("shards", networks.shards), ("decoder", networks.decoder)):
        mine = {key.removeprefix(f"{name}."): array for key, array in arrays.items() if key.startswith(f"{name}.")}
        network.load_state_dict({key: torch.from_numpy(array.copy()) for key, array in mine.items()})
        network.eval()
    return networks


def explained(folder: Path, router: Router, query: Query, mass: float = SHARD_MASS) -> list[str]:
    """Return in words where a router leads a query: the shards with their probabilities, and likely docid prefixes.

    Raises:
        RouterError: when the folder, which says what its prefixes are about, is damaged.
    """
    clues = router.clues(query)
    chosen = router.shards(clues, mass)
    shards = ", ".join(f"{n} ({p:.2f})" for n, p in zip(chosen.numbers, chosen.probabilities, strict=True))
    lines = [f"shards searched: {shards} of {len(router.partition)}"]
    words = json.loads(read_listed(folder / PREFIXES, read_about(folder)["files"][PREFIXES], RouterError, _REMEDY))
    for code, probability in router.prefixes(clues, 3):
        lines.append(f"docids beginning with {code} ({probability:.2f}): {', '.join(words.get(str(code), []))}")
    return lines
