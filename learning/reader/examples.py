"""Questions with answers and evidence as examples for the built-in reader."""

from __future__ import annotations

from collections.abc import Collection

from ...envs.world import QuestionWorld
from ...retrievers.records import Query
from .reader_training import ReadingExample

_OTHERS = 4
"""Passages beside the evidence that are kept for an example."""


def reading_example(world: QuestionWorld, evidence: Collection[int]) -> ReadingExample | None:
    """Return the example of a question and the rows of its evidence; None when the question has no answer.

    The evidence comes in the order in which it would be found: first what the question names, then the rest. Beside
    it stands what the lexical index takes for evidence wrongly.
    """
    answer = world.answer
    if answer is None:
        return None
    index = world.index
    ordered = sorted(evidence, key=lambda row: (row not in world.view.named, row))
    found = index.lexical.search(Query(world.view.text), _OTHERS + len(ordered)).rows.tolist()
    others = [row for row in found if row not in evidence][:_OTHERS]
    passages = index.store.passages(ordered), index.store.passages(others)
    return ReadingExample(world.view.text, answer, tuple(passages[0]), tuple(passages[1]))
