"""Routers in files: safetensors and JSON, no pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import DamagedIndexError, RouterError
from ..atomic_file import load_arrays, write_atomically, write_json
from .clues import Corpus
from .decoder import DecoderSettings, DocidDecoder
from .docids import DocidTree
from .network import PlanNetwork, ShardNetwork
from .router import Networks, Router, Temperatures
from .shards import Partition

SETTINGS = "router.json"
ARRAYS = "router.safetensors"
_FORMAT = 3


def save_router(folder: Path, router: Router, about: Mapping[str, Any] | None = None) -> None:
    """Write a router into ``folder``, which is made; until the last file is there, the folder is refused.

    Args:
        folder: of the router.
        router: to write.
        about: what it was trained on and its figures, JSON values.
    """
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    networks = router.networks
    arrays: dict[str, NDArray[Any]] = {
        "partition.shard": router.partition.shard,
        "partition.centroids": router.partition.centroids,
        "partition.regions": router.partition.regions,
    }
    for name, network in (("shards", networks.shards), ("decoder", networks.decoder), ("plan", networks.plan)):
        if network is not None:
            arrays |= {f"{name}.{key}": value.numpy() for key, value in network.state_dict().items()}
    write_atomically(folder / ARRAYS, save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
    router.tree.save(folder)
    settings = {
        "format": _FORMAT,
        "passages": len(router.partition.shard),
        "dimension": router.corpus.vectors.shape[1],
        "decoder": asdict(networks.decoder.settings),
        "choices": list(networks.choices),
        "temperatures": asdict(router.temperatures),
        "about": dict(about or {}),
    }
    _write_settings(folder, settings)


def record_files(folder: Path) -> None:
    """List every file that is in a router's folder by now, with its hash: all of them are checked when it is read."""
    _write_settings(folder, read_about(folder))


def _write_settings(folder: Path, settings: dict[str, Any]) -> None:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != SETTINGS]
    settings["files"] = {path.relative_to(folder).as_posix(): _digest(path) for path in files}
    write_json(folder / SETTINGS, {**settings, "sha256": _hash(settings)})


def read_about(folder: Path) -> dict[str, Any]:
    """Return everything that a router's settings file says.

    Raises:
        RouterError: when there is no router, or one of another format.
    """
    path = Path(folder) / SETTINGS
    if not path.is_file():
        raise RouterError(
            f"{folder} holds no router (no {SETTINGS}): give a folder that `trailhound tune-router` wrote"
        )
    try:
        settings = json.loads(path.read_text("utf-8"))
        if settings["format"] != _FORMAT:
            raise RouterError(f"{path} has format {settings['format']}, this version reads {_FORMAT}: tune it again")
        if settings.pop("sha256", None) != _hash(settings):
            raise RouterError(f"{path} does not match its hash: tune the router again")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RouterError(f"{path} cannot be read ({error}): tune the router again") from error
    return dict(settings)


def load_router(folder: Path | str, corpus: Corpus) -> Router:
    """Read a router for the index that it was trained on, or for one that has grown since.

    Args:
        folder: that :func:`save_router` wrote.
        corpus: the index' parts.

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
    return Router(corpus, parts.partition, parts.tree, parts.networks, parts.temperatures)


@dataclass(frozen=True, slots=True)
class RouterParts:
    """What a router's folder holds.

    Attributes:
        partition: shards.
        tree: docids.
        networks: the learned parts.
        temperatures: of its probabilities.
    """

    partition: Partition
    tree: DocidTree
    networks: Networks
    temperatures: Temperatures


def read_parts(folder: Path | str) -> RouterParts:
    """Read a router without its corpus.

    Raises:
        RouterError: when it is missing or damaged.
    """
    folder = Path(folder)
    settings = read_about(folder)
    try:
        for name, digest in settings["files"].items():
            if ".." in PurePosixPath(name).parts or name.startswith("/") or not _is_file(folder / name):
                raise RouterError(f"{folder / name} is missing or is not a file: tune the router again")
            if _digest(folder / name) != digest:
                raise RouterError(f"{folder / name} is not the file that was written: tune the router again")
        arrays = load_arrays(folder / ARRAYS)
        parts = Partition(*(arrays[f"partition.{name}"] for name in ("shard", "centroids", "regions")))
        temperatures = Temperatures(**{name: float(value) for name, value in settings["temperatures"].items()})
        networks = _networks(arrays, settings, len(parts))
        return RouterParts(parts, DocidTree.load(folder), networks, temperatures)
    except (OSError, DamagedIndexError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise RouterError(f"the router of {folder} cannot be read ({error}): tune the router again") from error


def _networks(arrays: Mapping[str, NDArray[Any]], settings: Mapping[str, Any], shards: int) -> Networks:
    choices = tuple(map(str, settings["choices"]))
    decoder = DecoderSettings(**settings["decoder"])
    networks = Networks(
        ShardNetwork(decoder.dimension, shards),
        DocidDecoder(decoder),
        PlanNetwork(decoder.dimension, len(choices)) if choices else None,
        choices,
    )
    for name, network in (("shards", networks.shards), ("decoder", networks.decoder), ("plan", networks.plan)):
        if network is not None:
            mine = {key.removeprefix(f"{name}."): array for key, array in arrays.items() if key.startswith(f"{name}.")}
            network.load_state_dict({key: torch.from_numpy(array.copy()) for key, array in mine.items()})
            network.eval()
    return networks


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _hash(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
