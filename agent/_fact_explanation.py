"""Says in words what an action of a search over a knowledge graph does, and by which walk the policy could know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..envs._batch import SearchBatch
from ..envs._fact_world import FactWorld
from ..retrievers.knowledge._facts import Facts
from ._explanation import explain
from ._network import PolicyNetwork, as_tensors


@dataclass(frozen=True, slots=True)
class FactExplanation:
    """Puts the actions of a search over a knowledge graph into words; fulfils ``Explain``.

    The reason for an answer is the walk whose edges, together, weighed most in its score: an edge weighs what the
    score would lose, to first order, if the network did not hear it in that round (the path interpretation of NBFNet,
    Zhu et al. 2021, arXiv:2106.06935, section 4.4).

    Args:
        network: the policy's.
    """

    network: PolicyNetwork

    def __call__(self, batch: SearchBatch, lane: int, action: int) -> tuple[str, str]:
        """Return (what the action does, why), before it is done."""
        kind, slot, group = batch.layout.decode(action)
        state = batch.lane(lane)
        world = state.world
        if not isinstance(world, FactWorld):
            return explain(batch, lane, action)
        facts = world.facts
        head = facts.entities[world.asked.head]
        if kind == "hop":
            start = facts.entities[int(state.places[state.evidence[slot]])]
            first = "is stated about it" if group else "it states"
            known = ", ".join(facts.entities[row] for row in world.known[:5].tolist())
            return (
                f"walk up to {batch.settings.hop_depth} facts from {start}, first what {first}",
                f"the graph gives {known} already; what else?" if known else f"the walk is at {start}",
            )
        if kind == "take":
            name = facts.entities[int(state.places[slot])]
            if int(state.places[slot]) == world.asked.head:
                return f"set out from {name}", "the question names it"
            walk = self.walk(batch, lane, slot)
            reason = drawn(facts, world.asked.head, walk) if walk else f"its vector agrees with {world.view.text!r}"
            return f"answer {name}", reason
        if kind == "expand" and state.count == 0:
            return explain(batch, lane, action)[0], f"the walk has to set out from {head}"
        return explain(batch, lane, action)

    def walk(self, batch: SearchBatch, lane: int, slot: int) -> list[tuple[int, int]]:
        """Return the walk that explains a candidate, as (kind of edge, row) for each step; empty when there is none."""
        world = batch.lane(lane).world
        assert isinstance(world, FactWorld)
        observation = {name: array[lane : lane + 1] for name, array in batch.observation.items()}
        trace: list[tuple[Tensor, Tensor]] = []
        with torch.enable_grad():
            logits, _ = self.network.scores(as_tensors(observation), trace)
            matrices = [matrix for _, matrix in trace]
            score = logits[0, batch.layout.take + slot]
            gradients = torch.autograd.grad(score, matrices) if matrices else ()
        weights = [
            torch.einsum("th,hrs->trs", gates[0].detach(), gradient[0])
            for (gates, _), gradient in zip(trace, gradients, strict=True)
        ]  # of kind, receiver, sender
        return heaviest_walk(world, weights, int(world.rows[batch.lane(lane).places[slot]]))


def heaviest_walk(world: FactWorld, weights: Sequence[Tensor], end: int) -> list[tuple[int, int]]:
    """Return the walk from the head to the row ``end`` with the greatest sum of weights, at most one step a round.

    The weights of a round are by kind of edge, receiver and sender [t, N, N].
    """
    sources, kinds, targets = (torch.from_numpy(array) for array in world.visible_edges())
    best = torch.full((len(world),), -torch.inf)
    best[world.asked.head] = 0
    came_from: list[dict[int, tuple[int, int]]] = []
    for weight in weights:
        reached = best[sources] + weight[kinds, targets, sources]  # [m]
        order = torch.argsort(reached)
        better = best.clone()
        steps: dict[int, tuple[int, int]] = {}
        for edge in order[reached[order] > better[targets[order]]].tolist():  # the heaviest comes last and stays
            target = int(targets[edge])
            better[target] = reached[edge]
            steps[target] = (int(kinds[edge]), int(sources[edge]))
        came_from.append(steps)
        best = better
    walk: list[tuple[int, int]] = []
    at = end
    for steps in reversed(came_from):
        if at in steps:
            kind, source = steps[at]
            walk.append((kind, at))
            at = source
    return walk[::-1] if at == world.asked.head and walk else []


def drawn(facts: Facts, head: int, walk: Sequence[tuple[int, int]]) -> str:
    """Draw a walk as ``a -relation-> b <-relation- c``, every arrow the way its fact reads."""
    text = facts.entities[head]
    for kind, row in walk:
        relation = facts.relations[kind % len(facts.relations)]
        arrow = f"-{relation}->" if kind < len(facts.relations) else f"<-{relation}-"
        text += f" {arrow} {facts.entities[row]}"
    return text
