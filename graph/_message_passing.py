"""One round of messages along weighted edges, as torch-geometric passes them."""

from __future__ import annotations

from torch import Tensor
from torch_geometric.nn.conv import MessagePassing


class WeightedMessages(MessagePassing):  # type: ignore[misc]  # torch-geometric has no types of its own
    r"""Sums what a node receives, each edge weighing it head by head.

    .. math:: m_i^h = \sum_{(j, i)} \alpha_{ji}^h\, v_j^h

    (Gilmer et al. 2017, arXiv:1704.01212, eq. 1, with the sum as aggregation.) Has no weights of its own.
    """

    def __init__(self) -> None:
        super().__init__(aggr="sum", node_dim=0)

    def forward(self, values: Tensor, edges: Tensor, weights: Tensor) -> Tensor:
        """Return the sums.

        Args:
            values: of the nodes [n, h, d/h].
            edges: sender and receiver, int64 [2, m].
            weights: of the edges [m, h].

        Returns:
            What each node receives [n, h, d/h]; zeros where no edge ends.
        """
        out: Tensor = self.propagate(edges, values=values, weights=weights)
        return out

    def message(self, values_j: Tensor, weights: Tensor) -> Tensor:
        """Return the message of each edge [m, h, d/h], from its sender's values."""
        return values_j * weights.unsqueeze(2)
