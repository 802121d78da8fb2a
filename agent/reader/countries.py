"""Which countries a text speaks of: by name, by nationality, or by a state or province of its own."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib import resources


@cache
def _names() -> tuple[dict[str, str], re.Pattern[str]]:
    """Return the country of each name, and a pattern of all names, the longest first."""
    table = tomllib.loads(resources.files(__package__).joinpath("countries.toml").read_text("utf-8"))
    country_of = {name: country for country, names in table.items() for name in (country, *names)}
    longest_first = sorted(country_of, key=lambda name: (-len(name), name))
    return country_of, re.compile(r"\b(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)")


def countries_of(text: str) -> list[str]:
    """Return the countries that a text speaks of, in the order of their first mention, each once."""
    country_of, pattern = _names()
    return list(dict.fromkeys(country_of[match.group()] for match in pattern.finditer(text)))


def is_country(text: str) -> bool:
    """Return whether ``text`` is the name of a country, or of what belongs to one."""
    return text in _names()[0]
