"""The invented world behind the encyclopedia: names, who is whose child, who made what, what lies where."""

from __future__ import annotations

import tomllib
from bisect import bisect_left
from calendar import month_name
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
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
    """

    def __init__(self, rng: Random, people: int, works: int) -> None:
        self._rng = rng
        self._parts: dict[str, list[str]] = words()["names"]
        self._stems: set[str] = set()
        self.givens = [self._given("male_ends"), self._given("female_ends")]
        self.surnames = [self.ending_in("surname") for _ in range(8 + people // 8)]
        self._adjectives = self._some("adjectives", 12 + works // 8)
        self._nouns = self._some("nouns", 16 + works // 6)

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


WORKS = ("film", "novel", "song")
ORGANISATIONS = ("studio", "publisher", "label", "school")

_BEGINNINGS = {"film": "released", "novel": "published", "song": "released", **dict.fromkeys(ORGANISATIONS, "founded")}
"""What the year of an entity is the year of."""

_INITIALS = "ABCDEFGHIJKLMNOPRSTUVWYZ"
_LAST_BIRTH = 1985
_LAST_DEATH = 2020
_OFTEN = {"film director": 4, "composer": 3, "novelist": 4, "singer": 4}
_ROLES = [*Counter(_OFTEN).elements(), "architect", "botanist", "chemist", "engineer", "politician"]


@dataclass(slots=True, eq=False)
class Entity:
    """One article's subject; two are the same only when they are one object.

    Attributes:
        role: the occupation of a person, else the kind.
        name: may be shared; ``title`` is not.
        year: of birth, release or foundation; 0 for places.
        links: relation -> the one other entity; the article of this entity states it, and no other article does.
        facts: likewise for what is no entity: dates, a river, a currency.
    """

    kind: str
    role: str
    name: str
    year: int = 0
    female: bool = False
    links: dict[str, Entity] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    title: str = ""
    id: str = ""

    @property
    def family(self) -> str:
        """The kind, or "organisation" for all kinds of those."""
        return "organisation" if self.kind in ORGANISATIONS else self.kind


def build_world(articles: int, rng: Random) -> list[Entity]:
    """Return ``articles`` entities (at least 60) in the order of their articles, which says nothing about them."""
    places, organisations, works = max(12, articles // 8), max(8, articles // 12), max(15, articles * 32 // 100)
    people = articles - places - organisations - works
    world = _World(rng, people, works)
    world.add_places(places)
    world.add_people(people)
    world.add_organisations(organisations)
    world.add_schooling()
    world.add_novels(works * 35 // 100)
    world.add_songs(works * 27 // 100)
    world.add_films(articles - len(world.entities))
    entities = world.entities
    shared = Counter(entity.name for entity in entities)
    for entity in entities:
        entity.title = entity.name if shared[entity.name] == 1 else f"{entity.name} ({entity.role})"
    rng.shuffle(entities)
    for row, entity in enumerate(entities):
        entity.id = f"p{row:05d}"
        if entity.kind in _BEGINNINGS:
            entity.facts[_BEGINNINGS[entity.kind]] = str(entity.year)
    return entities


class _World:
    """The world while it grows; people are kept in the order of their birth."""

    def __init__(self, rng: Random, people: int, works: int) -> None:
        self.entities: list[Entity] = []
        self._rng = rng
        self._names = NameMaker(rng, people, works)
        self._used: set[tuple[str, str]] = set()
        self._towns: list[Entity] = []
        self._people: list[Entity] = []
        self._by_role: dict[str, list[Entity]] = {}
        self._organisations: dict[str, list[Entity]] = {kind: [] for kind in ORGANISATIONS}
        self._novels: list[Entity] = []

    def add_places(self, count: int) -> None:
        """Add countries, their regions and the towns in these; capitals and centres are among the towns."""
        countries = [Entity("country", "country", self._names.ending_in("country")) for _ in range(2 + count // 50)]
        regions = [Entity("region", "region", self._names.region()) for _ in range(3 + count // 9)]
        towns = [
            Entity("town", "town", self._names.ending_in("town")) for _ in range(count - len(countries) - len(regions))
        ]
        for index, region in enumerate(regions):
            region.links["country"] = countries[index % len(countries)]
            region.facts["peak"] = f"Mount {self._names.stem()}"
        for index, town in enumerate(towns):
            region = regions[index % len(regions)]
            town.links["region"] = region
            town.links["neighbour"] = towns[index - len(regions)]
            town.facts["river"] = f"the {self._names.stem()} river"
            region.links.setdefault("centre", town)
            if index >= len(regions) // 2:
                region.links["country"].links.setdefault("capital", town)
        for country in countries:
            country.facts["currency"] = f"the {self._names.stem().lower()}"
        self._towns = towns
        self.entities += [*countries, *regions, *towns]

    def add_people(self, count: int) -> None:
        """Add families: a child is born 26 to 38 years after one parent, a couple within six years of each other."""
        span = min(130, 60 + count)
        per_year = count / span
        roles: list[str] = []
        partners: dict[int, int] = {}
        single: dict[bool, list[int]] = {False: [], True: []}
        for index in range(count):
            if not roles:
                roles = self._rng.sample(_ROLES, len(_ROLES))
            year = _LAST_BIRTH - span + 1 + int(index / per_year)
            parent = index - int(per_year * (26 + 12 * self._rng.random()))
            child = self._person(roles.pop(), year, self._couple(parent, partners))
            self._marry(index, child, single, partners)
        self.entities += self._people

    def add_organisations(self, count: int) -> None:
        """Add studios, publishers, labels and schools, each with a founder and a seat."""
        for index in range(count):
            kind = ORGANISATIONS[index % len(ORGANISATIONS)]
            founder = pick(self._rng, self._people)
            organisation = Entity(kind, kind, self._names.ending_in(kind, " "), founder.year + self._between(24, 45))
            organisation.links |= {"founder": founder, "seat": pick(self._rng, self._towns)}
            self._organisations[kind].append(organisation)
            self.entities.append(organisation)

    def add_schooling(self) -> None:
        """Give people a school or a teacher who was 10 to 30 years older."""
        people, rng = self._people, self._rng
        per_year = len(people) / (people[-1].year - people[0].year + 1)
        for index, person in enumerate(people):
            if rng.random() < 0.55:
                school = pick(self._rng, self._organisations["school"])
                if school.links["founder"] is not person:
                    person.links["school"] = school
            teacher = index - int(per_year * (10 + 20 * rng.random())) - 1
            if teacher >= 0 and rng.random() < 0.5 and people[teacher] not in person.links.values():
                person.links["teacher"] = people[teacher]

    def add_novels(self, count: int) -> None:
        """Add novels; they are kept in the order of their years, for the films made from them."""
        for _ in range(count):
            author = pick(self._rng, self._by_role["novelist"])
            novel = self._work("novel", author)
            novel.links |= {"author": author, "publisher": pick(self._rng, self._organisations["publisher"])}
            if self._rng.random() < 0.6:
                novel.links["setting"] = pick(self._rng, self._towns)
            self._novels.append(novel)
        self._novels.sort(key=lambda novel: novel.year)

    def add_songs(self, count: int) -> None:
        """Add songs with a performer, who did not write them, and a label."""
        for _ in range(count):
            performer = pick(self._rng, self._by_role["singer"])
            song = self._work("song", performer)
            song.links |= {"performer": performer, "writer": self._contemporary("composer", performer)}
            song.links["label"] = pick(self._rng, self._organisations["label"])

    def add_films(self, count: int) -> None:
        """Add films; about half are made from an older novel, and half of these share its title."""
        years = [novel.year for novel in self._novels]
        for _ in range(count):
            director = pick(self._rng, self._by_role["film director"])
            film = self._work("film", director)
            film.links |= {"director": director, "composer": self._contemporary("composer", director)}
            film.links["studio"] = pick(self._rng, self._organisations["studio"])
            film.links["lead"] = self._contemporary("singer", director)
            if self._rng.random() < 0.5:
                film.links["location"] = pick(self._rng, self._towns)
            older = bisect_left(years, film.year)
            if older and self._rng.random() < 0.55:
                film.links["source"] = novel = self._novels[self._between(0, older)]
                if self._rng.random() < 0.5 and self._is_new(novel.name, "film"):
                    film.name = novel.name

    def _couple(self, parent: int, partners: dict[int, int]) -> tuple[Entity, Entity] | None:
        """Return father and mother, or None when the one chosen never married."""
        if parent < 0 or parent not in partners:
            return None
        first, second = self._people[parent], self._people[partners[parent]]
        return (second, first) if first.female else (first, second)

    def _person(self, role: str, year: int, parents: tuple[Entity, Entity] | None) -> Entity:
        female = self._rng.random() < 0.5
        surname = parents[0].name.split()[-1] if parents else pick(self._rng, self._names.surnames)
        givens = self._names.givens[female]
        given = pick(self._rng, givens)
        if parents and not female and self._rng.random() < 0.08:
            given = parents[0].name.split()[0]
        name = f"{given} {surname}"
        while not self._is_new(name, role):
            name = f"{given} {pick(self._rng, _INITIALS)}. {surname}"
            given = pick(self._rng, givens)
        person = Entity("person", role, name, year, female)
        person.facts["born"] = self._date(year)
        died = year + self._between(51, 92)
        if died <= _LAST_DEATH:
            person.facts["died"] = self._date(died)
            if self._rng.random() < 0.6:
                person.links["deathplace"] = pick(self._rng, self._towns)
        if self._rng.random() < 0.95:
            person.links["birthplace"] = pick(self._rng, self._towns)
        if parents:
            person.links |= {"father": parents[0], "mother": parents[1]}
        self._people.append(person)
        self._by_role.setdefault(role, []).append(person)
        return person

    def _marry(self, index: int, person: Entity, single: dict[bool, list[int]], partners: dict[int, int]) -> None:
        """Marry ``person`` to someone of nearly the same age, or leave them to be asked later."""
        pool = single[not person.female]
        while pool and self._people[pool[0]].year < person.year - 6:
            pool.pop(0)
        if pool and self._rng.random() < 0.8:
            other = pool.pop(self._between(0, min(len(pool), 20)))
            father = person.links.get("father")
            if father is None or self._people[other].links.get("father") is not father:
                partners[index], partners[other] = other, index
                person.links["spouse"] = self._people[other]
                return
        single[person.female].append(index)

    def _work(self, kind: str, maker: Entity) -> Entity:
        name, year = self._names.work(), maker.year + self._between(25, 51)
        while not self._is_new(name, kind):
            name = self._names.work()
        work = Entity(kind, kind, name, year)
        self.entities.append(work)
        return work

    def _is_new(self, name: str, role: str) -> bool:
        """Claim a name; False when its title could not be told from another's."""
        before = len(self._used)
        self._used.add((name, role))
        return len(self._used) > before

    def _contemporary(self, role: str, person: Entity) -> Entity:
        """Return someone of ``role`` who was born within some years of ``person``."""
        choices = self._by_role[role]
        share = (person.year - self._people[0].year) / (self._people[-1].year - self._people[0].year)
        place = int((share + 0.1 * (self._rng.random() - 0.5)) * len(choices))
        return choices[min(max(place, 0), len(choices) - 1)]

    def _date(self, year: int) -> str:
        return f"{self._between(1, 29)} {pick(self._rng, month_name[1:])} {year}"

    def _between(self, low: int, high: int) -> int:
        """Return a whole number in ``[low, high)``."""
        return low + int(self._rng.random() * (high - low))
