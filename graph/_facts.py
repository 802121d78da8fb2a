"""The facts of a knowledge graph: as links between its entities, and as tensors for a network that walks them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..retrievers.knowledge._facts import Facts, mention_offsets
from ._edges import Edges, Relation

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ._encoder import TypedLinks


def link_facts(facts: Facts) -> Edges:
    """Link each head to each tail that its facts name, once, where its text first names it.

    A fact is a sentence in the text of its head that names the title of its tail, so these are title mentions, and
    a hop that follows *mentions* or *mentioned by* walks the facts, read either way.
    """
    pairs = facts.heads * len(facts.entities) + facts.tails
    _, first = np.unique(pairs, return_index=True)
    starts, ends = mention_offsets(facts)
    edges = Edges.of(facts.heads[first], facts.tails[first], Relation.TITLE_MENTION)
    return replace(edges, start=starts[first].astype(np.int32), end=ends[first].astype(np.int32))


class FactTable:
    """Every fact read either way; what a network looks up of the index it searches.

    Args:
        facts: of the index.
        device: of the network.

    Attributes:
        entities: number of entities, N.
        kinds: number of kinds of edges.
    """

    def __init__(self, facts: Facts, device: torch.device | str = "cpu") -> None:
        import torch

        source, kind, target = facts.edges
        self.entities = len(facts.entities)
        self.kinds = facts.kind_count
        self._source, self._kind, self._target = (torch.from_numpy(a.copy()).to(device) for a in (source, kind, target))
        self._keys = self._source * self.kinds + self._kind  # ascending
        self._count = len(facts.relations)
        self._facts = len(facts)
        # both readings of a fact have its number, and each its place beside the other
        self._fact = torch.from_numpy(facts.edge_facts.copy()).to(device)
        order = torch.argsort(self._fact, stable=True).reshape(-1, 2)
        self._turned = torch.empty_like(self._fact).scatter_(0, order.reshape(-1), order.flip(1).reshape(-1))

    def links(self, head: Tensor, asked: Tensor, known: Tensor, dropout: float = 0.0) -> TypedLinks:
        """Return all facts as links, with those that must not be seen.

        A fact that answers the question and whose answer is not known to the search is hidden, read either way.

        Args:
            head: row of the head of each search, int64 [b].
            asked: the kind of edge that it asks for, int64 [b].
            known: the answers it may know, bool [b, N].
            dropout: share of the facts that no search sees, drawn by torch's generator.
        """
        import torch

        from ._encoder import TypedLinks

        key = head * self.kinds + asked
        first, last = torch.searchsorted(self._keys, key), torch.searchsorted(self._keys, key, right=True)
        count = last - first
        search = torch.repeat_interleave(torch.arange(len(head), device=head.device), count)
        at = torch.arange(len(search), device=head.device) + torch.repeat_interleave(
            first - count.cumsum(0) + count, count
        )
        answer = self._target[at]
        unseen = ~known[search, answer]
        search, answer, kind = search[unseen], answer[unseen], self._kind[at][unseen]
        inverse = (kind + self._count) % self.kinds
        hidden = torch.stack(
            (
                torch.cat((search, search)),
                torch.cat((head[search], answer)),
                torch.cat((answer, head[search])),
                torch.cat((kind, inverse)),
            )
        )
        if not dropout:
            return TypedLinks(self._source, self._target, self._kind, None, hidden)
        kept = (torch.rand(self._facts, device=head.device) >= dropout)[self._fact]  # [2 m]
        lost = ~kept[torch.cat((at[unseen], self._turned[at[unseen]]))]
        return TypedLinks(self._source[kept], self._target[kept], self._kind[kept], None, hidden[:, ~lost])
