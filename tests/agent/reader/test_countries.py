"""Countries are known by their names, their people, and their states."""

from __future__ import annotations

import tomllib
from importlib import resources

from trailhound.agent.reader._passage_analysis import countries_of, is_country


def test_a_nationality_and_a_state_stand_for_their_country() -> None:
    assert countries_of("An American director, born in West Virginia, who died in Swedish Lapland.") == [
        "United States",
        "Sweden",
    ]


def test_a_longer_name_is_not_taken_for_a_shorter() -> None:
    assert countries_of("a North Korean film") == ["North Korea"]
    assert countries_of("shot in North Korea") == ["North Korea"]
    assert countries_of("a Nigerian village") == ["Nigeria"]
    assert countries_of("the Chadwick family, Malinda and Perugia") == []


def test_what_counts_as_the_name_of_a_country() -> None:
    assert is_country("Italian")
    assert is_country("Texas")
    assert not is_country("Verona")


def test_no_name_belongs_to_two_countries() -> None:
    table = tomllib.loads(resources.files("trailhound.agent.reader").joinpath("countries.toml").read_text("utf-8"))
    names = [name for country, own in table.items() for name in (country, *own)]
    assert len(names) == len(set(names)) > 300
    assert all(name == name.strip() and name[0].isupper() for name in names)
