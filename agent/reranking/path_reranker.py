r"""Re-ranks a result passage by passage, each pick read together with the question and the passages picked before it.

The manner is Beam Retrieval's (Zhang et al. 2024, arXiv:2308.08973, section 3) with a beam of one. The next passage is

.. math::
    \arg\max_c \; w \, s(q, E, c) - \log r(c)

with the picks so far E, the score s of the :class:`.PairEncoder` (a log-probability but for a term that all candidates
share), and the place r that c has in the ranking it came with. The weight w is fitted on questions that were not
learned from; with w = 0 the ranking stays as it is. A pointwise re-ranker reads every candidate with the question
alone (E is empty throughout), and orders all of them by it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from ...envs.query_state import MOST_EVIDENCE, conditioned_query
from ...envs.question_view import QuestionView
from ...errors import PolicyError
from ...retrievers.atomic_file import write_atomically, write_json
from ...retrievers.records import Passage
from ...retrievers.vectors.adapter import Adapter, load_adapter, save_adapter
from ...retrievers.vectors.encoder import embedding_text
from .pair_encoder import CANDIDATE_TOKENS, STATE_TOKENS, PairEncoder

FORMAT = 1
CANDIDATES = 20
"""Passages at the head of a ranking that are read again."""

PICKS = 5
"""Passages that are picked from them; the rest follow in the order they had."""

_WEIGHTS = "path_reranker.safetensors"
_DESCRIPTION = "path_reranker.json"


class PathScores:
    """What the encoder thinks of the candidates of one question after any path, each path read once."""

    def __init__(self, encoder: PairEncoder, view: QuestionView, candidates: Sequence[Passage]) -> None:
        self._encoder = encoder
        self._view = view
        self._candidates = candidates
        self._read = encoder.read([embedding_text(p.title, p.text) for p in candidates], CANDIDATE_TOKENS)
        self._known: dict[tuple[int, ...], NDArray[np.float64]] = {}

    @torch.inference_mode()
    def after(self, path: Sequence[int]) -> NDArray[np.float64]:
        """Return the score of every candidate after the candidates numbered ``path``, float64 [n]."""
        held = tuple(path[-MOST_EVIDENCE:])
        if held not in self._known:
            text = conditioned_query(self._view, [self._candidates[k] for k in held])
            state = self._encoder.read([text], STATE_TOKENS)
            scores = self._encoder(state, self._read, [0] * len(self._candidates))
            self._known[held] = scores.double().cpu().numpy()
        return self._known[held]

    def order(self, weight: float, pointwise: bool = False) -> list[int]:
        """Return the candidates' numbers, best first."""
        numbers = range(len(self._candidates))
        prior = -np.log(np.arange(1, len(numbers) + 1))
        if pointwise:
            mixed = weight * self.after(()) + prior if weight else prior
            return [int(number) for number in np.argsort(-mixed, kind="stable")]
        picked: list[int] = []
        while weight and len(picked) < min(PICKS, len(numbers)):
            mixed = weight * self.after(picked) + prior
            mixed[picked] = -np.inf
            picked.append(int(mixed.argmax()))
        return [*picked, *(k for k in numbers if k not in picked)]


class PathReranker:
    """A trained encoder and its weight beside the ranking that it is given.

    Args:
        encoder: in evaluation mode, so that threads may share it.
        weight: w, 0 or more.
        pointwise: it reads no path.
    """

    def __init__(self, encoder: PairEncoder, weight: float, pointwise: bool = False) -> None:
        self.encoder = encoder
        self.weight = weight
        self.pointwise = pointwise

    def order(self, view: QuestionView, ranking: Sequence[Passage]) -> list[int]:
        """Return the places of the ranking's passages in their new order, [len(ranking)]."""
        head = ranking[:CANDIDATES]
        if not self.weight or not head:
            return list(range(len(ranking)))
        return [
            *PathScores(self.encoder, view, head).order(self.weight, self.pointwise),
            *range(len(head), len(ranking)),
        ]


def save_reranker(
    folder: Path,
    encoder: PairEncoder,
    rank: int,
    weight: float,
    adapter: Adapter | None,
    training: Mapping[str, Any],
    pointwise: bool = False,
) -> None:
    """Write a re-ranker into ``folder``, which exists; each file appears whole or not at all, the description last."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in encoder.state_dict().items()}
    write_atomically(folder / _WEIGHTS, save(tensors))
    if adapter is not None:
        save_adapter(folder, adapter)
    description = {
        "format": FORMAT,
        "rank": rank,
        "weight": weight,
        "pointwise": pointwise,
        "hop_encoder": None if adapter is None else adapter.digest,
        "training": dict(training),
    }
    write_json(folder / _DESCRIPTION, description)


def load_reranker(folder: Path) -> PathReranker:
    """Load a re-ranker.

    Raises:
        PolicyError: when the folder holds none, or it is damaged or of another version.
        EncoderError: when the hop encoder that it sets out from is missing or damaged.
    """
    path = folder / _DESCRIPTION
    if not path.is_file():
        raise PolicyError(
            f"{folder} holds no path re-ranker (no {_DESCRIPTION}): give the folder that `trailhound tune-reranker`"
            " wrote"
        )
    try:
        description = json.loads(path.read_text("utf-8"))
        if description["format"] != FORMAT:
            raise PolicyError(f"{folder} was made by another version of Trailhound: tune the re-ranker again")
        rank, weight, wanted = int(description["rank"]), float(description["weight"]), description["hop_encoder"]
        if rank < 1 or not 0 <= weight < np.inf:
            raise ValueError(f"rank {rank}, weight {weight}")
        adapter = None if wanted is None else load_adapter(folder)
        if adapter is not None and adapter.digest != wanted:
            raise ValueError("its hop encoder is another one")
        encoder = PairEncoder(rank, seed=0, dropout=0.0, device="cpu", adapter=adapter)
        encoder.load_state_dict(load_file(folder / _WEIGHTS))
    except (OSError, SafetensorError, RuntimeError, TypeError, ValueError, KeyError) as error:
        what = shorten(str(error), 200)
        raise PolicyError(f"the path re-ranker in {folder} is damaged ({what}): tune it again") from error
    if not all(bool(torch.isfinite(parameter).all()) for parameter in encoder.parameters()):
        raise PolicyError(f"the path re-ranker in {folder} has weights that are not finite: tune it again")
    return PathReranker(encoder.eval(), weight, bool(description.get("pointwise", False)))
