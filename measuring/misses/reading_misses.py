"""Why an answer is wrong although all the evidence is there."""

from __future__ import annotations

from collections.abc import Sequence

from ...agent.reader.protocol import Answer, exact_match, normalise_answer
from ...retrievers.records import Passage
from .miss_stages import Finding


def reading_finding(
    right: str, answer: Answer | None, read: Sequence[Passage], supporting: Sequence[Passage]
) -> Finding | None:
    """Return why an answer is not the right one; None where it is (exact match).

    Args:
        right: the known answer.
        answer: the reader's.
        read: what it read.
        supporting: all the supporting passages, each of them among the first five.
    """
    if answer is not None and exact_match(answer.text, right):
        return None
    given = "the reader gave no answer" if answer is None else f"the reader answered {answer.text!r}"
    unread = [passage for passage in supporting if passage.id not in {one.id for one in read}]
    if unread:
        title = unread[0].title or unread[0].text[:50]
        return Finding("reading", "evidence not read", f"{given}, and did not read “{title}”, which was not taken")
    if answer is None:
        return Finding("reading", "no answer", given)
    if any(_holds(passage, right) for passage in read):
        return Finding("reading", "another answer", f"{given}; what it read has the right one too")
    return Finding("reading", "not written out", f"{given}; the right one stands nowhere in what it read")


def _holds(passage: Passage, answer: str) -> bool:
    return f" {normalise_answer(answer)} " in f" {normalise_answer(f'{passage.title} {passage.text}')} "
