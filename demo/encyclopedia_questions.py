"""Questions about the invented world that take 2 to 4 articles to answer, with exactly those as labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from ..errors import QuestionsError
from .encyclopedia_world import ORGANISATIONS, WORKS, Entity

_T = TypeVar("_T")

_PHRASES: dict[str, tuple[str, ...]] = {
    "director": ("the director of {}", "the person who directed {}"),
    "composer": ("the composer of the music for {}", "the person who scored {}"),
    "studio": ("the studio that made {}", "the company that produced {}"),
    "source": ("the novel that {} is based on", "the book behind {}"),
    "author": ("the author of {}", "the person who wrote {}"),
    "publisher": ("the publisher of {}", "the company that published {}"),
    "performer": ("the performer of {}", "the person who sang {}"),
    "writer": ("the songwriter of {}",),
    "label": ("the record label of {}", "the label that released {}"),
    "founder": ("the founder of {}", "the person who founded {}"),
    "seat": ("the town that is the seat of {}",),
    "father": ("the father of {}",),
    "mother": ("the mother of {}",),
    "spouse": ("the spouse of {}",),
    "birthplace": ("the birthplace of {}", "the town where {} was born"),
    "deathplace": ("the town where {} died",),
    "school": ("the school attended by {}", "the school of {}"),
    "teacher": ("the teacher of {}",),
    "region": ("the region of {}",),
    "country": ("the country of {}",),
    "centre": ("the administrative centre of {}",),
    "capital": ("the capital of {}",),
}
"""How a question speaks of the other end of a link; these are the links that questions follow."""

_ENDINGS: dict[str, tuple[str, ...]] = {
    "author": ("Who wrote {}?", "Who is the author of {}?"),
    "publisher": ("Which company published {}?",),
    "founder": ("Who founded {}?", "Who is the founder of {}?"),
    "seat": ("In which town is {} based?",),
    "father": ("Who is the father of {}?",),
    "mother": ("Who is the mother of {}?",),
    "spouse": ("Who is the spouse of {}?", "To whom was {} married?"),
    "birthplace": ("Where was {} born?", "What is the birthplace of {}?"),
    "deathplace": ("Where did {} die?",),
    "school": ("Where was {} educated?", "Which school did {} attend?"),
    "teacher": ("Who taught {}?", "Who is the teacher of {}?"),
    "region": ("In which region is {}?",),
    "country": ("In which country is {}?",),
    "centre": ("What is the administrative centre of {}?",),
    "capital": ("What is the capital of {}?",),
    "born": ("When was {} born?", "What is the date of birth of {}?"),
    "died": ("When did {} die?", "What is the date of death of {}?"),
    "published": ("In which year was {} published?",),
    "founded": ("In which year was {} founded?",),
    "river": ("Which river flows through {}?",),
    "peak": ("What is the highest point of {}?",),
    "currency": ("What is the currency of {}?",),
}
_KIN = frozenset({"father", "mother", "spouse"})
_INFERENCES: dict[tuple[str, ...], str] = {
    ("father", "father"): "paternal grandfather",
    ("father", "mother"): "paternal grandmother",
    ("mother", "father"): "maternal grandfather",
    ("mother", "mother"): "maternal grandmother",
    ("spouse", "father"): "father-in-law",
    ("spouse", "mother"): "mother-in-law",
    ("father", "father", "father"): "great-grandfather in the male line",
    ("mother", "mother", "mother"): "great-grandmother in the female line",
}
_COMPARED: dict[str, tuple[str, str]] = {
    "film": ("Which film was released {}, {} or {}?", "earlier later"),
    "novel": ("Which novel was published {}, {} or {}?", "earlier later"),
    "song": ("Which song came out {}, {} or {}?", "first later"),
    "person": ("Who was born {}, {} or {}?", "first later"),
    **dict.fromkeys(ORGANISATIONS, ("Which was founded {}, {} or {}?", "first later")),
}
_MAKERS = {"film": "director", "novel": "author", "song": "performer"}
_TRIES = 60


@dataclass(frozen=True, slots=True)
class Draft:
    """A question with its labels.

    Attributes:
        key: two questions with one key ask the same.
        path: the articles needed, the named ones before those they lead to.
    """

    key: tuple[str, ...]
    text: str
    answer: str
    type: str
    path: tuple[Entity, ...]


def draw_questions(named: Sequence[Entity], count: int, rng: Random) -> list[Draft]:
    """Return ``count`` different questions that name only entities of ``named``.

    Of every 20, ten are compositional (five of 2 hops, three of 3, two of 4), three inferences, three comparisons
    and four bridge comparisons, as long as the world has them.

    Raises:
        QuestionsError: there are not that many.
    """
    drawer = _Drawer(named, rng)
    forms: list[Callable[[], Draft | None]] = [
        *[lambda: drawer.compositional(2)] * 5,
        *[lambda: drawer.compositional(3)] * 3,
        *[lambda: drawer.compositional(4)] * 2,
        *[drawer.inference] * 3,
        *[drawer.comparison] * 3,
        *[drawer.bridge_comparison] * 4,
    ]
    drafts: dict[tuple[str, ...], Draft] = {}
    while len(drafts) < count:
        before = len(drafts)
        for form in rng.sample(forms, len(forms)):
            draft = next(filter(None, (_new(form(), drafts) for _ in range(_TRIES))), None)
            if draft is not None and len(drafts) < count:
                drafts[draft.key] = draft
        if len(drafts) == before:
            raise QuestionsError(
                f"only {before} of {count} questions can be asked of {len(named)} articles: "
                "ask for fewer questions or more articles"
            )
    return list(drafts.values())


def _new(draft: Draft | None, drafts: dict[tuple[str, ...], Draft]) -> Draft | None:
    return None if draft is None or draft.key in drafts else draft


class _Drawer:
    """Draws questions; each method gives None when its luck did not hold."""

    def __init__(self, named: Sequence[Entity], rng: Random) -> None:
        self._rng = rng
        self._by_kind: dict[str, list[Entity]] = {}
        for entity in named:
            self._by_kind.setdefault(entity.kind, []).append(entity)

    def compositional(self, hops: int) -> Draft | None:
        """Follow ``hops - 1`` links from a named entity and ask for one thing more."""
        start = self._entity(self._pick((*WORKS, *WORKS, *ORGANISATIONS, "person", "person")))
        if start is None:
            return None
        path, relations, phrase = [start], list[str](), _call(start)
        for _ in range(hops - 1):
            links = [relation for relation in path[-1].links if _may_follow(relation, relations, _PHRASES)]
            if not links:
                return None
            relations.append(self._pick(links))
            phrase = self._pick(_PHRASES[relations[-1]]).format(phrase)
            path.append(path[-1].links[relations[-1]])
        last = path[-1]
        things = [thing for thing in (*last.links, *last.facts) if _may_follow(thing, relations, _ENDINGS)]
        if not things:
            return None
        asked = self._pick(things)
        text = self._pick(_ENDINGS[asked]).format(phrase)
        return self._chain(path, (*relations, asked), text, "compositional")

    def inference(self) -> Draft | None:
        """Ask for a relative by the name of the kinship."""
        relations = self._pick(tuple(_INFERENCES))
        person = self._entity("person")
        path: list[Entity] = []
        for relation in relations:
            if person is None:
                return None
            path.append(person)
            person = person.links.get(relation)
        if person is None:
            return None
        return self._chain(path, relations, f"Who is the {_INFERENCES[relations]} of {path[0].title}?", "inference")

    def comparison(self) -> Draft | None:
        """Ask which of two named entities is the older."""
        kind = self._pick(tuple(_COMPARED))
        first, second = self._entity(kind), self._entity(kind)
        if first is None or second is None or first.year == second.year:
            return None
        form, words = _COMPARED[kind]
        which = self._rng.random() < 0.5
        text = form.format(words.split()[which], first.title, second.title)
        answer = first if (first.year > second.year) == which else second
        return Draft(_pair_key("", first, second), text, answer.title, "comparison", (first, second))

    def bridge_comparison(self) -> Draft | None:
        """Ask which of two named works is by the older maker."""
        kind = self._pick(WORKS)
        first, second = self._entity(kind), self._entity(kind)
        if first is None or second is None:
            return None
        relation = _MAKERS[kind]
        makers = first.links[relation], second.links[relation]
        if makers[0].year == makers[1].year:
            return None
        which = self._rng.random() < 0.5
        born = ("born first", "born later")[which]
        text = f"Which {kind} has the {relation} who was {born}, {first.title} or {second.title}?"
        answer = first if (makers[0].year > makers[1].year) == which else second
        key = _pair_key(relation, first, second)
        return Draft(key, text, answer.title, "bridge_comparison", (first, second, *makers))

    def _chain(self, path: Sequence[Entity], relations: tuple[str, ...], text: str, kind: str) -> Draft | None:
        """Make a question of a path, unless some article of it tells what only another should."""
        end = path[-1].links.get(relations[-1])
        answer = path[-1].facts[relations[-1]] if end is None else end.title
        whole = path if end is None else (*path, end)
        if not _has_no_short_cut(whole):
            return None
        return Draft((path[0].id, *relations), text, answer, kind, tuple(path))

    def _entity(self, kind: str) -> Entity | None:
        return self._pick(self._by_kind[kind]) if kind in self._by_kind else None

    def _pick(self, choices: Sequence[_T]) -> _T:
        return choices[int(self._rng.random() * len(choices))]


def _may_follow(relation: str, before: Sequence[str], table: Mapping[str, object]) -> bool:
    """Return whether a question can go on with ``relation``: none twice, and kin of kin is left to inferences."""
    if relation not in table or relation in before:
        return False
    return not (before and before[-1] in _KIN and relation in _KIN)


def _has_no_short_cut(path: Sequence[Entity]) -> bool:
    """Return whether every article of a path names its successor and no other part of the path."""
    for place, entity in enumerate(path):
        others = [*path[:place], *path[place + 2 :]]
        if any(named is other for named in entity.links.values() for other in others):
            return False
    return len(set(path)) == len(path)


def _pair_key(relation: str, first: Entity, second: Entity) -> tuple[str, ...]:
    return (relation, *sorted((first.id, second.id)))


def _call(entity: Entity) -> str:
    return f"the {entity.kind} {entity.title}" if entity.kind in WORKS else entity.title
