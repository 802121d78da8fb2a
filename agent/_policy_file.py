"""A policy on disk: ``policy.safetensors`` and ``policy.json``; nothing that is loaded can run code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ..envs._seen import EDGES, SEEN_FEATURES
from ..envs.settings import BUDGET, DYNAMIC, OPERATOR, PAIR, QUESTION, STATIC, EnvironmentSettings
from ..errors import PolicyError
from ..retrievers._atomic_file import write_atomically
from ..retrievers._hashed_files import fingerprint, read_listed, read_sealed_json, write_sealed_json
from ..retrievers._shared import Shared, identity
from ..retrievers.protocols import Encoder
from ..retrievers.vectors._encoder import tuned_encoder
from ..retrievers.vectors._minilm import FILE as ADAPTER
from ..retrievers.vectors._minilm import Adapter, load_adapter, save_adapter
from ._confidence import Confidence
from ._network_settings import NetworkSettings
from ._ranker import Ranker
from ._scorer import NumpyScorer

if TYPE_CHECKING:
    from ._network import PolicyNetwork

FORMAT = 1
WEIGHTS = "policy.safetensors"
RANKER = "ranker.safetensors"
DESCRIPTION = "policy.json"
_REMEDY = "train it again, or go on with its training where that was interrupted"
FEATURES = {
    "question": QUESTION,
    "static": STATIC,
    "dynamic": DYNAMIC,
    "pair": PAIR,
    "operator": OPERATOR,
    "budget": BUDGET,
}
_RANKED_BY = {"features": list(SEEN_FEATURES), "edges": list(EDGES)}


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy that is ready to search.

    Attributes:
        architecture: of the network.
        weights: of the network, by name.
        settings: the environment it was trained in.
        encoder: name of the encoder whose vectors it knows.
        training: what ``policy.json`` says of its training.
        confidence: how sure searches are that their first passages hold all the evidence; None where training did not
            come to its end.
        adapter: what makes the built-in encoder its hop encoder.
        ranker: puts what a search has seen in order; None where training did not come to its end, and over facts.
    """

    architecture: NetworkSettings
    weights: Mapping[str, NDArray[np.float32]]
    settings: EnvironmentSettings
    encoder: str
    training: Mapping[str, Any]
    adapter: Adapter | None = None
    confidence: Confidence | None = None
    ranker: Ranker | None = None

    @property
    def digest(self) -> str:
        """A hash of the weights, of the ranker's too."""
        ranker = {} if self.ranker is None else {f"ranker.{name}": array for name, array in self.ranker.weights.items()}
        content = blake2b(digest_size=8)
        for name, array in sorted({**self.weights, **ranker}.items()):
            content.update(name.encode())
            content.update(np.ascontiguousarray(array).tobytes())
        return content.hexdigest()

    @cached_property
    def network(self) -> PolicyNetwork:
        """The network as torch has it, in evaluation mode: to go on training, and to walk the facts of a graph."""
        import torch

        from ._network import PolicyNetwork

        network = PolicyNetwork(self.architecture)
        network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in self.weights.items()})
        return network.eval()

    @cached_property
    def scorer(self) -> NumpyScorer:
        """The network as a search over texts runs it."""
        return NumpyScorer(self.architecture, self.weights)

    def hop_encoder(self, threads: int | None = None) -> Encoder | None:
        """Load the hop encoder that the policy was trained with, if it was."""
        return None if self.adapter is None else tuned_encoder(self.adapter, threads)


def save_policy(
    folder: Path,
    network: PolicyNetwork,
    settings: EnvironmentSettings,
    encoder: str,
    training: Mapping[str, Any],
    adapter: Adapter | None = None,
) -> None:
    """Write a policy; each file appears whole or not at all, the description last."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in network.state_dict().items()}
    write_atomically(folder / WEIGHTS, save(weights))
    if adapter is not None:
        save_adapter(folder, adapter)
    description = {
        "format": FORMAT,
        "encoder": encoder,
        "hop_encoder": None if adapter is None else adapter.digest,
        "features": FEATURES,
        "files": {WEIGHTS: fingerprint(folder / WEIGHTS)},
        "network": asdict(network.settings),
        "environment": asdict(settings),
        "training": dict(training),
    }
    write_sealed_json(folder / DESCRIPTION, description)


def save_ranker(folder: Path, ranker: Ranker) -> None:
    """Add to a saved policy what puts the passages that it has seen in order.

    Raises:
        PolicyError: when the folder holds no policy.
    """
    description = _read_description(folder)
    write_atomically(folder / RANKER, save(ranker.weights))
    files = description["files"] | {RANKER: fingerprint(folder / RANKER)}
    write_sealed_json(folder / DESCRIPTION, description | {"files": files, "ranker": _RANKED_BY})


def save_confidence(folder: Path, confidence: Confidence) -> None:
    """Add to a saved policy how sure it is of its searches.

    Raises:
        PolicyError: when the folder holds no policy.
    """
    write_sealed_json(folder / DESCRIPTION, _read_description(folder) | {"confidence": confidence.to_json()})


def load_confidence(folder: Path) -> Confidence | None:
    """Load from a policy how sure searches are, of fixed systems too; None where its training did not come to its end.

    Raises:
        PolicyError: when the folder holds no policy, or it is damaged.
    """
    return _confidence(folder, _read_description(folder))


def load_policy(folder: Path) -> LoadedPolicy:
    """Load a policy; every file is held against its hash.

    Raises:
        PolicyError: when the folder holds none, it is damaged, or was trained with other features.
    """
    description = _read_description(folder)
    features = {name: list(names) for name, names in FEATURES.items()}
    known = description.get("features") == features and description.get("ranker", _RANKED_BY) == _RANKED_BY
    if description.get("format") != FORMAT or not known:
        raise PolicyError(f"{folder} was trained by another version of Trailhound: train it again")
    try:
        encoder, training = str(description["encoder"]), dict(description["training"])
        architecture = NetworkSettings(**description["network"])
        settings = EnvironmentSettings(**description["environment"])
        weights = load(read_listed(folder / WEIGHTS, description["files"][WEIGHTS], PolicyError, _REMEDY))
        architecture.check(weights)
        listed = description["files"].get(RANKER)
        ranker = None if listed is None else Ranker(load(read_listed(folder / RANKER, listed, PolicyError, _REMEDY)))
    except (SafetensorError, TypeError, ValueError, KeyError) as error:
        raise PolicyError(f"the policy in {folder} is damaged ({shorten(str(error), 200)}): {_REMEDY}") from error
    everything = (*weights.values(), *(() if ranker is None else ranker.weights.values()))
    if not all(np.isfinite(array).all() for array in everything):
        raise PolicyError(f"the policy in {folder} has weights that are not finite: {_REMEDY}")
    wanted = description.get("hop_encoder")
    adapter = None if wanted is None else load_adapter(folder)
    if adapter is not None and adapter.digest != wanted:
        raise PolicyError(f"the hop encoder in {folder} is not the one that the policy was trained with: train again")
    confidence = _confidence(folder, description)
    return LoadedPolicy(architecture, weights, settings, encoder, training, adapter, confidence, ranker)


def shared_policy(folder: Path) -> LoadedPolicy:
    """Return a policy as agents of one process share it; errors are those of :func:`load_policy`."""
    files = tuple(identity(folder / name) for name in (DESCRIPTION, WEIGHTS, RANKER, ADAPTER))
    policy = _POLICIES.get(files, lambda: load_policy(folder))
    # Over facts the network is tied to those of one index.
    return load_policy(folder) if policy.architecture.fact_kinds else policy


_POLICIES = Shared[LoadedPolicy]()


def _confidence(folder: Path, description: Mapping[str, Any]) -> Confidence | None:
    fitted = description.get("confidence")
    try:
        return None if fitted is None else Confidence.from_json(fitted)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise PolicyError(f"the policy in {folder} is damaged ({shorten(str(error), 200)}): {_REMEDY}") from error


def _read_description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    if not path.exists():
        raise PolicyError(f"{folder} holds no policy (no {DESCRIPTION}): give the folder that `trailhound train` wrote")
    return read_sealed_json(path, PolicyError, _REMEDY)
