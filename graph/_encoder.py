"""A graph neural network over candidates and evidence, conditioned on the question."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import gcd

import torch
from torch import Tensor, nn

from ._inference import MOST_HEADS


@dataclass(frozen=True, slots=True)
class TypedLinks:
    """Who sends to whom over which kind of edge, for searches that each have a graph, or that share one.

    Attributes:
        senders, receivers, kinds: int64 [m]; nodes are numbered 0 to n - 1 within a search.
        owners: the search of each edge, int64 [m]; None when all searches share the edges.
        hidden: edges that single searches do not see of those they share: search, sender, receiver and kind,
            int64 [4, x].
    """

    senders: Tensor
    receivers: Tensor
    kinds: Tensor
    owners: Tensor | None = None
    hidden: Tensor | None = None


class QuestionConditionedGNN(nn.Module):
    r"""Relational message passing in which the question decides how much each kind of edge carries, head by head.

    .. math::
        m_i^h = \frac{1}{\sqrt{|N(i)|}} \sum_{(j, r) \in N(i)} \alpha^h_r(q)\, (W x_j)^h, \qquad
        x_i' = x_i + \mathrm{LN}\bigl(\mathrm{MLP}[m_i ; x_i ; x_i^0]\bigr), \qquad
        x_i^0 \mathrel{+}= \ell(q) \text{ where } i \text{ is evidence}

    with :math:`\alpha(q) = G q` anew in every round; a node that no edge ends at keeps its state. Labelling the source
    and going on from its label by edges that the question weighs is NBFNet (Zhu et al. 2021, arXiv:2106.06935,
    section 3.2), the weights of relations by the query are RED-GNN's (Zhang and Yao 2022, arXiv:2108.06040, eq. 4),
    the question in the message GFM-RAG's (Luo et al. 2025, arXiv:2502.01113, section 3.2). What is new is that a
    weight depends on question and relation only.

    The sum is computed where it is cheapest. Training passes messages with torch-geometric's ``MessagePassing``;
    without gradients torch alone takes the same sum, because importing torch-geometric takes two seconds, and a search
    over texts numpy alone (:mod:`._inference`). Where all searches
    share their links (the facts of a knowledge graph), the edges of a question make one dense matrix per head, which
    searches that ask the same share: three times faster than edge by edge.

    Args:
        width: of the node states, d.
        kinds: number of kinds of edges; each direction of an edge counts as one.
        question_width: of the question's projection.
        rounds: how often messages are passed.

    Shapes: b searches, n nodes, m edges, h heads, t kinds, g different questions.
    """

    def __init__(self, width: int, kinds: int, question_width: int, rounds: int = 2) -> None:
        super().__init__()
        self.rounds = rounds
        self.kinds = kinds
        self.heads = gcd(width, MOST_HEADS)
        self.label = nn.Linear(question_width, width)
        self.gate = nn.ModuleList(nn.Linear(question_width, kinds * self.heads) for _ in range(rounds))
        self.send = nn.ModuleList(nn.Linear(width, width) for _ in range(rounds))
        self.receive = nn.ModuleList(
            nn.Sequential(nn.Linear(3 * width, width), nn.ReLU(), nn.Linear(width, width)) for _ in range(rounds)
        )
        self.norm = nn.ModuleList(nn.LayerNorm(width) for _ in range(rounds))

    def forward(
        self,
        nodes: Tensor,
        evidence: Tensor,
        links: TypedLinks,
        question: Tensor,
        trace: list[tuple[Tensor, Tensor]] | None = None,
    ) -> Tensor:
        """Return the new node states [b, n, d].

        Args:
            nodes: node states [b, n, d].
            evidence: which nodes are evidence, bool [b, n].
            links: the edges.
            question: projected question of each search [b, question_width].
            trace: filled in every round with the weights of kinds [g, t, h] and the matrices of edge weights
                [g, h, n, n] (receiver, then sender); for searches that share their links.
        """
        nodes = nodes + self.label(question).unsqueeze(1) * evidence.unsqueeze(2)
        first = nodes
        count = _in_degree(links, *nodes.shape[:2]).unsqueeze(2)  # [b or 1, n, 1]
        scale = count.clamp(min=1).rsqrt()
        asked, ask = _different(question) if links.owners is None else (question, None)
        for gate, send, receive, norm in zip(self.gate, self.send, self.receive, self.norm, strict=True):
            gates = gate(asked).reshape(-1, self.kinds, self.heads)  # [g, t, h]
            values = send(nodes).reshape(*nodes.shape[:2], self.heads, -1)  # [b, n, h, d/h]
            if ask is None:
                sums = self._over_own_links(values, gates, links)
            else:
                sums = self._over_shared_links(values, gates, links, ask, trace)
            nodes = nodes + norm(receive(torch.cat((sums * scale, nodes, first), dim=2))) * (count > 0)
        return nodes

    def _over_own_links(self, values: Tensor, gates: Tensor, links: TypedLinks) -> Tensor:
        """Sum the messages over each search's own links [b, n, d]; the nodes of all searches are numbered through."""
        assert links.owners is not None
        b, n, h, w = values.shape
        edges = torch.stack((links.senders, links.receivers)) + links.owners * n  # [2, m]
        weights = gates.reshape(b * self.kinds, h).index_select(0, links.owners * self.kinds + links.kinds)  # [m, h]
        flat = values.reshape(b * n, h, w)
        if self.training:
            sums: Tensor = _weighted_messages()(flat, edges, weights)
        else:
            messages = flat.index_select(0, edges[0]) * weights.unsqueeze(2)  # [m, h, d/h]
            sums = torch.zeros_like(flat).scatter_add(0, edges[1, :, None, None].expand_as(messages), messages)
        return sums.reshape(b, n, h * w)

    def _over_shared_links(
        self, values: Tensor, gates: Tensor, links: TypedLinks, ask: Tensor, trace: list[tuple[Tensor, Tensor]] | None
    ) -> Tensor:
        """Sum the messages over links that all searches share [b, n, d]; ``ask`` [b] numbers the questions."""
        b, n, h, w = values.shape
        g = len(gates)
        # index_select, because what indexing does backward is many times slower
        weights = gates.permute(1, 0, 2).reshape(self.kinds, g * h).index_select(0, links.kinds)  # [m, g h]
        pairs = links.receivers * n + links.senders
        matrices = weights.new_zeros(n * n, g * h).index_add(0, pairs, weights)
        matrices = matrices.reshape(n, n, g, h).permute(2, 3, 0, 1).contiguous()  # [g, h, n, n]
        if trace is not None:
            trace.append((gates, matrices))
        order = torch.argsort(ask, stable=True)
        parts = []
        for matrix, part in zip(
            matrices, torch.split(values[order], torch.bincount(ask, minlength=g).tolist()), strict=True
        ):
            stacked = part.permute(2, 1, 0, 3).reshape(h, n, -1)  # [h, n, searches of this question * d/h]
            parts.append((matrix @ stacked).reshape(h, n, len(part), w).permute(2, 1, 0, 3))
        sums = torch.cat(parts)[torch.argsort(order)]  # [b, n, h, d/h]
        if links.hidden is not None and links.hidden.numel():
            search, sender, receiver, kind = links.hidden
            unseen = gates[ask[search], kind].unsqueeze(2) * values[search, sender]  # [x, h, d/h]
            sums = sums.index_put((search, receiver), -unseen, accumulate=True)
        return sums.reshape(b, n, h * w)


def _different(question: Tensor) -> tuple[Tensor, Tensor]:
    """Return the different questions [g, q], each as one search has it, and the number of each search's own [b]."""
    _, ask = torch.unique(question.detach(), dim=0, return_inverse=True)
    representative = ask.new_zeros(int(ask.max()) + 1).scatter_(0, ask, torch.arange(len(ask), device=ask.device))
    return question[representative], ask


@cache
def _weighted_messages() -> nn.Module:
    """Return the layer that passes messages in training; torch-geometric is imported with the first."""
    from ._message_passing import WeightedMessages

    return WeightedMessages()


def _in_degree(links: TypedLinks, b: int, n: int) -> Tensor:
    """Count the edges that end at each node [b, n], or [1, n] where all searches share them."""
    if links.owners is None:
        return torch.bincount(links.receivers, minlength=n).unsqueeze(0)
    return torch.bincount(links.owners * n + links.receivers, minlength=b * n).reshape(b, n)
