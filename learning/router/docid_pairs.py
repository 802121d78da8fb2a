"""Training pairs for a router: queries with the passages that they should lead to, labelled or made from passages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...retrievers.records import Passage, Qrels, Question
from ...retrievers.words.terms import TermIndex, term_hashes
from ...retrievers.words.title_forms import strip_parenthesis

PairKind = Literal["labelled", "title", "lead", "sentence", "question"]
MADE_KINDS: tuple[PairKind, ...] = ("title", "lead", "sentence", "question")

_SHORTEST = 4
"""Words of a sentence that says enough to be looked for."""

_LEAD = re.compile(r"\b(was|were|is|are)\s+((?:an?|the|one)\s+.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TrainingPair:
    """A query, the rows it should lead to, and where it comes from."""

    query: str
    rows: tuple[int, ...]
    kind: PairKind


def labelled_pairs(questions: Iterable[Question], qrels: Qrels, row_of: Callable[[str], int]) -> list[TrainingPair]:
    """Return every question with the rows of its supporting passages; questions without any are left out.

    Args:
        questions: of one split.
        qrels: its labels.
        row_of: a passage's row, as the evidence store knows it; its KeyError is not caught.
    """
    pairs = []
    for question in questions:
        rows = tuple(row_of(passage) for passage, score in qrels.get(question.id, {}).items() if score > 0)
        if rows:
            pairs.append(TrainingPair(question.text, rows, "labelled"))
    return pairs


def made_pairs(
    passages: Sequence[Passage],
    terms: TermIndex,
    rng: np.random.Generator,
    most: int | None = None,
    kinds: Sequence[PairKind] = MADE_KINDS,
) -> list[TrainingPair]:
    """Make one query of a passage, for every passage in turn, until there are ``most``; then a second one, and so on.

    A query is the title, the first sentence, the most distinctive other sentence, or a question put to the first
    sentence (Tay et al. 2022, arXiv:2202.06991, section 3.1, index by document text; Zhuang et al. 2022,
    arXiv:2206.10128, replaces that by questions).

    Args:
        passages: all of a corpus, in row order.
        terms: their terms.
        rng: draws the order of passages, and of each passage's queries.
        most: how many pairs; all that there are when None.
        kinds: which to make.
    """
    order = rng.permutation(len(passages)).tolist()
    waiting: dict[int, list[TrainingPair]] = {}
    pairs: list[TrainingPair] = []
    turn = 0
    while order and (most is None or len(pairs) < most):
        going_on = []
        for row in order:
            if most is not None and len(pairs) >= most:
                break
            if turn == 0:
                made = [pair for pair in _made(passages[row], row, terms) if pair.kind in kinds]
                waiting[row] = [made[place] for place in rng.permutation(len(made))]
            if waiting[row]:
                pairs.append(waiting[row].pop())
                going_on.append(row)
        order, turn = going_on, turn + 1
    return pairs


def question_forms(title: str, lead: str) -> list[str]:
    """Return questions that a first sentence answers: one that hides the title, and one that names it.

    "Teutberga was a queen of Lotharingia." gives "Who or what was a queen of Lotharingia?" and "What was Teutberga?".
    """
    name = strip_parenthesis(title)
    found = _LEAD.search(lead)
    forms = []
    if found:
        said = found.group(2).rstrip(" .!?\n")
        forms.append(f"Who or what {found.group(1)} {said}?")
        if name:
            forms.append(f"What {found.group(1)} {name}?")
    elif name:
        forms.append(f"What is known about {name}?")
    return forms


def distinctive_sentence(sentences: Sequence[str], terms: TermIndex) -> int | None:
    """Return the place of the sentence whose distinct terms sum to the most idf per square root of their number.

    None when no sentence has a term.
    """
    best, place = 0.0, None
    for number, sentence in enumerate(sentences):
        hashes = term_hashes(sentence)
        if len(hashes):
            weight = float(terms.idf(hashes).sum()) / len(hashes) ** 0.5
            if weight > best:
                best, place = weight, number
    return place


def _made(passage: Passage, row: int, terms: TermIndex) -> Iterator[TrainingPair]:
    """Yield every query that can be made of a passage."""
    sentences = [passage.text[start:end].strip() for start, end in passage.sentences]
    sentences = [sentence for sentence in sentences if len(sentence.split()) >= _SHORTEST]
    if passage.title.strip():
        yield TrainingPair(passage.title.strip(), (row,), "title")
    if not sentences:
        return
    yield TrainingPair(sentences[0], (row,), "lead")
    place = distinctive_sentence(sentences[1:], terms)
    if place is not None:
        yield TrainingPair(sentences[1 + place], (row,), "sentence")
    for form in question_forms(passage.title, sentences[0]):
        yield TrainingPair(form, (row,), "question")
