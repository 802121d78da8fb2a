"""Words for a question other than those of the passage: verbs in their forms, synonyms, words left out."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from ...retrievers.words._analyser import STOP_WORDS

_ASIDE = re.compile(r"\s*(?:\([^()]*\)|\[[^\[\]]*\])")
_ADVERB = re.compile(r"\b(?!only\b|early\b|daily\b|family\b|supply\b|apply\b|reply\b|rely\b|fly\b)[a-z]{3,}ly\s")
_MARKS = re.compile(r"[^\w\s'’.+#%$€£@:/_-]+|(?<=\w)[.:](?=\s|$)|(?<=\s)[-–:./](?=\s|$)")


@cache
def everyday() -> Mapping[str, Any]:
    """Return the tables of ``everyday.toml``."""
    return tomllib.loads(resources.files(__package__).joinpath("everyday.toml").read_text("utf-8"))


@cache
def verbs() -> frozenset[str]:
    """Return the verbs that are known, as they stand in a dictionary."""
    return frozenset(everyday()["verbs"])


@cache
def verb_of(word: str) -> str:
    """Return the verb that a word in lower case is a form of ("uses", "using", "used"), or ""."""
    if word in verbs():
        return word
    if word in everyday()["irregular"]:
        return str(everyday()["irregular"][word])
    for ending, others in (("ies", "y"), ("ied", "y"), ("es", " "), ("s", " "), ("ed", " e"), ("ing", " e")):
        if word.endswith(ending):
            stem = word[: -len(ending)]
            doubled = stem[:-1] if len(stem) > 2 and stem[-1] == stem[-2] else stem
            for base in (*(stem + other.strip() for other in others), doubled):
                if base in verbs():
                    return base
    return ""


@cache
def _synonyms(table: str) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for group in everyday()["synonyms"][table]:
        for word in group:
            if " " not in word:
                found.setdefault(word, tuple(other for other in group if other != word))
    return found


def reworded(text: str, rng: np.random.Generator, share: float = 0.35, table: str = "groups") -> str:
    """Return the text with that share of its everyday words said in another way, asides and some adverbs left out."""
    text = _ASIDE.sub("", text)
    if rng.random() < 0.5:
        text = _ADVERB.sub("", text)
    return " ".join(_other(word, rng, _synonyms(table)) if rng.random() < share else word for word in text.split())


def _other(word: str, rng: np.random.Generator, synonyms: Mapping[str, tuple[str, ...]]) -> str:
    plain, plural = (word, "") if word in synonyms else (word.removesuffix("s"), "s" if word.endswith("s") else "")
    others = tuple(other for other in synonyms.get(plain, ()) if not plural or " " not in other)
    if not others:
        return word
    chosen = others[int(rng.integers(len(others)))]
    if plural and chosen != "sales":
        chosen += "es" if chosen.endswith(("s", "x", "ch", "sh")) else "s"
    return chosen


def bare(text: str) -> list[str]:
    """Return the words of a text without the marks around them."""
    words = (word.strip("'’\"-") for word in _MARKS.sub(" ", text).split())
    return [word for word in words if word and any(map(str.isalnum, word))]


def content(words: Sequence[str]) -> list[str]:
    """Return the words that say something, each once."""
    return list(dict.fromkeys(word for word in words if word.lower() not in STOP_WORDS))


def fill(kind: str, rng: np.random.Generator, **values: str) -> str:
    """Return one of the ways in which people ask for something of this kind, with the values put in."""
    ways: list[str] = everyday()["asks"][kind]
    text = ways[int(rng.integers(len(ways)))].format(**values)
    return text[:1].upper() + text[1:] if text.endswith(("?", ".")) else text


_I_DO = re.compile(
    r"\b[Yy]ou(?=\s(?:can|could|are|were|have|need|want|will|would|should|may|might|must|do|did|use|run|get)\b)"
)


def said_by_me(text: str) -> str:
    """Return what is said to "you" as the one who asks would say it: "your account" as "my account"."""
    text = _I_DO.sub("I", text).replace("I are ", "I am ").replace("I were ", "I was ")
    for theirs, mine in (("your", "my"), ("yours", "mine"), ("yourself", "myself"), ("you", "me")):
        text = re.sub(rf"\b{theirs}\b", mine, text)
    return text


def small_start(text: str) -> str:
    """Return the text with a small first letter, unless it seems to be a name or an abbreviation."""
    first, *others = text.split(" ")
    if first in ("The", "A", "An", "Our", "These", "This", "How", "What", "Why", "Which", "When", "In"):
        return first.lower() + text[len(first) :]
    named = first == "I" or any(map(str.isupper, first[1:])) or any(word[:1].isupper() for word in others[:2])
    return text if named else text[:1].lower() + text[1:]
