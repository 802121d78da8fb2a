"""Which stage of a search a miss is due to: one stage for each miss, the first of the pipeline that went wrong.

===========  =========================================================================================================
stage        a supporting passage is not among the first five because
===========  =========================================================================================================
chunking     what the label names is not in the index as it is labelled: it is not there, or was cut into passages
routing      it never came into view, and lies outside the shards that were searched; or a sub-index that was not asked
             once in the whole search shows it for the question alone
retrieval    it never came into view, and nothing that can be asked along the path brings it
policy       something along the path brings it, or it was in view: the policy did not ask, or ranked others before it
reranking    the policy had it among the first five, the re-ranker moved it out
reading      (no passage, but an answer is missing:) all the evidence is there, the answer is not the right one
===========  =========================================================================================================

A passage that nothing along the path brings, but that another supporting passage leads to which was not taken, was
missed because that one was: its stage is that one's (*policy*, where that one was in view), and its cause says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...agent.explanation import called
from ...envs.settings import SUB_INDEXES
from ...graph.knowledge_graph import GROUPS
from ...retrievers.records import Rows
from .search_trace import Operator, Searched, operators_along

STAGES = ("chunking", "routing", "retrieval", "policy", "reranking", "reading")
FIRST = 5
"""Passages at the head of a result in which a supporting passage must stand, or it is missed."""

BEYOND = 100
"""Passages of a sub-index that are looked through to say how near it came."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Why something was missed.

    Attributes:
        stage: one of ``STAGES``.
        cause: within the stage, in a few words that are the same for all misses of a kind.
        happened: what happened, in words.
    """

    stage: str
    cause: str
    happened: str


def attribute(searched: Searched, gold: Sequence[int]) -> dict[int, Finding]:
    """Return why each supporting row in ``gold`` that is not among the first five is not; in their order."""
    missing = [row for row in gold if row not in searched.final[:FIRST]]
    found: dict[int, Finding] = {}
    for row in missing:
        finding = _seen(searched, row) if row in searched.ranking else _unseen(searched, row)
        if finding is not None:
            found[row] = finding
    # what follows from a miss that follows from another is found in a later round
    for _ in missing:
        for row in missing:
            follows = _following(searched, row, gold, found) if row not in found else None
            if follows is not None:
                found[row] = follows
    return {row: found.get(row) or _out_of_reach(searched, row) for row in missing}


def _seen(searched: Searched, row: int) -> Finding:
    """Say why a passage that was in view is not among the first five."""
    rank, final = searched.ranking.index(row) + 1, searched.final.index(row) + 1
    if rank <= FIRST:
        return Finding("reranking", "moved out", f"the policy had it at rank {rank}, the re-ranker at rank {final}")
    taken = searched.taken()
    before = [other for other in searched.ranking[:FIRST] if other in taken]
    if len(before) == FIRST:
        happened = f"in view, at rank {rank}: the policy took {_listed(searched, before)} in its place"
        return Finding("policy", "not taken", happened)
    others = [other for other in searched.ranking[:FIRST] if other not in taken]
    happened = f"in view, and not taken; of the rest the policy ranks it at {rank}, after {_listed(searched, others)}"
    return Finding("policy", "ranked low", happened)


def _unseen(searched: Searched, row: int) -> Finding | None:
    """Say why a passage never came into view; None where nothing along the path brings it."""
    world, trace = searched.world, searched.trace
    if row in searched.outside:
        return Finding("routing", "outside the shards", "it lies outside the shards that were searched")
    bringing = {}
    for operator in operators_along(world, trace.path):
        rows = operator.bring(world, trace.path)
        if (rows == row).any():
            bringing[operator] = f"to {operator.words(world, trace.path)} brings it, at place {_place(rows, row)}"
    asked = [operator for operator in bringing if operator in trace.asked]
    if asked:
        return Finding("policy", "no room", f"{bringing[asked[0]]}, and it was asked: the frontier was full")
    for operator, words in bringing.items():
        if operator.kind == "expand" and not operator.held and operator.first not in trace.asked_sub_indexes():
            return Finding("routing", "sub-index never asked", f"{words}, and that index was never asked")
    for operator, words in bringing.items():
        if trace.stopped and trace.room and _open_in_the_end(operator, trace.path):
            return Finding("policy", "stopped early", f"{words}, and the policy stopped instead")
    for words in bringing.values():
        return Finding("policy", "not asked", f"{words}, and it was not asked")
    return None


def _open_in_the_end(operator: Operator, path: tuple[int, ...]) -> bool:
    return operator.kind == "hop" or operator.held == len(path)


def _following(searched: Searched, row: int, gold: Sequence[int], found: Mapping[int, Finding]) -> Finding | None:
    """Say which other supporting passage, that was not taken, leads to this one; None where none does."""
    world, path = searched.world, searched.trace.path
    taken = searched.taken()
    for other in gold:
        if other == row or other in taken or (other not in searched.ranking and other not in found):
            continue
        longer = (*path, int(world.bring(np.array([other], np.int64))[0]))
        for operator in operators_along(world, longer):
            if operator.held == len(longer) and (operator.bring(world, longer) == row).any():
                words = f"only {searched.title(other)} leads to it ({operator.words(world, longer)})"
                if other in searched.ranking:
                    return Finding("policy", "behind a passage not taken", f"{words}, which was in view and not taken")
                return Finding(found[other].stage, "behind another miss", f"{words}, which was missed too")
    return None


def _out_of_reach(searched: Searched, row: int) -> Finding:
    """Say how near the search came to a passage that nothing along the path brings."""
    world = searched.world
    for place in searched.trace.path:
        for group in GROUPS:
            if row in world.index.graph.neighbours(int(world.rows[place]), group).rows:
                happened = f"linked to {searched.title(int(world.rows[place]))}, beyond the links that a hop follows"
                return Finding("retrieval", "beyond the hop", happened)
    query = world.query(())
    ranks = {}
    for name in (name for name in SUB_INDEXES if name in world.index.sub_indexes):  # wherever a router looks
        rows = world.index.sub_indexes[name].search(query, BEYOND).rows
        if (rows == row).any():
            ranks[name] = _place(rows, row)
    if not ranks:
        happened = f"in no page along the path, behind no link, and not among the first {BEYOND} of any sub-index"
        return Finding("retrieval", "out of reach", happened)
    name = min(ranks, key=ranks.__getitem__)
    pages = world.settings.pages * world.settings.expand_size
    happened = f"the {called(name)} index has it at place {ranks[name]} for the question; its pages hold {pages}"
    return Finding("retrieval", "beyond the pages", happened)


def _place(rows: Rows, row: int) -> int:
    return int(np.flatnonzero(rows == row)[0]) + 1


def _listed(searched: Searched, rows: Sequence[int]) -> str:
    return ", ".join(searched.title(row) for row in rows)
