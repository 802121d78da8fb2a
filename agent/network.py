"""The policy network: a pointer network over graph-encoded candidates, with a value head on the same trunk.

Letters: b searches, k candidate slots, e evidence slots, o operators (EXPAND and HOP), d width, a actions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..envs.features import BUDGET, DYNAMIC, OPERATOR, PAIR, STATIC
from ..envs.settings import SUB_INDEXES
from ..graph.encoder import QuestionConditionedGNN
from ..graph.knowledge_graph import GROUPS, Relation

ILLEGAL = -1e9
"""Logit of an action that is not legal; finite, so that gradients stay finite."""


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Architecture of the policy network.

    Attributes:
        question_dimension: of the encoder's vectors.
        question_width: the question is projected to so many numbers.
        width: of candidate and search states, d.
        rounds: of message passing; 0 leaves the graph neural network out (the ablation).
        dropout: on the question vector, in training.
    """

    question_dimension: int = 384
    question_width: int = 24
    width: int = 64
    rounds: int = 2
    dropout: float = 0.2


class PolicyNetwork(nn.Module):
    """Scores every action of a search and values its state, for any number of slots.

    Pointer: Vinyals et al. 2015 (arXiv:1506.03134, eq. 3), here with an additive score over candidate and search.
    """

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.settings = settings
        d, q = settings.width, settings.question_width
        self.dropout = nn.Dropout(settings.dropout)
        self.question = nn.Linear(settings.question_dimension, q)
        self.candidate = nn.Sequential(
            nn.Linear(len(STATIC) + len(DYNAMIC) + q, d), nn.ReLU(), nn.Linear(d, d), nn.ReLU()
        )
        self.pair_features = nn.Linear(len(PAIR), d)
        self.pair_candidate = nn.Linear(d, d)
        self.pair_evidence = nn.Linear(d, d)
        self.pair_out = nn.Linear(2 * d, d)
        self.graph = QuestionConditionedGNN(d, 2 * len(Relation), q, settings.rounds) if settings.rounds else None
        self.search = nn.Sequential(nn.Linear(3 * d + q + len(BUDGET), d), nn.ReLU(), nn.Linear(d, d), nn.ReLU())
        self.operator = nn.Embedding(len(SUB_INDEXES) + len(GROUPS), d)
        self.operator_features = nn.Linear(len(OPERATOR), d)
        self.operator_evidence = nn.Linear(d, d)
        self.operator_search = nn.Linear(d, d)
        self.operator_score = nn.Linear(d, 1)
        self.take_candidate = nn.Linear(d, d)
        self.take_search = nn.Linear(d, d)
        self.take_score = nn.Linear(d, 1)
        self.stop_score = nn.Linear(d, 1)
        self.value = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, 1))

    def forward(self, observation: dict[str, Tensor], mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return log-probabilities of the actions [b, a] and values [b].

        Args:
            observation: batched parts of the observation (see ``trailhound.envs.batch.observation_shapes``).
            mask: legal actions, bool [b, a].
        """
        logits, value = self.scores(observation)
        return torch.log_softmax(logits.masked_fill(~mask, ILLEGAL), dim=1), value

    def scores(self, observation: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return unmasked logits [b, a] and values [b]."""
        present = observation["candidate_rows"] >= 0  # [b, k]
        taken = observation["evidence"]  # [b, e]
        question = self.question(self.dropout(observation["question"].float()))  # [b, q]
        states = self._candidates(observation, question, present)  # [b, k, d]
        held = states.gather(1, taken.clamp(min=0).unsqueeze(2).expand(-1, -1, states.shape[2]))  # [b, e, d]
        held = held * (taken >= 0).unsqueeze(2)
        search = self._search(states, held, present, taken, question, observation["budget"].float())  # [b, d]
        operators = self._operators(observation["operators"].float(), held, search)  # [b, o]
        takes = self.take_score(
            torch.relu(self.take_candidate(states) + self.take_search(search).unsqueeze(1))
        ).squeeze(2)  # [b, k]
        logits = torch.cat((self.stop_score(search), operators, takes), dim=1)
        # detached: after the warm start the value head is still untrained, and its error must not undo the trunk
        return logits, self.value(search.detach()).squeeze(1)

    def _candidates(self, observation: dict[str, Tensor], question: Tensor, present: Tensor) -> Tensor:
        """Encode candidates by their features, beside each evidence, and among their links: [b, k, d]."""
        features = observation["candidates"].float()  # [b, k, features]
        k = features.shape[1]
        states: Tensor = self.candidate(
            torch.cat((features, question.unsqueeze(1).expand(-1, k, -1)), dim=2)
        ) * present.unsqueeze(2)  # [b, k, d]
        taken = observation["evidence"]
        count = max(int((taken >= 0).sum(dim=1).max()), 1)  # evidence slots in use anywhere in the batch
        slots = taken[:, :count]
        held = states.gather(1, slots.clamp(min=0).unsqueeze(2).expand(-1, -1, states.shape[2]))  # [b, e, d]
        beside = (
            torch.relu(
                self.pair_features(observation["links"][:, :count].float())
                + self.pair_candidate(states).unsqueeze(1)
                + self.pair_evidence(held).unsqueeze(2)
            )
            * (slots >= 0)[:, :, None, None]
        )  # [b, e, k, d]
        last = (slots >= 0).sum(dim=1).clamp(min=1) - 1  # [b]
        newest = beside[torch.arange(len(beside)), last]  # [b, k, d]
        states = states + self.pair_out(torch.cat((beside.amax(dim=1), newest), dim=2))
        states = states * present.unsqueeze(2)
        if self.graph is None:
            return states
        return self._pass_messages(states, observation["adjacency"], question) * present.unsqueeze(2)

    def _pass_messages(self, states: Tensor, adjacency: Tensor, question: Tensor) -> Tensor:
        """Pass messages along the typed links, in both directions: [b, k, d]."""
        assert self.graph is not None
        b, k, d = states.shape
        where = adjacency.nonzero()  # [m, 3]: search, source, target
        bits = adjacency[where[:, 0], where[:, 1], where[:, 2]]  # [m]
        senders, receivers, types = [], [], []
        for relation in Relation:
            has = (bits & (1 << relation)) > 0
            source = where[has, 0] * k + where[has, 1]
            target = where[has, 0] * k + where[has, 2]
            kind = torch.full_like(source, int(relation))
            senders += [source, target]
            receivers += [target, source]
            types += [kind, kind + len(Relation)]
        edges = torch.stack((torch.cat(senders), torch.cat(receivers)))  # [2, m']
        graph = torch.arange(b).repeat_interleave(k)  # [b * k]
        out: Tensor = self.graph(states.reshape(b * k, d), edges, torch.cat(types), question, graph)
        return out.reshape(b, k, d)

    def _search(
        self, states: Tensor, held: Tensor, present: Tensor, taken: Tensor, question: Tensor, budget: Tensor
    ) -> Tensor:
        """Summarise the search: what is in view, what is held, what is left: [b, d]."""
        count = present.sum(dim=1, keepdim=True).clamp(min=1)
        mean = states.sum(dim=1) / count
        most = states.amax(dim=1).clamp(min=0)  # as with an empty slot: how many there are must not matter
        evidence = held.sum(dim=1) / (taken >= 0).sum(dim=1, keepdim=True).clamp(min=1)
        out: Tensor = self.search(torch.cat((mean, most, evidence, question, budget), dim=1))
        return out

    def _operators(self, features: Tensor, held: Tensor, search: Tensor) -> Tensor:
        """Score EXPAND and HOP actions [b, o]."""
        b, e, d = held.shape
        expands = self.operator.weight[: len(SUB_INDEXES)].expand(b, -1, -1)  # [b, s, d]
        groups = self.operator.weight[len(SUB_INDEXES) :]  # [r, d]
        hops = self.operator_evidence(held).unsqueeze(2) + groups  # [b, e, r, d]
        states = torch.cat((expands, hops.reshape(b, e * len(GROUPS), d)), dim=1)  # [b, o, d]
        hidden = torch.relu(states + self.operator_features(features) + self.operator_search(search).unsqueeze(1))
        return torch.as_tensor(self.operator_score(hidden).squeeze(2))
