"""The policy network: a pointer network over graph-encoded candidates, with a value head on the same trunk.

Letters: b searches, k candidate slots, e evidence slots, o operators (EXPAND and HOP), d width, a actions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..envs.settings import BUDGET, DYNAMIC, OPERATOR, OPTIONAL, PAIR, STATIC, SUB_INDEXES, TO_BE_LEARNED
from ..graph.encoder import QuestionConditionedGNN, TypedLinks
from ..graph.facts import FactTable
from ..graph.knowledge_graph import GROUPS, Relation
from .fact_features import FactFeatures

PART = 64
"""States that :func:`in_parts` reads at a time."""

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
        fact_kinds: kinds of edges of the knowledge graph that it reasons over; 0 for texts.
        fact_scale: what an inner product of a query and an entity is multiplied by to be a logit.
        fact_dropout: share of its facts that a step of training does not see.
        known_dropout: share of the searches of such a step that do not see which answers are known.
        embedding: whether the vectors of the knowledge graph are used (or left out: the ablation).
    """

    question_dimension: int = 384
    question_width: int = 24
    width: int = 64
    rounds: int = 2
    dropout: float = 0.2
    fact_kinds: int = 0
    fact_scale: float = 1.0
    embedding: bool = True
    fact_dropout: float = 0.2
    known_dropout: float = 0.5


class PolicyNetwork(nn.Module):
    """Scores every action of a search and values its state, for any number of slots.

    Pointer: Vinyals et al. 2015 (arXiv:1506.03134, eq. 3), here with an additive score over candidate and search.
    """

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.settings = settings
        d, q = settings.width, settings.question_width
        self.dropout = nn.Dropout(settings.dropout)
        self.question = nn.Linear(settings.fact_kinds or settings.question_dimension, q)
        self.facts: FactFeatures | None = None
        if settings.fact_kinds:
            self.facts = FactFeatures(
                settings.fact_kinds, settings.fact_scale, d, settings.fact_dropout, settings.known_dropout
            )
        self.fact_table: FactTable | None = None
        seen = nn.Linear(len(STATIC) + len(DYNAMIC) + q, d)
        self.candidate = nn.Sequential(seen, nn.ReLU(), nn.Linear(d, d), nn.ReLU())
        self.pair_features = nn.Linear(len(PAIR), d)
        self.pair_candidate = nn.Linear(d, d)
        self.pair_evidence = nn.Linear(d, d)
        self.pair_out = nn.Linear(2 * d, d)
        kinds = settings.fact_kinds or 2 * len(Relation)
        self.graph = QuestionConditionedGNN(d, kinds, q, settings.rounds) if settings.rounds else None
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
        with torch.no_grad():  # what training never meets stays at zero, and is not noise where a search meets it
            for name in OPTIONAL:
                self.operator.weight[SUB_INDEXES.index(name)] = 0
                seen.weight[:, len(STATIC) + DYNAMIC.index(f"found_by_{name}")] = 0

    def forward(self, observation: dict[str, Tensor], mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return log-probabilities of the actions [b, a] and values [b].

        Args:
            observation: batched parts of the observation (see ``trailhound.envs.batch.observation_shapes``).
            mask: legal actions, bool [b, a].
        """
        logits, value = self.scores(observation)
        return torch.log_softmax(logits.masked_fill(~mask, ILLEGAL), dim=1), value

    @property
    def device(self) -> torch.device:
        """Where it computes, and where observations must lie."""
        return self.stop_score.weight.device

    @property
    def unlearned(self) -> frozenset[int]:
        """The sub-indexes of ``TO_BE_LEARNED`` that its training never met."""
        numbers = [SUB_INDEXES.index(name) for name in TO_BE_LEARNED]
        return frozenset(number for number in numbers if not self.operator.weight[number].any())

    def use_facts(self, table: FactTable) -> None:
        """Give the network the facts of the index that it searches, on its device; needed where there are any."""
        self.fact_table = table

    def scores(
        self, observation: dict[str, Tensor], trace: list[tuple[Tensor, Tensor]] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return unmasked logits [b, a] and values [b]; ``trace`` is handed to the graph neural network."""
        slots = observation["candidate_rows"].shape[1]
        observation = _in_use(observation)
        present = observation["candidate_rows"] >= 0  # [b, k]
        taken = observation["evidence"]  # [b, e]
        asked = observation["question"].float()
        if self.facts is not None:
            asked = self.facts.code(asked)
        question = self.question(self.dropout(asked))  # [b, q]
        states = self._candidates(observation, question, present, trace)  # [b, k, d]
        held = states.gather(1, taken.clamp(min=0).unsqueeze(2).expand(-1, -1, states.shape[2]))  # [b, e, d]
        held = held * (taken >= 0).unsqueeze(2)
        search = self._search(states, held, present, taken, question, observation["budget"].float())  # [b, d]
        operators = self._operators(observation["operators"].float(), held, search)  # [b, o]
        takes = self.take_score(
            torch.relu(self.take_candidate(states) + self.take_search(search).unsqueeze(1))
        ).squeeze(2)  # [b, k]
        if self.facts is not None and self.settings.embedding:
            takes = takes + self.facts.trust * self.facts.likelihood(observation)
        takes = nn.functional.pad(takes * present, (0, slots - takes.shape[1]))
        logits = torch.cat((self.stop_score(search), operators, takes), dim=1)
        # detached: after the warm start the value head is still untrained, and its error must not undo the trunk
        return logits, self.value(search.detach()).squeeze(1)

    def _candidates(
        self,
        observation: dict[str, Tensor],
        question: Tensor,
        present: Tensor,
        trace: list[tuple[Tensor, Tensor]] | None,
    ) -> Tensor:
        """Encode candidates by their features, beside each evidence, and among their links: [b, k, d]."""
        features = observation["candidates"].float()  # [b, k, features]
        if self.facts is not None:
            features = self.facts.without_vectors(features)
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
        newest = beside[torch.arange(len(beside), device=last.device), last]  # [b, k, d]
        states = states + self.pair_out(torch.cat((beside.amax(dim=1), newest), dim=2))
        if self.facts is not None:
            states = states + self.facts.inputs(observation, self.settings.embedding)
        states = states * present.unsqueeze(2)
        if self.graph is None:
            return states
        if self.facts is not None:
            walked = self.facts.walk(self.graph, self._facts(), states, observation, question, trace)
            return walked * present.unsqueeze(2)
        return self._pass_messages(states, observation, question) * present.unsqueeze(2)

    def _facts(self) -> FactTable:
        if self.fact_table is None:
            raise RuntimeError("the network reasons over a knowledge graph: call use_facts(table) first")
        return self.fact_table

    def _pass_messages(self, states: Tensor, observation: dict[str, Tensor], question: Tensor) -> Tensor:
        """Pass messages along the typed links, in both directions: [b, k, d]."""
        assert self.graph is not None
        adjacency = observation["adjacency"]
        where = adjacency.nonzero()  # [m, 3]: search, source, target
        bits = adjacency[where[:, 0], where[:, 1], where[:, 2]]  # [m]
        owners, senders, receivers, kinds = [], [], [], []
        for relation in Relation:
            search, source, target = where[(bits & (1 << relation)) > 0].T
            kind = torch.full_like(source, int(relation))
            owners += [search, search]
            senders += [source, target]
            receivers += [target, source]
            kinds += [kind, kind + len(Relation)]
        links = TypedLinks(torch.cat(senders), torch.cat(receivers), torch.cat(kinds), torch.cat(owners))
        out: Tensor = self.graph(states, _evidence(observation), links, question)
        return out

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
        scores: Tensor = self.operator_score(hidden).squeeze(2)
        return scores


def in_parts(network: PolicyNetwork, observation: dict[str, Tensor], mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the network says of many states, reading those with as many candidates together, ``PART`` at a time.

    The same as calling it on all of them (but for the rounding), and several times faster: no empty slots are computed
    with, and what one step of the computation writes is still in the cache when the next one reads it.
    """
    order = torch.argsort((observation["candidate_rows"] >= 0).sum(dim=1), stable=True)
    answers = [
        network({name: tensor[part] for name, tensor in observation.items()}, mask[part])
        for part in torch.split(order, PART)
    ]
    back = torch.argsort(order)
    return (
        torch.cat([log_probabilities for log_probabilities, _ in answers])[back],
        torch.cat([values for _, values in answers])[back],
    )


def _in_use(observation: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leave out the last slots, where they are empty in every search: candidates fill them from the first one on."""
    used = (observation["candidate_rows"] >= 0).any(dim=0).nonzero()
    k = int(used.max()) + 1 if len(used) else 1
    return {
        **observation,
        "candidates": observation["candidates"][:, :k],
        "candidate_rows": observation["candidate_rows"][:, :k],
        "links": observation["links"][:, :, :k],
        "adjacency": observation["adjacency"][:, :k, :k],
    }


def _evidence(observation: dict[str, Tensor]) -> Tensor:
    """Return which candidates are evidence, bool [b, k]."""
    taken = observation["evidence"]  # [b, e]
    slots = torch.arange(observation["candidate_rows"].shape[1], device=taken.device)
    return (taken.unsqueeze(2) == slots).any(dim=1)
