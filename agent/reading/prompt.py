"""How a language model is asked: the evidence, the question, and room for the answer."""

from __future__ import annotations

from collections.abc import Sequence

from ...retrievers.records import Passage

INSTRUCTION = "Answer the question from the passages, in a few words."


def prompt_for(question: str, passages: Sequence[Passage]) -> str:
    """Return the text that an answer follows; with the passages in the order they were found, from 1."""
    parts = [INSTRUCTION]
    for number, passage in enumerate(passages, start=1):
        parts.append(f"[{number}] {passage.title}\n{passage.text}" if passage.title else f"[{number}] {passage.text}")
    parts.append(f"Question: {question}\nAnswer:")
    return "\n\n".join(parts)
