"""The words of the invented encyclopedia: names of people, places, works and organisations."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from random import Random
from typing import Any, TypeVar

_T = TypeVar("_T")
_CROWDED = 32
"""Names in a row that are all taken."""


@cache
def words() -> dict[str, Any]:
    """Return the tables of ``encyclopedia.toml``."""
    return tomllib.loads(resources.files(__package__).joinpath("encyclopedia.toml").read_text("utf-8"))


def pick(rng: Random, choices: Sequence[_T]) -> _T:
    """Return one of the choices."""
    return choices[int(rng.random() * len(choices))]


class NameMaker:
    """Makes names from ``rng``; no stem of a place, a surname or an organisation is made twice.

    Pools grow with the encyclopedia, so that any size has families, namesakes and titles that share words.

    Args:
        rng: decides everything.
        people: how many people there will be.
        works: how many works there will be.
    """

    def __init__(self, rng: Random, people: int, works: int) -> None:
        self._rng = rng
        self._parts: dict[str, list[str]] = words()["names"]
        self._stems: set[str] = set()
        self._givens = [self._given("male_ends"), self._given("female_ends")]
        self._surnames = [self.ending_in("surname") for _ in range(8 + people // 8)]
        self._adjectives = self._some("adjectives", 12 + works // 8)
        self._nouns = self._some("nouns", 16 + works // 6)

    def surname(self) -> str:
        """Return the name of one of the families."""
        return pick(self._rng, self._surnames)

    def given(self, female: bool) -> str:
        """Return a given name."""
        return pick(self._rng, self._givens[female])

    def ending_in(self, kind: str, between: str = "") -> str:
        """Return a new stem with an ending of a kind: "surname", "town", "country", or of an organisation."""
        return self.stem() + between + pick(self._rng, self._parts[f"{kind}_ends"])

    def region(self) -> str:
        """Return the name of a region, two words."""
        return pick(self._rng, self._parts["region_forms"]).format(self.stem() + "ia")

    def work(self) -> str:
        """Return the title of a film, a novel or a song; may come again."""
        rng, first, second = self._rng, pick(self._rng, self._nouns), pick(self._rng, self._nouns)
        quality, form = pick(rng, self._adjectives), rng.random()
        if form < 0.35:
            return f"The {quality} {first}"
        if form < 0.55:
            return f"{quality} {first}"
        if form < 0.8 and first != second:
            return f"{first} of the {quality} {second}"
        return f"The {first} and the {second}" if first != second else f"The Other {first}"

    def stem(self) -> str:
        """Return a capitalised syllable that was not used before, or two when the one is taken, or three and so on."""
        stem, tried, front = self._syllable(), 0, 1
        while stem in self._stems:
            tried += 1
            front += tried % _CROWDED == 0  # so few are free that looking on costs more than a longer name
            stem = "".join(self._syllable(open_ended=True) for _ in range(front)) + self._syllable()
        self._stems.add(stem)
        return stem.capitalize()

    def _given(self, ends: str) -> list[str]:
        made = [self._syllable().capitalize() + pick(self._rng, self._parts[ends]) for _ in range(160)]
        return list(dict.fromkeys(made))

    def _syllable(self, open_ended: bool = False) -> str:
        sounds = ("onsets", "vowels") if open_ended else ("onsets", "vowels", "codas")
        return "".join(pick(self._rng, self._parts[sound]) for sound in sounds)

    def _some(self, name: str, count: int) -> list[str]:
        """Return ``count`` of the words, capitalised, or all when there are fewer."""
        known = self._parts[name]
        return [word.capitalize() for word in self._rng.sample(known, min(count, len(known)))]
