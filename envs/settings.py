"""What the user sets about the environment (sizes, budget, prices), where each action stands, and what is observed."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from ..graph._knowledge_graph import GROUPS

SUB_INDEXES = ("lexical", "dense", "entity", "docid", "feedback")
"""What EXPAND can ask, in the order of its actions.

``docid`` is there where the index was opened with a router. ``feedback`` asks lexical and dense again, with what the
first passages of both add to the question.
"""

OPTIONAL = ("docid",)
"""Sub-indexes that not every index has: a policy that was never trained with one has weights of zero for it."""


@dataclass(frozen=True, slots=True)
class EnvironmentSettings:
    """Sizes, budget and prices of ``trailhound/Search-v0``.

    Attributes:
        expand_size: passages that one EXPAND brings (a page); asking again in the same state turns the page.
        pages: how many pages a sub-index gives in one query state.
        hop_size: passages that one HOP brings at most.
        hop_depth: edges that one HOP follows over a knowledge graph of facts, the nearest entities first.
        max_candidates: slots of the frontier, evidence included.
        max_evidence: passages that can be taken.
        max_steps: actions in an episode.
        expand_lexical_ms, expand_dense_ms, expand_entity_ms, expand_docid_ms, expand_feedback_ms, hop_ms, take_ms: what
            an action costs, in milliseconds-equivalent.
        invalid_ms: what an action that is not legal costs (it does nothing else).
        price_per_ms: recall that one millisecond is worth; 0 makes search free.
        expand_everything: after every TAKE (and at the start) all that can be asked is asked, at its cost; the
            agent only takes and stops. This is the fixed pipeline that a policy is compared with.
    """

    expand_size: int = 10
    pages: int = 2
    hop_size: int = 8
    hop_depth: int = 1
    max_candidates: int = 64
    max_evidence: int = 5
    max_steps: int = 24
    expand_lexical_ms: float = 1.0
    expand_dense_ms: float = 12.0
    expand_entity_ms: float = 0.5
    expand_docid_ms: float = 3.0
    expand_feedback_ms: float = 2.0
    hop_ms: float = 0.5
    take_ms: float = 1.0
    invalid_ms: float = 2.0
    price_per_ms: float = 0.015
    expand_everything: bool = False

    def __post_init__(self) -> None:
        """Refuse sizes below 1, and prices that are negative or not finite."""
        sizes = ("expand_size", "pages", "hop_size", "hop_depth", "max_candidates", "max_evidence", "max_steps")
        for name in sizes:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in (f for f in self.__slots__ if f.endswith("_ms")):
            if not 0 <= getattr(self, name) < inf:
                raise ValueError(f"{name} must be 0 or more and finite, not {getattr(self, name)}")

    @property
    def expand_ms(self) -> tuple[float, ...]:
        """Cost of asking each sub-index, in the order of ``SUB_INDEXES``."""
        return tuple(float(getattr(self, f"expand_{name}_ms")) for name in SUB_INDEXES)


class ActionLayout:
    """Where each action stands in the one ``Discrete`` space: STOP, EXPAND(i), HOP(e, r), TAKE(c).

    Attributes:
        expand, hop, take: first action of each kind; HOP(e, r) is ``hop + e * len(GROUPS) + r``.
        size: number of actions.
        operators: number of EXPAND and HOP actions together.
    """

    def __init__(self, max_evidence: int, max_candidates: int) -> None:
        self.expand = 1
        self.hop = self.expand + len(SUB_INDEXES)
        self.take = self.hop + max_evidence * len(GROUPS)
        self.size = self.take + max_candidates
        self.operators = self.take - self.expand

    def decode(self, action: int) -> tuple[str, int, int]:
        """Return (kind, first argument, second argument) of an action; unused arguments are -1."""
        if action == 0:
            return "stop", -1, -1
        if action < self.hop:
            return "expand", action - self.expand, -1
        if action < self.take:
            evidence, group = divmod(action - self.hop, len(GROUPS))
            return "hop", evidence, group
        return "take", action - self.take, -1


SEEN = 100
"""Passages of a sub-index that are seen when it is asked with the question alone: they are ranked in the end, and the
first pages of them come into view."""

QUESTION_WORDS = (
    *("who", "whom", "whose", "what", "which", "when", "where", "why", "how"),
    *("is", "are", "was", "were", "be", "been", "do", "does", "did", "can", "could", "should", "would", "will", "has"),
    *("have", "had", "may", "must", "a", "an", "the", "this", "that", "these", "those", "it", "its", "their", "his"),
    *("her", "he", "she", "they", "i", "you", "we", "my", "your", "of", "in", "on", "at", "by", "for", "from", "to"),
    *("with", "as", "into", "about", "than", "between", "through", "during", "after", "before", "and", "or", "not"),
    *("no", "but", "if", "both", "same", "other", "more", "most", "less", "least", "first", "last", "older", "younger"),
    *("earlier", "later", "many", "much", "any", "all", "each", "also", "there", "name", "list", "born", "released"),
)
"""Words that say what kind of question one is, whatever it is about."""

QUESTION = (
    *QUESTION_WORDS,
    "first word asks",  # one of who .. how begins it
    "question mark",
    "length",  # log(1 + words) / 4
    "names",  # log(1 + words that begin with a capital, the first one apart) / 3
    "digits",  # log(1 + words with a digit) / 3
    "code",  # it has a word with a sign inside, as identifiers and paths have
    "named",  # log(1 + passages whose title or identifier it names) / 3
)
"""What a policy sees of a question: no vector of an encoder, so that one policy serves every encoder and subject."""

STATIC = (
    "dense",  # cosine of question and passage, standardised: see ``standardised``
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
)
"""Features of a passage under a question; they never change."""

FOUND_BY = (*SUB_INDEXES, *GROUPS, "lexical given evidence", "dense given evidence")
"""Operators, in the order of the ``found`` features: each is the best 1 / (1 + rank) it gave the passage."""

DYNAMIC = (
    *(f"found_by_{name.replace(' ', '_')}" for name in FOUND_BY),
    "conditioned_dense",  # best cosine with a query that was conditioned on evidence, standardised
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
    "dense",  # cosine of evidence and candidate, standardised
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
