"""The ways of writing a title, by which texts name it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ._analyser import STOP_WORDS
from ._phrases import without_marks, words_of

Kind = Literal["title", "alias"]

_PARENTHESIS = re.compile(r"\([^()]*\)$")
_OF_PLACE = re.compile(r"\b(of .+)$")
_ORDINAL = re.compile(r"\d+(st|nd|rd|th)\b")
_SUFFIX = re.compile(r",?(?<!\s)\s++(Jr|Sr|junior|senior)\.?$", re.IGNORECASE)
_INITIAL = re.compile(r"^\w\.?$")


@dataclass(frozen=True, slots=True)
class TitleForm:
    """One way of writing a title; an alias is a guess, less sure than the title itself."""

    text: str
    kind: Kind


def strip_parenthesis(title: str) -> str:
    """Return ``title`` without a closing parenthesis: "Theodred II (Bishop of Elmham)" gives "Theodred II"."""
    stripped = _PARENTHESIS.sub("", title.strip()).strip()
    return stripped if words_of(stripped) else title.strip()


def title_forms(title: str) -> list[TitleForm]:
    """Return the ways of writing ``title``: itself, without its parenthesis, then aliases; each text once.

    Aliases: "Maurice, Prince of Orange" gives "Maurice of Orange"; "Esme Stewart, 1st Duke of Lennox" gives
    "Esme Stewart" and "1st Duke of Lennox"; "John F. Kennedy" and "John Fitzgerald Kennedy" give "John Kennedy";
    "Al Gore Sr." gives "Al Gore"; "The Rolling Stones" gives "the Rolling Stones"; accents may be missing.
    (Dots and spaces of initials need no alias: texts are compared word by word.)
    """
    whole, stripped = title.strip(), strip_parenthesis(title)
    forms: dict[str, Kind] = {whole: "title", stripped: "title"}
    for alias in (*_comma_aliases(stripped), *_name_aliases(stripped), *_article_aliases(stripped)):
        forms.setdefault(alias, "alias")
    for form in list(forms):
        forms.setdefault(without_marks(form), "alias")
    return [TitleForm(text, kind) for text, kind in forms.items() if words_of(text)]


def _comma_aliases(title: str) -> list[str]:
    """Return the aliases of "Name, Rank of Place"."""
    name, comma, rest = title.partition(",")
    name, rest = name.strip(), rest.strip()
    if not comma or not rest or _SUFFIX.search(title):
        return []
    aliases = [name] if len(words_of(name)) >= 2 else []
    place = _OF_PLACE.search(rest)
    if place:
        aliases.append(f"{name} {place.group(1)}")
    if _ORDINAL.match(rest):
        aliases.append(rest)
    return aliases


def _name_aliases(title: str) -> list[str]:
    """Return the aliases of a person's name: without suffix, without middle initials, without one middle name."""
    aliases = []
    plain = _SUFFIX.sub("", title)
    if plain != title and len(words_of(plain)) >= 2:
        aliases.append(plain)
    parts = plain.split()
    if len(parts) < 3 or not all(part[0].isupper() for part in parts):
        return aliases
    middle = parts[1:-1]
    if all(_INITIAL.match(part) for part in middle) or (len(parts) == 3 and _reads_as_names(parts)):
        aliases.append(f"{parts[0]} {parts[-1]}")
    return aliases


def _reads_as_names(parts: Sequence[str]) -> bool:
    return all(part.isalpha() and part.lower() not in STOP_WORDS and not part.isupper() for part in parts)


def _article_aliases(title: str) -> list[str]:
    """Return "the X Y" for "The X Y": running text writes the article small."""
    return ["t" + title[1:]] if title.startswith("The ") and len(words_of(title)) >= 3 else []
