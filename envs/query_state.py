"""The query state ``u_t = f(q, E_t)``: what a sub-index is asked once evidence is there."""

from __future__ import annotations

from ..retrievers.chunking import sentence_spans
from ..retrievers.records import Passage
from ..retrievers.terms import term_hashes
from .question_view import QuestionView

SENTENCES = 1
"""Sentences of the evidence that join the question."""


def conditioned_query(view: QuestionView, evidence: Passage) -> str:
    """Return the question with the title and the sentences of ``evidence`` that agree with it most, in order.

    Appending the bridge sentence moves the query towards what the evidence leads to, and one sentence encodes in
    a fraction of the time of a passage.
    """
    spans = sentence_spans(evidence.text)
    agreements = [view.agreement(term_hashes(evidence.text[start:end])) for start, end in spans]
    best = sorted(sorted(range(len(spans)), key=lambda k: -agreements[k])[:SENTENCES])
    bridge = " ".join(evidence.text[spans[k][0] : spans[k][1]] for k in best)
    return f"{view.text} {evidence.title}. {bridge}" if evidence.title else f"{view.text} {bridge}"
