"""What the passages of a ranking count as, where labels name documents, and what is left out of a ranking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..agent._fixed_systems import Ranked
from ..index._searchable import Searchable
from ..retrievers.questions._label_targets import SettledLabels
from ..retrievers.records import Passage


def title_of(passage: Passage) -> str:
    """Return what a passage is called: its title, or the beginning of its text."""
    return passage.title or passage.text[:60]


@dataclass(frozen=True, slots=True)
class Judged:
    """A ranking as it is judged.

    Attributes:
        scores: name -> score, best first.
        taken: names that stand for what was taken.
        titles: name -> what the first passage is called that it stands for.
    """

    scores: dict[str, float]
    taken: list[str]
    titles: dict[str, str]


class Judging:
    """Says by what names each question is judged.

    A question whose labels name passages is judged by passages. One whose labels name documents is judged by documents:
    a document stands where the first of its passages stands, and counts once. Labels of both kinds work together: a
    passage that is labelled counts by itself, every other passage as its document.

    Args:
        labels: of the split.
        left_out: question id -> ids of documents and passages that do not count for it.
    """

    def __init__(self, labels: SettledLabels, left_out: Mapping[str, frozenset[str]]) -> None:
        self._labels = labels
        self._left_out = left_out
        documents = {name for name, target in labels.targets.items() if target.document}
        passages = labels.targets.keys() - documents
        self._whole: set[str] = set()
        for question, mine in labels.qrels.items():
            if documents.intersection(mine) or (documents and passages.isdisjoint(mine)):
                self._whole.add(question)

    @property
    def by_document(self) -> int:
        """Number of questions that are judged by documents."""
        return len(self._whole)

    def counts(self, question: str, passage: Passage) -> bool:
        """Return whether a passage counts for a question, and is not left out."""
        return self._left_out.get(question, frozenset()).isdisjoint((passage.id, passage.document_id))

    def judge(self, index: Searchable, question: str, ranked: Ranked) -> Judged:
        """Return a ranking by the names that it is judged by."""
        rows = ranked.rows.tolist()
        passages = index.store.passages(rows)
        named = self.names(question, passages)
        scores = {name: float(score) for names, score in zip(named, ranked.scores, strict=True) for name in names}
        taken = [name for names, row in zip(named, rows, strict=True) if row in ranked.taken for name in names]
        titles = {name: title_of(passage) for names, passage in zip(named, passages, strict=True) for name in names}
        return Judged(scores, taken, titles)

    def names(self, question: str, passages: Iterable[Passage]) -> list[list[str]]:
        """Return what each passage of a ranking counts as: names that no passage before it has, or none."""
        seen: set[str] = set()
        named = []
        for passage in passages:
            mine = [name for name in self._of(question, passage) if name not in seen]
            seen.update(mine)
            named.append(mine)
        return named

    def _of(self, question: str, passage: Passage) -> list[str]:
        if not self.counts(question, passage):
            return []
        if question not in self._whole:
            return [passage.id]
        labels = self._labels.qrels[question]
        if passage.id == passage.document_id or passage.id not in labels:
            return [passage.document_id]
        return [passage.id, passage.document_id] if passage.document_id in labels else [passage.id]
