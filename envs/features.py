"""The numbers that describe a candidate: by itself, by how it was found, and beside a piece of evidence."""

from __future__ import annotations

from ..graph.knowledge_graph import GROUPS
from .settings import SUB_INDEXES

STATIC = (
    "dense",  # cosine of question and passage
    "lexical",  # idf-weighted share of the question's terms that the passage has
    "title_in_question",  # idf-weighted share of the title's terms that the question has
    "question_in_title",  # idf-weighted share of the question's terms that the title has
    "named_exactly",  # the question names the whole title, parenthesis included
    "named",  # the question names the title without its parenthesis
    "named_alias",  # the question names an alias of the title
    "named_share",  # characters of the mention / characters of the question
    "named_position",  # where in the question the mention starts, 0 to 1
    "in_degree",  # log(1 + mentions of it) / 4
    "out_degree",  # log(1 + mentions in it) / 4
    "length",  # log(1 + words) / 6
    "titled",  # it has a title at all
    "hop_dense",  # cosine of the passage and the question as the tuned hop encoder sees it
)
"""Features of a passage under a question; they never change."""

FOUND_BY = (*SUB_INDEXES, *GROUPS, "lexical given evidence", "dense given evidence")
"""Operators, in the order of the ``found`` features: each is the best 1 / (1 + rank) it gave the passage."""

DYNAMIC = (
    *(f"found_by_{name.replace(' ', '_')}" for name in FOUND_BY),
    "conditioned_dense",  # best cosine with a query that was conditioned on evidence
    "found_at",  # step at which it came into view / steps allowed
    "taken",
    "taken_order",  # place among the evidence / places
    "new_coverage",  # idf-weighted share of the question's terms that only it would cover
)
"""Features of a candidate in one episode."""

PAIR = (
    "mentioned",  # the evidence mentions the candidate's title
    "mentioned_alias",
    "mention_position",  # where in the evidence, 0 to 1
    "mention_agreement",  # idf-weighted share of the question's terms in the mentioning sentence
    "mentions",  # the candidate mentions the evidence's title
    "mentions_position",
    "mentions_agreement",
    "shares",  # a rare name or phrase in common
    "adjacent",  # the chunk before or after, in one document
    "dense",  # cosine of evidence and candidate
    "overlap",  # idf-weighted share of the candidate's terms that the evidence has
    "same_title",
)
"""Features of a candidate beside one piece of evidence."""

OPERATOR = (
    "asked_here",  # pages already asked in this query state / pages
    "asked",  # times asked in the episode / 4
    "conditioned",  # the query state holds evidence
    "available",  # log(1 + neighbours) / 3 for a HOP, 0 for an EXPAND
)
"""Features of an EXPAND or HOP action."""

BUDGET = ("steps_left", "evidence_left", "slots_left", "spent")
"""The remaining budget, each as a share of the whole; ``spent`` in recall."""
