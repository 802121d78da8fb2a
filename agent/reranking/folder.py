"""Re-rankers on disk: a folder that ``trailhound tune-reranker`` wrote; nothing that is loaded can run code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import PolicyError
from ...index.index import Index
from ...retrievers.atomic_file import write_json
from ...retrievers.protocols import Reranker
from .cross_encoder import CrossEncoderReranker
from .features import NAMES
from .linear import LinearReranker
from .path_reranker import PathReranker, load_reranker

FORMAT = 1
DESCRIPTION = "linear_reranker.json"


def save_linear(folder: Path, reranker: LinearReranker, training: Mapping[str, Any]) -> None:
    """Write a linear re-ranker into ``folder``, which exists."""
    weights = dict(zip(NAMES[reranker.name], reranker.weights.tolist(), strict=True))
    description = {"format": FORMAT, "kind": reranker.name, "weights": weights, "training": dict(training)}
    write_json(folder / DESCRIPTION, description)


def open_reranker(folder: Path, index: Index) -> Reranker | PathReranker:
    """Open whatever re-ranker a folder holds, for the passages of an index.

    Raises:
        PolicyError: when there is none, it is damaged or of another version, or the index is a knowledge graph.
    """
    if index.facts is not None:
        raise PolicyError(f"{index.path} is a knowledge graph, whose entities have no texts: leave {folder} out")
    if (folder / DESCRIPTION).is_file():
        return _load_linear(folder / DESCRIPTION, index)
    loaded = load_reranker(folder)
    return CrossEncoderReranker(loaded.encoder, loaded.weight) if loaded.pointwise else loaded


def _load_linear(path: Path, index: Index) -> LinearReranker:
    try:
        description = json.loads(path.read_text("utf-8"))
        if description["format"] != FORMAT:
            raise PolicyError(f"{path} was made by another version of Trailhound: tune the re-ranker again")
        kind, weights = str(description["kind"]), description["weights"]
        return LinearReranker(index, kind, [float(weights[name]) for name in NAMES[kind]])
    except (OSError, TypeError, ValueError, KeyError) as error:
        raise PolicyError(f"{path} is damaged ({error!r}): tune the re-ranker again") from error
