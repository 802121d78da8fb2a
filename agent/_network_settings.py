"""The architecture of the policy network, and the shape of every weight that it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..envs.settings import BUDGET, DYNAMIC, OPERATOR, PAIR, QUESTION, STATIC, SUB_INDEXES
from ..graph._edges import GROUPS, Relation
from ..graph._inference import MOST_HEADS


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Architecture of the policy network.

    Attributes:
        question_dimension: of what is seen of a question: its form, over facts its vector.
        question_width: the question is projected to so many numbers.
        width: of candidate and search states, d.
        rounds: of message passing; 0 leaves the graph neural network out (the ablation).
        dropout: on the question vector, in training.
        fact_kinds: kinds of edges of the knowledge graph that it reasons over; 0 for texts.
        fact_scale: what an inner product of a query and an entity is multiplied by to be a logit.
        fact_dropout: share of its facts that a step of training does not see.
        known_dropout: share of the searches of such a step that do not see which answers are known.
        embedding: whether the vectors of the knowledge graph are used (or left out: the ablation).
    """

    question_dimension: int = len(QUESTION)
    question_width: int = 24
    width: int = 64
    rounds: int = 2
    dropout: float = 0.2
    fact_kinds: int = 0
    fact_scale: float = 1.0
    embedding: bool = True
    fact_dropout: float = 0.2
    known_dropout: float = 0.5

    def __post_init__(self) -> None:
        """Refuse sizes that no network has."""
        for name in ("question_dimension", "question_width", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.dropout <= 1:
            raise ValueError(f"dropout must be from 0 to 1, not {self.dropout}")

    @property
    def link_kinds(self) -> int:
        """Kinds of edges that messages pass along, each direction one."""
        return self.fact_kinds or 2 * len(Relation)

    def check(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """See that ``weights`` are those of this network.

        Raises:
            ValueError: when one is missing, has another shape or type, or is not known.
        """
        shapes = self.weight_shapes()
        if odd := sorted(shapes.keys() ^ weights.keys()):
            raise ValueError(f"weights that are missing or not known: {', '.join(odd)}")
        for name, array in weights.items():
            if array.shape != shapes[name] or array.dtype != np.float32:
                raise ValueError(f"{name} is {array.dtype} {list(array.shape)}, not float32 {list(shapes[name])}")

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every weight, by its name in ``policy.safetensors``."""
        d, q = self.width, self.question_width
        linear = {  # name -> (outputs, inputs)
            "question": (q, self.fact_kinds or self.question_dimension),
            "candidate.0": (d, len(STATIC) + len(DYNAMIC) + q),
            "candidate.2": (d, d),
            "pair_features": (d, len(PAIR)),
            "pair_candidate": (d, d),
            "pair_evidence": (d, d),
            "pair_out": (d, 2 * d),
            "search.0": (d, 3 * d + q + len(BUDGET)),
            "search.2": (d, d),
            "operator_features": (d, len(OPERATOR)),
            "operator_evidence": (d, d),
            "operator_search": (d, d),
            "operator_score": (1, d),
            "take_candidate": (d, d),
            "take_search": (d, d),
            "take_score": (1, d),
            "stop_score": (1, d),
            "value.0": (d, d),
            "value.2": (1, d),
        }
        others: dict[str, tuple[int, ...]] = {"operator.weight": (len(SUB_INDEXES) + len(GROUPS), d)}
        if self.fact_kinds:
            linear["facts.read"] = (d, 2)
            others["facts.trust"] = ()
        if self.rounds:
            linear["graph.label"] = (d, q)
        for k in range(self.rounds):
            linear |= {
                f"graph.gate.{k}": (self.link_kinds * gcd(d, MOST_HEADS), q),
                f"graph.send.{k}": (d, d),
                f"graph.receive.{k}.0": (d, 3 * d),
                f"graph.receive.{k}.2": (d, d),
            }
            others |= {f"graph.norm.{k}.weight": (d,), f"graph.norm.{k}.bias": (d,)}
        for name, shape in linear.items():
            others |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
        return others
