"""The policy network: a pointer network over graph-encoded candidates, with a value head on the same trunk.

Letters: b searches, k candidate slots, e evidence slots, o operators (EXPAND and HOP), d width, a actions.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..envs._batch import Observation
from ..envs._fact_world import KNOWN_ANSWER
from ..envs.settings import BUDGET, DYNAMIC, OPERATOR, OPTIONAL, PAIR, STATIC, SUB_INDEXES
from ..graph._encoder import QuestionConditionedGNN, TypedLinks
from ..graph._facts import FactTable
from ..graph._knowledge_graph import GROUPS, Relation
from ._network_settings import NetworkSettings

PART = 64
"""States that :func:`in_parts` reads at a time."""

ILLEGAL = -1e9
"""Logit of an action that is not legal; finite, so that gradients stay finite."""


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
            self.facts = FactFeatures(settings)
        self.fact_table: FactTable | None = None
        seen = nn.Linear(len(STATIC) + len(DYNAMIC) + q, d)
        self.candidate = nn.Sequential(seen, nn.ReLU(), nn.Linear(d, d), nn.ReLU())
        self.pair_features = nn.Linear(len(PAIR), d)
        self.pair_candidate = nn.Linear(d, d)
        self.pair_evidence = nn.Linear(d, d)
        self.pair_out = nn.Linear(2 * d, d)
        self.graph = QuestionConditionedGNN(d, settings.link_kinds, q, settings.rounds) if settings.rounds else None
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

        ``observation`` is batched, see :func:`observation_shapes`; ``mask`` is bool [b, a]: what is legal.
        """
        logits, value = self.scores(observation)
        return torch.log_softmax(logits.masked_fill(~mask, ILLEGAL), dim=1), value

    @property
    def device(self) -> torch.device:
        """Where it computes, and where observations must lie."""
        return self.stop_score.weight.device

    @torch.inference_mode()
    def opinions(self, observation: Observation) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return unmasked logits [b, a] and values [b] as arrays; fulfils ``Scorer``."""
        logits, values = self.scores(as_tensors(observation, self.device))
        return logits.cpu().numpy(), values.cpu().numpy()

    def use_facts(self, table: FactTable) -> None:
        """Give the network the facts of the index that it searches, on its device; needed where there are any."""
        self.fact_table = table

    def scores(
        self, observation: dict[str, Tensor], trace: list[tuple[Tensor, Tensor]] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return unmasked logits [b, a] and values [b]; ``trace`` is handed to the graph neural network."""
        slots = observation["candidate_rows"].shape[1]
        observation = _in_use(observation)
        states, held, search = self._read(observation, trace)
        operators = self._operators(observation["operators"].float(), held, search)  # [b, o]
        takes = self.take_score(
            torch.relu(self.take_candidate(states) + self.take_search(search).unsqueeze(1))
        ).squeeze(2)  # [b, k]
        if self.facts is not None and self.settings.embedding:
            takes = takes + self.facts.trust * self.facts.likelihood(observation)
        takes = nn.functional.pad(takes * (observation["candidate_rows"] >= 0), (0, slots - takes.shape[1]))
        logits = torch.cat((self.stop_score(search), operators, takes), dim=1)
        # detached: after the warm start the value head is still untrained, and its error must not undo the trunk
        return logits, self.value(search.detach()).squeeze(1)

    @torch.no_grad()
    def searches(self, observation: dict[str, Tensor]) -> Tensor:
        """Return what the value head reads of each of many states [b, d], read in parts."""
        parts = _parts(observation)
        read = [self._read(_in_use({name: tensor[part] for name, tensor in observation.items()}))[2] for part in parts]
        return torch.cat(read)[torch.argsort(torch.cat(parts))]

    def _read(
        self, observation: dict[str, Tensor], trace: list[tuple[Tensor, Tensor]] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the states of candidates [b, k, d] and of evidence [b, e, d], and of the whole search [b, d]."""
        present = observation["candidate_rows"] >= 0  # [b, k]
        taken = observation["evidence"]  # [b, e]
        asked = observation["question"].float()
        if self.facts is not None:
            asked = self.facts.code(asked)
        question = self.question(self.dropout(asked))  # [b, q]
        states = self._candidates(observation, question, present, trace)  # [b, k, d]
        held = states.gather(1, taken.clamp(min=0).unsqueeze(2).expand(-1, -1, states.shape[2]))  # [b, e, d]
        held = held * (taken >= 0).unsqueeze(2)
        return states, held, self._search(states, held, present, taken, question, observation["budget"].float())

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
            if self.fact_table is None:
                raise RuntimeError("the network reasons over a knowledge graph: call use_facts(table) first")
            walked = self.facts.walk(self.graph, self.fact_table, states, observation, question, trace)
            return walked * present.unsqueeze(2)
        return self._pass_messages(states, observation, question) * present.unsqueeze(2)

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
        slots = torch.arange(states.shape[1], device=adjacency.device)
        evidence = (observation["evidence"].unsqueeze(2) == slots).any(dim=1)  # [b, k]
        links = TypedLinks(torch.cat(senders), torch.cat(receivers), torch.cat(kinds), torch.cat(owners))
        out: Tensor = self.graph(states, evidence, links, question)
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


def as_tensors(observation: Observation, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Return the observation's arrays as tensors on ``device``; on the CPU they share their memory."""
    return {name: torch.from_numpy(array).to(device) for name, array in observation.items()}


def in_parts(network: PolicyNetwork, observation: dict[str, Tensor], mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the network says of many states, reading those with as many candidates together, ``PART`` at a time.

    The same as calling it on all of them (but for the rounding), and several times faster: no empty slots are computed
    with, and what one step of the computation writes is still in the cache when the next one reads it.
    """
    parts = _parts(observation)
    answers = [network({name: tensor[part] for name, tensor in observation.items()}, mask[part]) for part in parts]
    back = torch.argsort(torch.cat(parts))
    return (
        torch.cat([log_probabilities for log_probabilities, _ in answers])[back],
        torch.cat([values for _, values in answers])[back],
    )


def _parts(observation: dict[str, Tensor]) -> list[Tensor]:
    """Return the numbers of the states that are read together: those with as many candidates, ``PART`` at a time."""
    return list(torch.split(torch.argsort((observation["candidate_rows"] >= 0).sum(dim=1), stable=True), PART))


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


_DENSE = STATIC.index("dense")
_VECTORS = (_DENSE, len(STATIC) + DYNAMIC.index("conditioned_dense"))
_HEAD = STATIC.index("named_exactly")
_UNLIKELY = -20.0
"""Log-likelihood of what the vectors call impossible, so that inputs stay small."""


class FactFeatures(nn.Module):
    """The parts of a policy network that use the vectors and facts of a knowledge graph.

    Attributes:
        trust: weight of the vectors' log-likelihood in the score of taking a candidate; begins at 1.
    """

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.settings = settings
        self.trust = nn.Parameter(torch.ones(()))
        self.read = nn.Linear(2, settings.width)

    def code(self, question: Tensor) -> Tensor:
        """Return the one-hot code of the kind of edge that is asked for [b, kinds], from the question's vector."""
        return (question[:, -self.settings.fact_kinds :] > 0).to(question.dtype)

    def without_vectors(self, features: Tensor) -> Tensor:
        """Return candidate features without raw inner products: they come in as log-likelihoods."""
        keep = torch.ones(features.shape[2], device=features.device)
        keep[list(_VECTORS)] = 0
        return features * keep

    def likelihood(self, observation: dict[str, Tensor]) -> Tensor:
        """Return the log-likelihood of every candidate by the vectors alone [b, k], among those that can answer."""
        logits = observation["candidates"][:, :, _DENSE].float() * self.settings.fact_scale
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
            known = known & (torch.rand(len(known), 1, device=known.device) >= self.settings.known_dropout)
        links = table.links(heads, asked, known, self.settings.fact_dropout if self.training else 0.0)
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
