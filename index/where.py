"""Which documents a search may see: named ones, those whose metadata fit, those that a reader may read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import QuestionsError
from ..retrievers._forks import PerProcess

if TYPE_CHECKING:
    from ..retrievers._store import EvidenceStore

ACCESS = "access"
"""Key of a document's metadata: the names of those who may read it; without it all may."""

Mask = NDArray[np.bool_]
"""Which of a segment's documents are meant, bool [documents]."""

_NESTED = 32
"""How deep conditions may lie within each other."""


class Where:
    """Which documents a search may see; all that is given must hold. A value: it may be hashed and compared.

    Args:
        documents: their ids; ids of documents that are not there hide nothing else.
        metadata: conditions on their metadata, each ``{field: value}`` or ``{field: {operator: value}}``. Operators
            are ``$eq``, ``$ne``, ``$gt``, ``$gte``, ``$lt``, ``$lte`` (numbers with numbers, texts with texts),
            ``$in``, ``$nin``, ``$contains`` (an item of a list, or a part of a text) and ``$exists``; ``$and``, ``$or``
            (lists of conditions) and ``$not`` join them. A field without a value fits ``$ne``, ``$nin`` and
            ``$exists: false`` alone.
            ``a.b`` is the field b inside a; ``id``, ``title`` and ``source`` are the document's own, unless its
            metadata has them.
        principals: names of the reader: himself, his groups. A document whose metadata has ``access``, a list of names
            or one name, is seen where one of them is given. None asks nobody's leave.

    Raises:
        QuestionsError: when a condition cannot be understood.
    """

    __slots__ = ("_key", "documents", "metadata", "principals")

    def __init__(
        self,
        documents: Iterable[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        principals: Iterable[str] | None = None,
    ) -> None:
        self.documents = None if documents is None else frozenset(_names(documents, "documents"))
        self.principals = None if principals is None else frozenset(_names(principals, "principals"))
        if metadata is not None:
            _check(metadata, 0)
        try:
            said = None if metadata is None else json.dumps(metadata, sort_keys=True, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise QuestionsError(f"the condition {metadata!r} on metadata is no JSON ({error})") from error
        self.metadata: Mapping[str, Any] | None = None if said is None else json.loads(said)  # the caller's may change
        self._key = (self.documents, said, self.principals)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Where) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        parts = ((name, getattr(self, name)) for name in ("documents", "metadata", "principals"))
        return f"Where({', '.join(f'{name}={value!r}' for name, value in parts if value is not None)})"

    def __reduce__(self) -> tuple[type[Where], tuple[object, ...]]:
        return Where, (self.documents, self.metadata, self.principals)

    def seen(self, about: DocumentColumns) -> Mask:
        """Return which documents of a segment may be seen."""
        seen = np.ones(len(about), np.bool_)
        if self.documents is not None:
            seen &= about.named(self.documents)
        if self.metadata is not None:
            seen &= _fits(self.metadata, about)
        if self.principals is not None:
            seen &= about.readable(self.principals)
        return seen


class DocumentColumns:
    """What the documents of a segment say of themselves, field by field. Threads may share one.

    Args:
        store: of the segment.
    """

    def __init__(self, store: EvidenceStore) -> None:
        self._store = store
        self._lock = PerProcess(Lock)
        self._columns: dict[str, list[Any]] = {}

    def __len__(self) -> int:
        """Return the number of documents."""
        return self._store.documents

    def named(self, document_ids: Iterable[str]) -> Mask:
        """Return which documents have these ids."""
        mask = np.zeros(len(self), np.bool_)
        mask[list(self._store.numbers(document_ids).values())] = True
        return mask

    def readable(self, principals: Iterable[str]) -> Mask:
        """Return which documents one of these may read."""
        anyone, by_name = self._access
        mask = anyone.copy()
        for name in principals:
            mask[by_name.get(name, [])] = True
        return mask

    def column(self, field: str) -> list[Any]:
        """Return what every document has under a field, None where it has nothing."""
        with self._lock():
            found = self._columns.get(field)
        if found is None:
            found = self._store.metadata_column(field)
            with self._lock():
                found = self._columns.setdefault(field, found)
        return found

    @cached_property
    def _access(self) -> tuple[Mask, dict[str, list[int]]]:
        """Return which documents anyone may read, and by name the numbers of the others that it may."""
        column = self.column(ACCESS)
        anyone, by_name = np.zeros(len(column), np.bool_), dict[str, list[int]]()
        for number, names in enumerate(column):
            if names is None:
                anyone[number] = True
                continue
            for name in names if isinstance(names, list) else [names]:  # an empty list is nobody's
                by_name.setdefault(str(name), []).append(number)
        return anyone, by_name


def _names(given: Iterable[str], what: str) -> list[str]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise QuestionsError(f"{what}={given!r} is no list of names: give one, like [{str(given)!r}]")
    names = list(given)
    wrong = next((name for name in names if not isinstance(name, str)), None)
    if wrong is not None:
        raise QuestionsError(f"{what} has {wrong!r}, which is no name: give texts")
    return names


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(value: object, other: object) -> bool:
    """Return whether two JSON values are equal; true is not 1."""
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[object, object], bool]:
    def fits(value: object, other: object) -> bool:
        alike = (_number(value) and _number(other)) or (isinstance(value, str) and isinstance(other, str))
        return alike and compare(value, other)

    return fits


def _contains(value: object, part: object) -> bool:
    if isinstance(value, list):
        return any(_same(item, part) for item in value)
    return isinstance(value, str) and isinstance(part, str) and part in value


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "$eq": _same,
    "$ne": lambda value, other: not _same(value, other),
    "$gt": _ordered(lambda value, other: value > other),
    "$gte": _ordered(lambda value, other: value >= other),
    "$lt": _ordered(lambda value, other: value < other),
    "$lte": _ordered(lambda value, other: value <= other),
    "$in": lambda value, others: any(_same(value, other) for other in others),
    "$nin": lambda value, others: not any(_same(value, other) for other in others),
    "$contains": _contains,
    "$exists": lambda value, wanted: (value is not None) is wanted,
}
_LISTS = ("$in", "$nin")
_JOINS = ("$and", "$or")


def _check(condition: object, depth: int) -> None:
    """Refuse a condition that cannot be understood."""
    if not isinstance(condition, Mapping):
        raise QuestionsError(
            f"the condition {condition!r} on metadata is no mapping: give one, like {{'year': {{'$gte': 2020}}}}"
        )
    if depth > _NESTED:
        raise QuestionsError(f"conditions on metadata lie more than {_NESTED} deep within each other: flatten them")
    for field, wanted in condition.items():
        if not isinstance(field, str):
            raise QuestionsError(f"the field {field!r} of a condition on metadata is no text")
        if field in _JOINS:
            if not isinstance(wanted, Sequence) or isinstance(wanted, str) or not wanted:
                raise QuestionsError(f"{field} joins a list of conditions, not {wanted!r}")
            for one in wanted:
                _check(one, depth + 1)
        elif field == "$not":
            _check(wanted, depth + 1)
        elif field.startswith("$"):
            raise QuestionsError(f"there is no operator {field!r} between conditions: use $and, $or or $not")
        elif isinstance(wanted, Mapping):
            _check_operators(field, wanted)


def _check_operators(field: str, wanted: Mapping[object, object]) -> None:
    if not wanted:
        raise QuestionsError(f"the condition on {field!r} is empty: give a value, or an operator with one")
    for operator, value in wanted.items():
        if operator not in _OPERATORS:
            raise QuestionsError(f"there is no operator {operator!r} for {field!r}: use one of {', '.join(_OPERATORS)}")
        if operator in _LISTS and (not isinstance(value, Sequence) or isinstance(value, str)):
            raise QuestionsError(f"{operator} on {field!r} needs a list of values, not {value!r}")
        if operator == "$exists" and not isinstance(value, bool):
            raise QuestionsError(f"$exists on {field!r} is true or false, not {value!r}")


def _fits(condition: Mapping[str, Any], about: DocumentColumns) -> Mask:
    """Return which documents fit a condition."""
    fits = np.ones(len(about), np.bool_)
    for field, wanted in condition.items():
        if field == "$and":
            mine = np.logical_and.reduce([_fits(one, about) for one in wanted])
        elif field == "$or":
            mine = np.logical_or.reduce([_fits(one, about) for one in wanted])
        elif field == "$not":
            mine = ~_fits(wanted, about)
        else:
            column = about.column(field)
            tests = wanted if isinstance(wanted, Mapping) else {"$eq": wanted}
            mine = np.ones(len(about), np.bool_)
            for operator, value in tests.items():
                test = _OPERATORS[operator]
                mine &= np.fromiter((test(one, value) for one in column), np.bool_, len(column))
        fits &= mine
    return fits
