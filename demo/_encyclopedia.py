"""A small fictional encyclopedia with multi-hop questions, for demonstrations, tests and measurements of scale.

Everything in it is invented: people with families, films, novels and songs with their makers, organisations with
their founders, towns, regions and countries. Articles name each other by title; a sub-fact stands in one article only.
Questions take 2 to 4 articles to answer, with exactly those as labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from ..errors import CorpusError, QuestionsError
from ..retrievers._atomic_file import write_json_lines
from ..retrievers.questions._labelled import write_questions
from ..retrievers.records import Document, Qrels, Question
from ._encyclopedia_world import ORGANISATIONS, WORKS, Entity, build_world, pick, words

_KIN = frozenset({"father", "mother", "spouse"})
_MAKERS = {"film": "director", "novel": "author", "song": "performer"}
_TRIES = 60


@dataclass(frozen=True, slots=True)
class Draft:
    """A question with the articles it needs, the named ones first; two with one ``key`` ask the same."""

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
    maker = _QuestionMaker(named, rng)
    forms: list[Callable[[], Draft | None]] = [
        *[lambda: maker.compositional(2)] * 5,
        *[lambda: maker.compositional(3)] * 3,
        *[lambda: maker.compositional(4)] * 2,
        *[maker.inference] * 3,
        *[maker.comparison] * 3,
        *[maker.bridge_comparison] * 4,
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


class _QuestionMaker:
    """Draws questions; each method gives None when its luck did not hold."""

    def __init__(self, named: Sequence[Entity], rng: Random) -> None:
        self._rng = rng
        self._by_kind: dict[str, list[Entity]] = {}
        for entity in named:
            self._by_kind.setdefault(entity.kind, []).append(entity)

    def compositional(self, hops: int) -> Draft | None:
        """Follow ``hops - 1`` links from a named entity and ask for one thing more."""
        start = self._entity(pick(self._rng, (*WORKS, *WORKS, *ORGANISATIONS, "person", "person")))
        if start is None:
            return None
        path, relations, phrase = [start], list[str](), _call(start)
        for _ in range(hops - 1):
            links = [relation for relation in path[-1].links if _may_follow(relation, relations, words()["phrases"])]
            if not links:
                return None
            relations.append(pick(self._rng, links))
            phrase = pick(self._rng, words()["phrases"][relations[-1]]).format(phrase)
            path.append(path[-1].links[relations[-1]])
        last = path[-1]
        things = [thing for thing in (*last.links, *last.facts) if _may_follow(thing, relations, words()["endings"])]
        if not things:
            return None
        asked = pick(self._rng, things)
        text = pick(self._rng, words()["endings"][asked]).format(phrase)
        return self._chain(path, (*relations, asked), text, "compositional")

    def inference(self) -> Draft | None:
        """Ask for a relative by the name of the kinship."""
        kinship, relations = pick(self._rng, tuple(words()["kinships"].items()))
        person = self._entity("person")
        path: list[Entity] = []
        for relation in relations:
            if person is None:
                return None
            path.append(person)
            person = person.links.get(relation)
        if person is None:
            return None
        return self._chain(path, tuple(relations), f"Who is the {kinship} of {path[0].title}?", "inference")

    def comparison(self) -> Draft | None:
        """Ask which of two named entities is the older."""
        kind, (form, *ages) = pick(self._rng, tuple(words()["compared"].items()))
        first, second = self._entity(kind), self._entity(kind)
        if first is None or second is None or first.year == second.year:
            return None
        which = self._rng.random() < 0.5
        text = form.format(ages[which], first.title, second.title)
        answer = first if (first.year > second.year) == which else second
        return Draft(_pair_key("", first, second), text, answer.title, "comparison", (first, second))

    def bridge_comparison(self) -> Draft | None:
        """Ask which of two named works is by the older maker."""
        kind = pick(self._rng, WORKS)
        first, second = self._entity(kind), self._entity(kind)
        if first is None or second is None:
            return None
        relation = _MAKERS[kind]
        makers = first.links[relation], second.links[relation]
        if makers[0].year == makers[1].year:
            return None
        which = self._rng.random() < 0.5
        born = ("first", "later")[which]
        text = f"Which {kind} has the {relation} who was born {born}, {first.title} or {second.title}?"
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
        return pick(self._rng, self._by_kind[kind]) if kind in self._by_kind else None


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


MIN_ARTICLES = 60

_SHARES = {"train": 0.6, "validation": 0.15, "dev": 0.25}


@dataclass(frozen=True)
class Encyclopedia:
    """A corpus with questions and labels.

    Attributes:
        documents: one atomic document to an article, in an order that says nothing.
        questions: of all splits, with answer and type (compositional, inference, comparison, bridge_comparison).
        splits: "train", "validation" and "dev": the labels of 60, 15 and 25 % of the questions. No entity is named
            by questions of two splits.
    """

    documents: list[Document]
    questions: list[Question]
    splits: dict[str, Qrels]


def generate(articles: int = 1200, questions: int = 600, seed: int = 0) -> Encyclopedia:
    """Make an encyclopedia; the same arguments give the same one in every process.

    Labels are the 2 to 4 articles that are needed, all with relevance 1. Half as many questions as articles can be
    had at any size. Time and memory are linear in both.

    Raises:
        CorpusError: there are fewer than ``MIN_ARTICLES``.
        QuestionsError: there are more questions than can be asked of so few articles.
    """
    if articles < MIN_ARTICLES:
        raise CorpusError(f"an encyclopedia needs at least {MIN_ARTICLES} articles to hold together, not {articles}")
    rng = Random(seed)
    entities = build_world(articles, rng)
    documents = [Document(entity.id, entity.title, _article(entity, rng), atomic=True) for entity in entities]
    asked: list[Question] = []
    splits: dict[str, Qrels] = {}
    for split, named in _divide(entities, rng).items():
        last = split == list(_SHARES)[-1]
        count = questions - len(asked) if last else round(questions * _SHARES[split])
        drafts = draw_questions(named, count, rng)
        splits[split] = {}
        for draft in drafts:
            question = Question(f"q{len(asked):05d}", draft.text, draft.answer, draft.type)
            asked.append(question)
            splits[split][question.id] = {entity.id: 1 for entity in draft.path}
    return Encyclopedia(documents, asked, splits)


def write_beir(encyclopedia: Encyclopedia, folder: Path) -> None:
    """Write the encyclopedia into ``folder`` as BEIR does; files of these names are replaced."""
    corpus = [{"_id": item.id, "title": item.title, "text": item.text} for item in encyclopedia.documents]
    write_questions(Path(folder), encyclopedia.questions, encyclopedia.splits)
    write_json_lines(Path(folder) / "corpus.jsonl", corpus)


def _divide(entities: list[Entity], rng: Random) -> dict[str, list[Entity]]:
    """Give every entity to the split whose questions may name it, each kind in the same shares."""
    of_kind: dict[str, list[Entity]] = {}
    for entity in entities:
        of_kind.setdefault(entity.kind, []).append(entity)
    named: dict[str, list[Entity]] = {split: [] for split in _SHARES}
    for members in of_kind.values():
        rng.shuffle(members)
        begin, share = 0, 0.0
        for split in _SHARES:
            share += _SHARES[split]
            end = round(share * len(members))
            named[split] += members[begin:end]
            begin = end
    return named


def _article(entity: Entity, rng: Random) -> str:
    """Return the article's text: an opening, one sentence for each thing known, and one or two that say nothing."""
    tables = words()
    fields = {relation: other.title for relation, other in entity.links.items()} | entity.facts
    fields["name"] = entity.name
    fields |= {word: pick(rng, tables["names"]["qualities"]) for word in ("quality", "other")}
    opening = entity.kind
    if entity.kind == "person":
        fields |= _personal(entity)
        opening = "dead" if "died" in fields else "living"
    fillers = tables["fillers"].get(entity.family, tables["fillers"]["place"])
    sentences = [
        _say(ways, fields, rng) for known, ways in tables["sentences"][entity.family].items() if known in fields
    ]
    first = int(rng.random() * len(fillers))
    for step in range(1 + int(rng.random() * 2)):
        sentence = fillers[(first + step) % len(fillers)].format_map(fields)
        sentences.insert(int(rng.random() * (len(sentences) + 1)), sentence)
    return " ".join([_say(tables["openings"][opening], fields, rng), *sentences])


def _personal(person: Entity) -> dict[str, str]:
    """Return the words that speak of a person."""
    given, _, surname = person.name.rpartition(" ")
    he, his, him = ("she", "her", "her") if person.female else ("he", "his", "him")
    article = "an" if person.role[0] in "aeiou" else "a"
    child = "daughter" if person.female else "son"
    spoken = {"he": he, "his": his, "him": him, "He": he.capitalize(), "His": his.capitalize()}
    return {"given": given, "surname": surname, "role": person.role, "a": article, "child": child, **spoken}


def _say(ways: Sequence[str], fields: Mapping[str, str], rng: Random) -> str:
    return pick(rng, ways).format_map(fields)
