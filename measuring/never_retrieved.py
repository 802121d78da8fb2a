"""Which documents no search found: what an index may do without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import QuestionsError
from ..index.index import Index
from .run_file import read_run


def documents_never_retrieved(index: Index, runs: Sequence[Path]) -> list[str]:
    """Return the ids of the documents of which no passage stands in any of some run files, in the order of the store.

    Args:
        index: that was searched.
        runs: run files, each as deep as its system ranked; what ``evaluate --run-file`` writes.

    Raises:
        QuestionsError: when there is no run, one cannot be read, ranks nothing or ranks a passage that the index lacks.
    """
    if not runs:
        raise QuestionsError("no run file was given: of no search nothing can be said")
    retrieved: set[int] = set()
    for path in runs:
        names = {name for ranking in read_run(path).values() for name in ranking}
        if not names:
            raise QuestionsError("ranks no passage: everything would go", path)
        for name in names:
            if not index.store.has(name):
                raise QuestionsError(f"ranks the passage {name!r}, which {index.path} does not hold", path)
            retrieved.add(index.store.row_of(name))
    store = index.store
    return [document for document in store.document_ids() if retrieved.isdisjoint(store.rows_of(document))]
