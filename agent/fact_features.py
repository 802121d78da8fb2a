"""What a policy network computes only over a knowledge graph: the asked relation, and a walk along all facts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..envs.fact_world import KNOWN_ANSWER
from ..envs.settings import DYNAMIC, STATIC
from ..graph.encoder import QuestionConditionedGNN
from ..graph.facts import FactTable

_DENSE = STATIC.index("dense")
_VECTORS = (_DENSE, len(STATIC) + DYNAMIC.index("conditioned_dense"))
_HEAD = STATIC.index("named_exactly")
_UNLIKELY = -20.0
"""Log-likelihood of what the vectors call impossible, so that inputs stay small."""


class FactFeatures(nn.Module):
    """The parts of a policy network that use the vectors and facts of a knowledge graph.

    Args:
        kinds: of edges.
        scale: turns an inner product of query and entity into a logit.
        width: of candidate states, d.
        fact_dropout: share of the facts that a step of training does not see.
        known_dropout: share of its searches that do not see which answers are known.

    Attributes:
        trust: weight of the vectors' log-likelihood in the score of taking a candidate; begins at 1.
    """

    def __init__(self, kinds: int, scale: float, width: int, fact_dropout: float, known_dropout: float) -> None:
        super().__init__()
        self.kinds = kinds
        self.fact_dropout = fact_dropout
        self.known_dropout = known_dropout
        self.scale = scale
        self.trust = nn.Parameter(torch.ones(()))
        self.read = nn.Linear(2, width)

    def code(self, question: Tensor) -> Tensor:
        """Return the one-hot code of the kind of edge that is asked for [b, kinds], from the question's vector."""
        return (question[:, -self.kinds :] > 0).to(question.dtype)

    def without_vectors(self, features: Tensor) -> Tensor:
        """Return candidate features without raw inner products: they come in as log-likelihoods."""
        keep = torch.ones(features.shape[2], device=features.device)
        keep[list(_VECTORS)] = 0
        return features * keep

    def likelihood(self, observation: dict[str, Tensor]) -> Tensor:
        """Return the log-likelihood of every candidate by the vectors alone [b, k], among those that can answer."""
        logits = observation["candidates"][:, :, _DENSE].float() * self.scale
        possible = (observation["candidate_rows"] >= 0) & ~_known(observation)
        logits = logits.masked_fill(~possible, -torch.inf)
        likelihood = logits - logits.logsumexp(dim=1, keepdim=True)
        return likelihood.nan_to_num(nan=0.0).clamp(min=_UNLIKELY)

    def inputs(self, observation: dict[str, Tensor], embedding: bool) -> Tensor:
        """Return what is added to the candidates' states [b, k, d]: their likelihood, and whether they are known."""
        known = _known(observation).float()
        likelihood = self.likelihood(observation) / 5 if embedding else torch.zeros_like(known)
        out: Tensor = self.read(torch.stack((likelihood, known), dim=2))
        return out

    def walk(
        self,
        graph: QuestionConditionedGNN,
        table: FactTable,
        states: Tensor,
        observation: dict[str, Tensor],
        question: Tensor,
        trace: list[tuple[Tensor, Tensor]] | None = None,
    ) -> Tensor:
        """Pass messages along all facts of the graph, through entities out of view too: [b, k, d].

        Searches in which nothing can be taken but the head keep their states.
        """
        rows = observation["candidate_rows"]  # [b, k]
        taken = observation["evidence"]  # [b, e]
        head, named = _head(observation)  # [b]
        others = (rows >= 0).sum(dim=1) > (taken >= 0).sum(dim=1)
        active = torch.nonzero(named & others & (taken[:, 0] >= 0) & (taken[:, -1] < 0)).squeeze(1)
        if not len(active):
            return states
        part = {name: observation[name][active] for name in ("candidates", "candidate_rows", "evidence", "adjacency")}
        place = part["candidate_rows"].clamp(min=0)  # [a, k]
        here = part["candidate_rows"] >= 0
        nodes = _by_row(states[active] * here.unsqueeze(2), place, table.entities)  # [a, N, d]
        known = _by_row((_known(part) & here).unsqueeze(2).float(), place, table.entities).squeeze(2) > 0  # [a, N]
        slots = part["evidence"]
        sources = place.gather(1, slots.clamp(min=0))  # [a, e]
        evidence = _by_row((slots >= 0).unsqueeze(2).float(), sources, table.entities).squeeze(2) > 0  # [a, N]
        asked = self.code(observation["question"][active].float()).argmax(dim=1)
        heads = rows[active, head[active]]
        if self.training:  # a walk must not depend on single facts, nor on what is known of the answer already
            known = known & (torch.rand(len(known), 1, device=known.device) >= self.known_dropout)
        links = table.links(heads, asked, known, self.fact_dropout if self.training else 0.0)
        out = graph(nodes, evidence, links, question[active], trace)
        back = out.gather(1, place.unsqueeze(2).expand(-1, -1, out.shape[2]))  # [a, k, d]
        return states.index_copy(0, active, back)


def _by_row(values: Tensor, rows: Tensor, entities: int) -> Tensor:
    """Add values [b, k, c] of candidates to the places of their rows [b, k]: [b, N, c]."""
    b, k, c = values.shape
    at = (torch.arange(b, device=rows.device).unsqueeze(1) * entities + rows).reshape(-1)
    return values.new_zeros(b * entities, c).index_add(0, at, values.reshape(b * k, c)).reshape(b, entities, c)


def _head(observation: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return the slot of the entity that the question names, int64 [b], and whether it is in view, bool [b]."""
    named, slot = observation["candidates"][:, :, _HEAD].max(dim=1)
    return slot, named > 0


def _known(observation: dict[str, Tensor]) -> Tensor:
    """Return which candidates the graph gives as answers already, bool [b, k]."""
    slot, _ = _head(observation)
    stated = observation["adjacency"][torch.arange(len(slot), device=slot.device), slot]  # [b, k]
    return (stated & KNOWN_ANSWER) > 0
