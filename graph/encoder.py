"""A graph neural network over candidates and evidence, conditioned on the question."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.utils import scatter


class QuestionConditionedGNN(nn.Module):
    r"""Relation-aware message passing in which the question decides what each relation carries.

    .. math::
        m_{ji} = (W h_j) \odot \bigl(1 + A r_{ji} + B q\bigr), \qquad
        h_i' = h_i + \mathrm{LN}\Bigl(U \sum_{j \in N(i)} \mathrm{relu}(m_{ji}) / \sqrt{|N(i)|}\Bigr)

    (the linear maps have biases; a node that nobody sends to keeps its state). Nodes and relations are multiplied as
    in CompGCN (Vashishth et al. 2020, arXiv:1911.03082); the question enters the message as in GFM-RAG (Luo et al.
    2025, arXiv:2502.01113, section 3.2).

    Args:
        width: of the node states, d.
        relations: number of relation types; each direction of an edge counts as one.
        question_width: of the question's projection.
        rounds: how often messages are passed.

    Shapes: n nodes, m edges, g graphs.
    """

    def __init__(self, width: int, relations: int, question_width: int, rounds: int = 2) -> None:
        super().__init__()
        self.rounds = rounds
        self.relation = nn.Embedding(relations, width)
        self.question = nn.Linear(question_width, width)
        self.send = nn.ModuleList(nn.Linear(width, width) for _ in range(rounds))
        self.receive = nn.ModuleList(nn.Linear(width, width) for _ in range(rounds))
        self.norm = nn.ModuleList(nn.LayerNorm(width) for _ in range(rounds))
        nn.init.normal_(self.relation.weight, std=0.5)

    def forward(self, nodes: Tensor, edge_index: Tensor, edge_type: Tensor, question: Tensor, graph: Tensor) -> Tensor:
        """Return the new node states [n, d].

        Args:
            nodes: node states [n, d].
            edge_index: senders and receivers [2, m].
            edge_type: relation of each edge [m].
            question: projected question of each graph [g, question_width].
            graph: graph of each node [n].
        """
        senders, receivers = edge_index
        ones = nodes.new_ones(len(receivers))  # [m]
        count = nodes.new_zeros(len(nodes)).index_add_(0, receivers, ones)  # [n]
        scale = count.clamp(min=1).rsqrt().unsqueeze(1)  # [n, 1]
        gate = 1 + self.relation(edge_type) + self.question(question)[graph[receivers]]  # [m, d]
        for send, receive, norm in zip(self.send, self.receive, self.norm, strict=True):
            messages = torch.relu(send(nodes)[senders] * gate)  # [m, d]
            gathered = scatter(messages, receivers, dim_size=len(nodes), reduce="sum")  # [n, d]
            nodes = nodes + norm(receive(gathered * scale)) * (count > 0).unsqueeze(1)
        return nodes
