"""A small fictional encyclopedia with multi-hop questions, for demonstrations, tests and measurements of scale.

Everything in it is invented: people with families, films, novels and songs with their makers, organisations with
their founders, towns, regions and countries. Articles name each other by title; a sub-fact stands in one article only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from ..errors import CorpusError
from ..retrievers.atomic_file import write_json_lines
from ..retrievers.questions.labelled import write_questions
from ..retrievers.records import Document, Qrels, Question
from .encyclopedia_names import pick, words
from .encyclopedia_questions import draw_questions
from .encyclopedia_world import Entity, build_world

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

    Args:
        articles: how many documents, at least ``MIN_ARTICLES``.
        questions: how many questions, over all splits.
        seed: decides everything else.

    Raises:
        CorpusError: there are too few articles for a world.
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
    """Write ``corpus.jsonl``, ``queries.jsonl`` (answer and type as metadata) and ``qrels/SPLIT.tsv``, as BEIR does.

    Files of these names are replaced.

    Args:
        encyclopedia: what to write.
        folder: made when it is not there.
    """
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
    """Return the article's text: an opening, one sentence for each thing known, and one or two that say nothing.

    Other articles are always named by their whole title.
    """
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
