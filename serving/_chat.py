"""Answers as chat completions: what a search found, written by a model or the built-in reader, citations checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..agent.reader._citations import WrittenAnswer, check_citations
from ..agent.search_result import Evidence, SearchResult

UNKNOWN = "The documents do not say."


@dataclass(frozen=True, slots=True)
class Completion:
    """What is answered.

    Attributes:
        text: the message; what is not supported in it is said below it.
        told: the field ``trailhound`` of the reply.
    """

    text: str
    told: dict[str, Any]


def completed(result: SearchResult, written: WrittenAnswer | None, asked_a_model: bool) -> Completion:
    """Return the answer to a question.

    Args:
        result: what was found.
        written: what a model wrote from it, its citations checked; None where it says that the passages do not say.
        asked_a_model: whether one was asked; else the built-in reader answers.
    """
    if asked_a_model:
        text, by = (UNKNOWN, "model") if written is None else (written.text, written.written_by)
        claims = () if written is None else written.claims
    else:
        text, by = _read(result), "reader"
        claims = () if text == UNKNOWN else check_citations(text, [one.passage for one in result.evidence])
    wrong = [claim for claim in claims if claim.problem is not None] if asked_a_model else []
    ranked = {one.rank: one for one in result.evidence}
    right = dict.fromkeys(number for claim in claims if claim not in wrong for number in claim.cites)
    told = {
        "answered_by": by,
        "supported": bool(claims) and not wrong,
        "claims": [{"text": claim.text, "cites": list(claim.cites), "problem": claim.problem} for claim in claims],
        "citations": [_citation(ranked[number]) for number in right if number in ranked],
        "unanswered": result.unanswered,
        "confidence": result.confidence,
        "searched_by": result.answered_by,
    }
    if wrong:
        text += "\n\nNot supported by the documents:\n" + "\n".join(f"- “{one.text}” {one.problem}" for one in wrong)
    return Completion(text, told)


def _read(result: SearchResult) -> str:
    """Return what the built-in reader answers, or else the sentence that says most, with its citation."""
    answer, by_id = result.answer, {one.passage.id: one for one in result.evidence}
    if answer is not None and answer.stated:
        source = by_id.get(answer.passage or "")
        if source is None:
            return answer.text
        return f"{answer.text}: “{_sentence_around(source, answer.start)}” [{source.rank}]"
    first = result.evidence[0] if result.evidence else None
    if first is None or result.unanswered:
        return UNKNOWN
    return f"No passage states an answer. The nearest: “{_best_sentence(first)}” [{first.rank}]"


def _sentence_around(evidence: Evidence, place: int) -> str:
    passage = evidence.passage
    span = next(((start, end) for start, end in passage.sentences if start <= place < end), (0, len(passage.text)))
    return " ".join(passage.text[slice(*span)].split())


def _best_sentence(evidence: Evidence) -> str:
    sentence = evidence.sentence
    if sentence is None:
        return " ".join(evidence.passage.text.split())
    return " ".join(evidence.passage.text[sentence.start : sentence.end].split())


def _citation(evidence: Evidence) -> dict[str, Any]:
    """Return where a citation leads: ``text`` is ``[start, end)`` of the document's text."""
    passage, sentence = evidence.passage, evidence.sentence
    start, end = (0, len(passage.text)) if sentence is None else (sentence.start, sentence.end)
    return {
        "number": evidence.rank,
        "passage": passage.id,
        "document": passage.document_id,
        "title": passage.title,
        "source": passage.source,
        "page": evidence.page,
        "start": passage.start + start,
        "end": passage.start + end,
        "text": passage.text[start:end],
    }


def question_of(messages: Sequence[tuple[str, str]]) -> str:
    """Return the last thing that the user says, by role and text of each message; "" where he says nothing."""
    return next((text.strip() for role, text in reversed(messages) if role == "user"), "")
