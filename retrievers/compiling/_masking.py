"""Private data out of a corpus before anything is stored: characters are replaced one for one, so offsets stay."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...errors import MaskingError
from ..records import CORPUS_ROOT, FILE_HASH, Document
from ._private_data import Span, cards, credentials, emails, ibans, ip_addresses, names_a_credential, phones

MASK = "█"
"""Stands for one character of what was masked; it is no letter, so no search finds it."""

if TYPE_CHECKING:
    import regex

_FINDERS: dict[str, Callable[[str], Iterator[Span]]] = {
    "secret": credentials,
    "email": emails,
    "iban": ibans,
    "card": cards,
    "ip": ip_addresses,
    "phone": phones,
}
KINDS = ("email", "phone", "card", "iban", "ip", "secret")
ALL = "all"

SECONDS = 5.0
"""A user's pattern may take so long over a document, and so much more for every million characters."""

_MASKED_CHARACTER = re.compile("[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_NAME = re.compile(r"[A-Za-z][\w-]{0,63}")


def kinds_of(names: Sequence[str]) -> tuple[str, ...]:
    """Return the kinds that are named, ``all`` for every one, in their fixed order."""
    for name in names:
        if name != ALL and name not in KINDS:
            raise MaskingError(f"there is no kind of private data {name!r}: choose of {', '.join((*KINDS, ALL))}")
    return tuple(kind for kind in KINDS if kind in names or ALL in names)


def pattern_of(definition: str) -> tuple[str, str]:
    """Return name and regular expression of ``NAME=REGEX``."""
    name, equals, regex = definition.partition("=")
    if not equals or not _NAME.fullmatch(name) or not regex:
        raise MaskingError(f"{definition!r} is not NAME=REGEX: write for example  staff=EMP-\\d{{6}}")
    return name, regex


class Masker:
    """Finds and masks private data. Linear in the text; a user's own pattern that takes too long is stopped.

    Args:
        kinds: which of ``KINDS``, or ``all``.
        patterns: a user's own, regular expressions by name, as the package ``regex`` and Python's ``re`` read them.

    Raises:
        MaskingError: there is no such kind, or a pattern cannot be used.
    """

    def __init__(self, kinds: Sequence[str] = (), patterns: Mapping[str, str] | None = None) -> None:
        self.kinds = kinds_of(kinds)
        self._patterns = {name: _compiled(name, regex) for name, regex in (patterns or {}).items()}

    def __bool__(self) -> bool:
        """Return whether there is anything to look for."""
        return bool(self.kinds or self._patterns)

    @property
    def names(self) -> tuple[str, ...]:
        """Kinds and names of patterns, in the order that they are counted in."""
        return (*self.kinds, *self._patterns)

    def find(self, text: str) -> list[tuple[int, int, str]]:
        """Return ``(start, end, kind)`` of what is private, in order; what lies inside another is left out."""
        found = [
            (start, -end, place, kind)
            for place, (kind, finder) in enumerate(_FINDERS.items())
            if kind in self.kinds
            for start, end in finder(text)
        ]
        for name, pattern in self._patterns.items():
            for match in _matches(name, pattern, text):
                if match.start() == match.end():
                    raise MaskingError(
                        f"the pattern {name!r} matched no character, so there is nothing to mask: let it match at"
                        " least one"
                    )
                found.append((match.start(), -match.end(), len(_FINDERS), name))
        found.sort()
        spans, reach = [], -1
        for start, negative_end, _, kind in found:
            if -negative_end > reach:
                spans.append((start, -negative_end, kind))
                reach = -negative_end
        return spans

    def text(self, text: str, counts: Counter[str]) -> str:
        """Return ``text`` masked, as long as before and with its line breaks; add to ``counts``."""
        return _masked(text, self.find(text), counts)

    def json(self, value: Any, counts: Counter[str], field: str = "") -> Any:
        """Return a JSON value with every string in it masked, names of fields too.

        A string or whole number is also masked for what its field says ("phone", "password"), and a number that is
        masked becomes a string.
        """
        if isinstance(value, dict):
            return self._fields_masked(value, counts)
        if isinstance(value, list | tuple):
            return [self.json(item, counts, field) for item in value]
        if isinstance(value, str):
            return self._value(value, field, counts)
        if isinstance(value, int | float) and not isinstance(value, bool):
            written = repr(value)
            masked = self._value(written, field, counts)
            return value if masked == written else masked
        return value

    def document(self, document: Document, unused: Callable[[str], str], counts: Counter[str]) -> Document:
        """Return a document masked in all its fields, ids kept apart by :func:`unique_ids`; add to ``counts``.

        Raises:
            MaskingError: a pattern takes too long; names it and the document.
        """
        try:
            return self._document(document, unused, counts)
        except _TooLongError as cause:
            raise MaskingError(f"{document.id}: {cause}") from cause

    def _document(self, document: Document, unused: Callable[[str], str], counts: Counter[str]) -> Document:
        # A source is most often the id again, or a path that it is part of: counted once.
        again: Counter[str] = counts if document.source and document.id not in document.source else Counter()
        return replace(
            document,
            id=unused(self.text(document.id, counts)),
            title=self.text(document.title, counts),
            text=self.text(document.text, counts),
            source=self.text(document.source, again),
            metadata=self._metadata(document.metadata, counts),
        )

    def _metadata(self, metadata: Mapping[str, Any], counts: Counter[str]) -> dict[str, Any]:
        """Return metadata masked, without the hash of a file: what is hidden could be guessed and tried by it."""
        others = {name: value for name, value in metadata.items() if name not in (FILE_HASH, CORPUS_ROOT)}
        root = {CORPUS_ROOT: metadata[CORPUS_ROOT]} if CORPUS_ROOT in metadata else {}
        return {**self.json(others, counts), **root}

    def _fields_masked(self, values: dict[Any, Any], counts: Counter[str]) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for name, value in values.items():
            masked = self.text(name, counts) if isinstance(name, str) else name
            result[_unused(masked, result)] = self.json(value, counts, name if isinstance(name, str) else "")
        return result

    def _value(self, value: str, field: str, counts: Counter[str]) -> str:
        if "secret" in self.kinds and value.strip() and names_a_credential(field):
            return _masked(value, [(0, len(value), "secret")], counts)
        if not field:
            return self.text(value, counts)
        # Read as "field: value", so that what is said by the field counts; and alone, where the field misleads.
        before = len(field) + 2
        read = self.find(f"{field}: {value}")
        inside = [(max(start - before, 0), end - before, kind) for start, end, kind in read if end > before]
        spans = sorted([*inside, *self.find(value)], key=lambda span: (span[0], -span[1]))
        return _masked(value, spans, counts)


def unique_ids() -> Callable[[str], str]:
    """Return a function that gives every masked id a number where another document has that id already."""
    taken: set[str] = set()

    def unused(identifier: str) -> str:
        if MASK not in identifier:
            return identifier
        identifier = _unused(identifier, taken)
        taken.add(identifier)
        return identifier

    return unused


def _unused(name: str, taken: Mapping[str, Any] | set[str]) -> str:
    """Return ``name``, with the first number behind it that makes it new."""
    if name not in taken:
        return name
    number = 2
    while f"{name}~{number}" in taken:
        number += 1
    return f"{name}~{number}"


def _masked(text: str, spans: Sequence[tuple[int, int, str]], counts: Counter[str]) -> str:
    """Replace the characters of ``spans``, ascending; they may overlap, and what adds nothing is not counted."""
    if not spans:
        return text
    parts, position = [], 0
    for start, end, kind in spans:
        if end <= position:
            continue
        first = max(start, position)
        parts += [text[position:first], _MASKED_CHARACTER.sub(MASK, text[first:end])]
        position = end
        counts[kind] += 1
    return "".join([*parts, text[position:]])


class _TooLongError(MaskingError):
    """A pattern was stopped."""


def _matches(name: str, pattern: regex.Pattern[str], text: str) -> Iterator[regex.Match[str]]:
    limit = SECONDS * (1 + len(text) / 1_000_000)
    try:
        yield from pattern.finditer(text, timeout=limit)
    except TimeoutError as cause:
        raise _TooLongError(
            f"the pattern {name}={pattern.pattern} took more than {limit:.1f} s over {len(text):,} characters:"
            " leave out repeats inside repeats, such as (a+)+"
        ) from cause


def _compiled(name: str, written: str) -> regex.Pattern[str]:
    import regex

    if not _NAME.fullmatch(name) or name in KINDS or name == ALL:
        raise MaskingError(f"a pattern cannot be named {name!r}: begin with a letter, and leave the kinds their names")
    try:
        pattern = regex.compile(written)
        matches_nothing = pattern.search("", timeout=SECONDS) is not None
    except (regex.error, OverflowError, RecursionError, TimeoutError) as error:
        raise MaskingError(f"the pattern {name}={written} is not a regular expression ({error}): correct it") from error
    if matches_nothing:
        raise MaskingError(
            f"the pattern {name}={written} matches the empty string, which is everywhere: make it match more"
        )
    return pattern
