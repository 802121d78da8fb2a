"""The articles of the encyclopedia: each says in varied sentences what links and facts its subject has, no others."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from .encyclopedia_world import ORGANISATIONS, Entity

_Sentences = tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
"""What must be known for a sentence, and the ways of saying it; {x} stands for a link's title or a fact."""

_OPENINGS: dict[str, tuple[str, ...]] = {
    "living": (
        "{name} (born {born}) is {a} {role}.",
        "{name}, born on {born}, is {a} {role} of some renown.",
        "{name} is {a} {role} (born {born}).",
    ),
    "dead": (
        "{name} ({born} – {died}) was {a} {role}.",
        "{name} (born {born}, died {died}) was {a} {role} remembered for a {quality} style.",
        "{name}, who lived from {born} to {died}, worked as {a} {role}.",
    ),
    "film": (
        "{name} is a {released} {quality} drama film directed by {director}.",
        "{name} is a film of {released}. {director} directed it from a script that took years to finish.",
        "{name} is a {quality} comedy released in {released} under the direction of {director}.",
        "Released in {released}, {name} is a feature film; {director} was its director.",
    ),
    "novel": (
        "{name} is a {quality} novel by {author}, first published in {published}.",
        "{name} is a book of {published}. It was written by {author} over two winters.",
        "{name} is a {published} novel whose author is {author}.",
    ),
    "song": (
        "{name} is a {released} song recorded by {performer}.",
        "{name} is a {quality} ballad, sung by {performer} and issued in {released}.",
        "{name} is a song performed by {performer}; it came out in {released}.",
    ),
    "studio": (
        "{name} is a film studio founded in {founded} by {founder}.",
        "{name} is a production company for films. {founder} established it in {founded}.",
    ),
    "publisher": (
        "{name} is a publishing house founded in {founded} by {founder}.",
        "{name} is a publisher of {quality} books, which {founder} set up in {founded}.",
    ),
    "label": (
        "{name} is a record label founded in {founded} by {founder}.",
        "{name} is a music label. It was started by {founder} in {founded}.",
    ),
    "school": (
        "{name} is a school of arts and sciences founded in {founded} by {founder}.",
        "{name} is a place of learning that {founder} opened in {founded}.",
    ),
    "town": (
        "{name} is a town in {region}, on the banks of {river}.",
        "{name} is a {quality} market town of {region}. It lies where {river} bends.",
        "{name} is a town on {river} in {region}.",
    ),
    "region": (
        "{name} is a region of {country}.",
        "{name} is a {quality} district in {country}, mostly moor and farmland.",
    ),
    "country": (
        "{name} is a country whose capital is {capital}.",
        "{name} is a small state; the seat of its government is in {capital}.",
    ),
}
_PERSON: _Sentences = (
    (
        ("birthplace",),
        (
            "{He} was born in {birthplace}.",
            "{He} came from {birthplace}, where the family kept a shop.",
            "A native of {birthplace}, {he} left home early.",
            "The birth register of {birthplace} has {his} name.",
        ),
    ),
    (
        ("father", "mother"),
        (
            "{He} was the {child} of {father} and {mother}.",
            "{His} father was {father}, {his} mother {mother}.",
            "{His} parents were {father} and {mother}.",
        ),
    ),
    (
        ("school",),
        (
            "{He} was educated at {school}.",
            "{He} studied for four years at {school} and left with honours.",
            "{He} attended {school}.",
        ),
    ),
    (
        ("teacher",),
        (
            "{He} took lessons from {teacher}.",
            "{He} was a pupil of {teacher}, to whom {he} owed much.",
            "{His} teacher was {teacher}.",
        ),
    ),
    (
        ("spouse",),
        (
            "{He} married {spouse}.",
            "{He} was married to {spouse}.",
            "{He} and {spouse} were husband and wife for many years.",
        ),
    ),
    (("deathplace",), ("{He} died in {deathplace}.", "{He} spent {his} last days in {deathplace} and died there.")),
)
_WORKS_AND_PLACES: dict[str, _Sentences] = {
    "film": (
        (("source",), ("It is based on {source}.", "The script follows {source}.", "It was adapted from {source}.")),
        (
            ("composer",),
            ("The music is by {composer}.", "{composer} composed the score.", "Its score is by {composer}."),
        ),
        (("studio",), ("It was produced by {studio}.", "{studio} made it on a small budget.")),
        (("lead",), ("The cast is led by {lead}.", "It stars {lead} in a rare acting part.")),
        (("location",), ("Much of it was shot around {location}.", "Some scenes were filmed in {location}.")),
    ),
    "novel": (
        (("publisher",), ("It was published by {publisher}.", "{publisher} brought out the first edition.")),
        (("setting",), ("The story is set in {setting}.", "Most of it takes place in {setting}.")),
    ),
    "song": (
        (("writer",), ("It was written by {writer}.", "Words and music are by {writer}.", "{writer} wrote it.")),
        (("label",), ("It was released by {label}.", "{label} put it out as a single.")),
    ),
    "organisation": (
        (("seat",), ("It is based in {seat}.", "Its seat is in {seat}.", "The head office stands in {seat}.")),
    ),
    "town": ((("neighbour",), ("A road leads from here to {neighbour}.", "Its old rival is {neighbour}.")),),
    "region": (
        (("centre",), ("The administrative centre is {centre}.", "It is governed from {centre}.")),
        (("peak",), ("The highest point is {peak}.", "{peak} rises above all its hills.")),
    ),
    "country": ((("currency",), ("The currency is {currency}.", "People pay with {currency}.")),),
}
_FILLERS: dict[str, tuple[str, ...]] = {
    "person": (
        "Older registers list {him} as {surname}, {given}.",
        "Friends described {him} as a {quality} and {other} companion.",
        "{His} early work drew little notice, and most of it is lost.",
        "A {quality} portrait of {him} hangs in the town hall.",
        "{He} kept a diary that was printed long afterwards.",
        "{He} refused two prizes and accepted a third.",
        "Critics called {his} later work {other}, which {he} took as praise.",
    ),
    "film": (
        "Critics found it {quality}, audiences {other}.",
        "The first print was damaged in a fire, and one reel had to be shot again.",
        "It won a prize for its {quality} photography.",
        "It was a modest success and is still shown in film clubs.",
    ),
    "novel": (
        "It is told by a {quality} narrator who is never named.",
        "Reviewers praised its {other} prose.",
        "It was translated into nine languages and is read in schools.",
        "A sequel was announced but never written.",
    ),
    "song": (
        "Its {quality} melody was borrowed from a folk tune.",
        "It stayed in the charts for eleven weeks.",
        "Several {other} versions were recorded later.",
        "It is often played at weddings.",
    ),
    "organisation": (
        "It is known for a {quality} house style.",
        "It nearly closed twice and was saved by its {other} staff.",
        "A small museum tells its history.",
        "It employs about forty people.",
    ),
    "place": (
        "It is known for {quality} cheese and {other} winters.",
        "A fair is held there every autumn.",
        "The old walls were pulled down to make room for the railway.",
        "Visitors come for the {quality} light.",
    ),
}
_QUALITIES = (
    "bold",
    "calm",
    "careful",
    "cheerful",
    "curious",
    "dry",
    "frugal",
    "gloomy",
    "graceful",
    "harsh",
    "humble",
    "lively",
    "lofty",
    "mellow",
    "modest",
    "nervous",
    "plain",
    "playful",
    "proud",
    "rich",
    "rough",
    "sharp",
    "shy",
    "simple",
    "slow",
    "sober",
    "solemn",
    "spare",
    "steady",
    "stern",
    "strange",
    "subtle",
    "sunny",
    "tense",
    "tidy",
    "vivid",
    "warm",
    "wild",
    "witty",
)


def write_article(entity: Entity, rng: Random) -> str:
    """Return the article's text: an opening, one sentence for each thing known, and one or two that say nothing.

    Other articles are always named by their whole title.
    """
    fields = {relation: other.title for relation, other in entity.links.items()}
    fields |= entity.facts
    fields |= {
        "name": entity.name,
        "quality": _QUALITIES[int(rng.random() * len(_QUALITIES))],
        "other": _QUALITIES[int(rng.random() * len(_QUALITIES))],
    }
    if entity.kind == "person":
        fields |= _personal(entity)
        opening, groups, fillers = "dead" if "died" in fields else "living", _PERSON, _FILLERS["person"]
    else:
        family = "organisation" if entity.kind in ORGANISATIONS else entity.kind
        opening, groups = entity.kind, _WORKS_AND_PLACES[family]
        fillers = _FILLERS.get(family) or _FILLERS["place"]
    sentences = [_say(ways, fields, rng) for needs, ways in groups if all(relation in fields for relation in needs)]
    first = int(rng.random() * len(fillers))
    for step in range(1 + int(rng.random() * 2)):
        sentence = fillers[(first + step) % len(fillers)].format_map(fields)
        sentences.insert(int(rng.random() * (len(sentences) + 1)), sentence)
    return " ".join([_say(_OPENINGS[opening], fields, rng), *sentences])


def _personal(person: Entity) -> dict[str, str]:
    """Return the words that speak of a person."""
    given, _, surname = person.name.rpartition(" ")
    he, his, him = ("she", "her", "her") if person.female else ("he", "his", "him")
    return {
        "given": given,
        "surname": surname,
        "role": person.role,
        "a": "an" if person.role[0] in "aeiou" else "a",
        "He": he.capitalize(),
        "he": he,
        "His": his.capitalize(),
        "his": his,
        "him": him,
        "child": "daughter" if person.female else "son",
    }


def _say(ways: tuple[str, ...], fields: Mapping[str, str], rng: Random) -> str:
    return ways[int(rng.random() * len(ways))].format_map(fields)
