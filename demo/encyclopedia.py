"""A small fictional encyclopedia with multi-hop questions, for demonstrations, tests and measurements of scale.

Everything in it is invented: people with families, films, novels and songs with their makers, organisations with
their founders, towns, regions and countries. Articles name each other by title; a sub-fact stands in one article only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from ..errors import CorpusError
from ..retrievers.records import Document, Qrels, Question
from .encyclopedia_articles import write_article
from .encyclopedia_questions import Draft, draw_questions
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
    documents = [Document(entity.id, entity.title, write_article(entity, rng), atomic=True) for entity in entities]
    asked: list[Question] = []
    splits: dict[str, Qrels] = {}
    for split, named in _divide(entities, rng).items():
        last = split == list(_SHARES)[-1]
        count = questions - len(asked) if last else round(questions * _SHARES[split])
        drafts = draw_questions(named, count, rng)
        splits[split] = {}
        for draft in drafts:
            question = _question(len(asked), draft)
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
    qrels = Path(folder) / "qrels"
    qrels.mkdir(parents=True, exist_ok=True)
    corpus = ({"_id": item.id, "title": item.title, "text": item.text} for item in encyclopedia.documents)
    _write_lines(qrels.parent / "corpus.jsonl", map(_json, corpus))
    _write_lines(qrels.parent / "queries.jsonl", (_json(_query(question)) for question in encyclopedia.questions))
    for split, labels in encyclopedia.splits.items():
        rows = (f"{query}\t{passage}\t{score}" for query in labels for passage, score in labels[query].items())
        _write_lines(qrels / f"{split}.tsv", ["query-id\tcorpus-id\tscore", *rows])


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


def _question(number: int, draft: Draft) -> Question:
    return Question(f"q{number:05d}", draft.text, draft.answer, draft.type)


def _query(question: Question) -> dict[str, Any]:
    metadata = {"answer": question.answer, "type": question.type}
    return {"_id": question.id, "text": question.text, "metadata": metadata}


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)
