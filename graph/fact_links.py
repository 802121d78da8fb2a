"""The facts of a knowledge graph as links between its entities: what an entity states, its text mentions."""

from __future__ import annotations

import numpy as np

from ..retrievers.knowledge.facts import Facts, mention_offsets
from .edges import Edges, Relation


def link_facts(facts: Facts) -> Edges:
    """Link each head to each tail that its facts name, once, where its text first names it.

    A fact is a sentence in the text of its head that names the title of its tail, so these are title mentions, and
    a hop that follows *mentions* or *mentioned by* walks the facts, read either way.
    """
    pairs = facts.heads * len(facts.entities) + facts.tails
    _, first = np.unique(pairs, return_index=True)
    starts, ends = mention_offsets(facts)
    edges = Edges.of(facts.heads[first], facts.tails[first], Relation.TITLE_MENTION)
    return Edges(
        edges.source,
        edges.target,
        edges.relation,
        starts[first].astype(np.int32),
        ends[first].astype(np.int32),
        edges.weight,
    )
