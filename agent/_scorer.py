"""What the policy thinks of a state, computed with numpy: a search imports no torch.

Letters: k candidate slots, e evidence slots, o operators (EXPAND and HOP), d width, a actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..envs._batch import Observation
from ..envs.settings import SUB_INDEXES
from ..graph._inference import GraphInference
from ._network_settings import NetworkSettings

Array = NDArray[np.float32]
Weights = Mapping[str, Array]


class Scorer(Protocol):
    """Scores every action of a search, and values its state."""

    settings: NetworkSettings

    def opinions(self, observation: Observation) -> tuple[Array, Array]:
        """Return unmasked logits [b, a] and values [b] of b states; see ``observation_shapes``."""
        ...


class NumpyScorer:
    """The forward pass of :class:`._network.PolicyNetwork` over texts, one state at a time.

    The same numbers to within fp32 rounding, in a tenth of the time: at these sizes nearly all that torch does is
    to prepare its work.

    Args:
        settings: of the network; it has no kinds of facts.
        weights: by their names in ``policy.safetensors``.
    """

    def __init__(self, settings: NetworkSettings, weights: Weights) -> None:
        self.settings = settings
        # transposed once, so that x @ w is a product of contiguous arrays
        self._weights = {
            name.removesuffix(".weight"): np.ascontiguousarray(array.T)
            for name, array in weights.items()
            if name.endswith(".weight") and array.ndim == 2
        }
        self._biases = {name.removesuffix(".bias"): array for name, array in weights.items() if name.endswith(".bias")}
        self._expand = weights["operator.weight"][: len(SUB_INDEXES)]  # [s, d]
        self._hop = weights["operator.weight"][len(SUB_INDEXES) :]  # [r, d]
        self._graph = GraphInference(settings.width, settings.rounds, weights) if settings.rounds else None

    def opinions(self, observation: Observation) -> tuple[Array, Array]:
        """Return unmasked logits [b, a] and values [b] of b states."""
        states = range(len(observation["question"]))
        opinions = [self._opinion({name: array[b] for name, array in observation.items()}) for b in states]
        return np.stack([logits for logits, _ in opinions]), np.array([value for _, value in opinions], np.float32)

    def _opinion(self, observation: Mapping[str, NDArray[Any]]) -> tuple[Array, np.float32]:
        """Return unmasked logits [a] and the value of one state."""
        rows = observation["candidate_rows"]
        used = np.flatnonzero(rows >= 0)
        k = int(used[-1]) + 1 if len(used) else 1  # candidates fill the slots from the first one on
        present = (rows[:k] >= 0).astype(np.float32)[:, None]  # [k, 1]
        slots = observation["evidence"]  # [e]
        taken = slots[slots >= 0]  # they fill their places from the first one on too
        question = self._linear("question", observation["question"])  # [q]
        states = self._candidates(observation, question, present, taken)  # [k, d]
        held = np.zeros((len(slots), states.shape[1]), np.float32)  # [e, d]
        held[: len(taken)] = states[taken]
        search = self._search(states, held, len(used), len(taken), question, observation["budget"])  # [d]
        logits = np.zeros(1 + len(observation["operators"]) + len(rows), np.float32)
        logits[0] = self._linear("stop_score", search)[0]
        logits[1 : -len(rows)] = self._asking(observation["operators"], held, search)
        hidden = self._linear("take_candidate", states) + self._linear("take_search", search)
        takes = self._linear("take_score", np.maximum(hidden, 0)) * present  # [k, 1]
        logits[-len(rows) :][:k] = takes[:, 0]
        return logits, self._linear("value.2", self._hidden("value.0", search))[0]

    def _candidates(
        self, observation: Mapping[str, NDArray[Any]], question: Array, present: Array, taken: NDArray[np.int64]
    ) -> Array:
        """Encode candidates by their features, beside each evidence, and among their links: [k, d]."""
        k, width = len(present), len(question)
        weights = self._weights["candidate.0"]
        asked = question @ weights[-width:] + self._biases["candidate.0"]
        hidden = np.maximum(observation["candidates"][:k] @ weights[:-width] + asked, 0)
        states = self._hidden("candidate.2", hidden) * present  # [k, d]
        beside = np.zeros((2, *states.shape), np.float32)  # the most of any evidence, and beside the newest
        if len(taken):
            each = self._linear("pair_features", observation["links"][: len(taken), :k])  # [e, k, d]
            each += self._linear("pair_candidate", states)
            each += self._linear("pair_evidence", states[taken])[:, None]
            np.maximum(each, 0, out=each)
            beside[0], beside[1] = each.max(axis=0), each[-1]
        states = (states + self._linear("pair_out", np.concatenate(beside, axis=1))) * present
        if self._graph is None:
            return states
        return self._graph(states, taken, observation["adjacency"][:k, :k], question) * present

    def _search(self, states: Array, held: Array, candidates: int, taken: int, question: Array, budget: Array) -> Array:
        """Summarise the search: what is in view, what is held, what is left: [d]."""
        mean = states.sum(axis=0) / max(candidates, 1)
        most = np.maximum(states.max(axis=0), 0)  # as with an empty slot: how many there are must not matter
        evidence = held.sum(axis=0) / max(taken, 1)
        seen = np.concatenate((mean, most, evidence, question, budget))
        return self._hidden("search.2", self._hidden("search.0", seen))

    def _asking(self, features: Array, held: Array, search: Array) -> Array:
        """Score EXPAND and HOP actions [o]."""
        hops = self._linear("operator_evidence", held)[:, None] + self._hop  # [e, r, d]
        states = np.concatenate((self._expand, hops.reshape(-1, len(search))))  # [o, d]
        hidden = states + self._linear("operator_features", features) + self._linear("operator_search", search)
        scores: Array = self._linear("operator_score", np.maximum(hidden, 0))[:, 0]
        return scores

    def _hidden(self, name: str, inputs: Array) -> Array:
        out: Array = np.maximum(self._linear(name, inputs), 0)
        return out

    def _linear(self, name: str, inputs: Array) -> Array:
        out: Array = inputs @ self._weights[name] + self._biases[name]
        return out
