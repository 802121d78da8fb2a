"""Puts the head of a ranking into the order of a re-ranker, of whatever kind."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...envs.question_view import QuestionView
from ...index.index import Index
from ...retrievers.protocols import Reranker
from ...retrievers.records import Candidates, Query, Rows
from .path_reranker import CANDIDATES, PathReranker


def new_order(
    reranker: Reranker | PathReranker, index: Index, question: str, rows: Rows, scores: NDArray[np.float64]
) -> list[int]:
    """Return the places of the rows in their new order, [n]; behind the first ``CANDIDATES`` the old one holds.

    Args:
        reranker: of whatever kind.
        index: that the rows are of.
        question: in words.
        rows: best first, int64 [n].
        scores: of the first stage, float64 [n].
    """
    if isinstance(reranker, PathReranker):
        view = QuestionView.of(index, question, vector=np.zeros(0, np.float32))  # its words are all that is read
        return reranker.order(view, index.store.passages(rows.tolist()))
    head = rows[:CANDIDATES]
    candidates = Candidates(head, tuple(index.store.passages(head.tolist())), scores[:CANDIDATES])
    order: list[int] = np.argsort(-reranker.scores(Query(question), candidates), kind="stable").tolist()
    return [*order, *range(len(head), len(rows))]
