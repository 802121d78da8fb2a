"""What labels name: passages, or documents, of which any passage will do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from ...errors import QuestionsError
from ..corpus._normalise import normalise
from ..records import Qrels

_HERE = "./"


class Labelled(Protocol):
    """What a store says of ids."""

    def row_of(self, passage_id: str) -> int:
        """Return the row of a passage; KeyError when there is none."""
        ...

    def rows_of(self, document_id: str) -> list[int]:
        """Return the rows of a document's passages; KeyError when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """What a label names.

    Attributes:
        name: the id, as the store has it.
        rows: of the passage, or of the document's passages, ascending; at least one.
        document: whether it is a document's id. The id of a document that is one passage of the same id is.
    """

    name: str
    rows: tuple[int, ...]
    document: bool


@dataclass(frozen=True, slots=True)
class SettledLabels:
    """Labels that are held against a store.

    Attributes:
        qrels: the labels by the names that the store has; what names nothing there stays as it is written.
        targets: name -> what it names; nothing for what names nothing.
        unmatched: supporting labels that name nothing, as they are written, in the order of the alphabet.
        respelled: labels that name something only without a leading ``./``, or with their letters composed (NFC).
    """

    qrels: Qrels
    targets: dict[str, Target]
    unmatched: tuple[str, ...]
    respelled: tuple[str, ...]

    @property
    def supporting(self) -> int:
        """Number of names that some question's label above 0 has."""
        return len({name for labels in self.qrels.values() for name, score in labels.items() if score > 0})

    def gold(self, question: str) -> list[Target]:
        """Return what the supporting labels of a question name, in their order.

        A document is left out where another of the question's labels names a passage of it: who finds that passage
        has found the document too.
        """
        wanted = [name for name, score in self.qrels.get(question, {}).items() if score > 0]
        found = [self.targets[name] for name in wanted if name in self.targets]
        passages = {row for target in found if not target.document for row in target.rows}
        return [target for target in found if not target.document or passages.isdisjoint(target.rows)]


def target_of(store: Labelled, label: str) -> Target | None:
    """Return what a label names in a store, None for nothing: as it is written, or spelled as ids of files are."""
    for name in _spellings(label):
        try:
            rows = store.rows_of(name)
        except KeyError:
            rows = []
        if rows:
            return Target(name, tuple(rows), True)
        try:
            return Target(name, (store.row_of(name),), False)
        except KeyError:
            continue
    return None


def settle_labels(store: Labelled, qrels: Qrels) -> SettledLabels:
    """Hold labels against a store.

    Raises:
        QuestionsError: when two spellings of one name have different scores for one question.
    """
    known: dict[str, Target | None] = {}
    settled: Qrels = {}
    for question, labels in qrels.items():
        mine = settled.setdefault(question, {})
        for label, score in labels.items():
            if label not in known:
                known[label] = target_of(store, label)
            target = known[label]
            name = label if target is None else target.name
            if mine.setdefault(name, score) != score:
                raise QuestionsError(
                    f"{label!r} and another spelling of {name!r} have the scores {score} and {mine[name]} for"
                    f" {question!r}: keep one"
                )
    supporting = {name for labels in qrels.values() for name, score in labels.items() if score > 0}
    return SettledLabels(
        settled,
        {target.name: target for target in known.values() if target is not None},
        tuple(sorted(name for name in supporting if known[name] is None)),
        tuple(sorted(label for label, target in known.items() if target is not None and target.name != label)),
    )


def settle_names(store: Labelled, names: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Return sets of ids, by question, spelled as the store has them; what names nothing stays as it is written."""
    known = {name: target_of(store, name) for mine in names.values() for name in mine}
    spelled = {name: name if target is None else target.name for name, target in known.items()}
    return {question: frozenset(spelled[name] for name in mine) for question, mine in names.items()}


def meant(store: Labelled, label: str) -> str:
    """Return a hint at what a label that names nothing may mean, "" for none.

    Ids of files are paths from the folder that was indexed: a label may have that folder, or folders above it, before.
    """
    bare = normalise(label).text.replace("\\", "/")
    while "/" in bare:
        bare = bare.partition("/")[2]
        if bare and target_of(store, bare) is not None:
            return f"; did you mean {bare!r}? Ids of files are paths from the folder that was indexed"
    return ""


def _spellings(label: str) -> Iterator[str]:
    yield label
    bare = label
    while bare.startswith(_HERE):
        bare = bare.removeprefix(_HERE).lstrip("/")
    for other in dict.fromkeys((normalise(label).text, bare, normalise(bare).text)):
        if other and other != label:
            yield other
