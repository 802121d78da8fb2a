"""What a query becomes once evidence is there."""

from __future__ import annotations

from collections.abc import Sequence

from ..retrievers.records import Passage
from ..retrievers.words._terms import term_hashes
from ._question_view import QuestionView

SENTENCES = 1
"""Sentences of each evidence that join the question."""

MOST_EVIDENCE = 3
"""Pieces of evidence, the latest, that join the question for an encoder tuned to read them."""


def conditioned_query(view: QuestionView, held: Sequence[Passage]) -> str:
    """Return the question with what it needs of the evidence ``held``, in the order taken.

    Of each, that is the title and the sentences that agree with the question most.

    Appending the bridge sentence moves the query towards what the evidence leads to, and one sentence encodes in
    a fraction of the time of a passage.
    """
    return " ".join((view.text, *(_bridge(view, evidence) for evidence in held)))


def _bridge(view: QuestionView, evidence: Passage) -> str:
    spans = evidence.sentences
    agreements = [view.agreement(term_hashes(evidence.text[start:end])) for start, end in spans]
    best = sorted(sorted(range(len(spans)), key=lambda k: -agreements[k])[:SENTENCES])
    bridge = " ".join(evidence.text[spans[k][0] : spans[k][1]] for k in best)
    return f"{evidence.title}. {bridge}" if evidence.title else bridge
