"""Everything that a question and its evidence have to offer as an answer, as arrays for the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...retrievers.records import Vectors
from ...retrievers.words._titles import TitleMatcher
from ._passage_analysis import BASE, DIMENSION, PassageAnalysis, WordVectors, surroundings
from ._protocol import normalise_answer
from ._question_analysis import CHOICE, CLOSED, CUES, QuestionAnalysis, choice_features, closed_features, find_compared

SPAN = (
    "in_question",
    "sentence_agreement",
    "passage_agreement",
    "rank",
    "last_taken",
    "named",
    "one_link_away",
    "two_links_away",
    "link_backwards",
    "evidence_title",
    "title_of_linked",
    "deepest",
    "sentence_names_earlier",
)
"""Features of a span beside the question and the other evidence."""

KIND = ("span", "choice", "yes", "no", "unknown")
GLOBAL = ("passages", "named_passages", "offers_choice", "closed", *CUES)
FEATURES = (*KIND, *BASE, *SPAN, *CHOICE, *CLOSED, *GLOBAL)
SLOTS = ("left", "right", "inside", "link")
"""Word vectors of a candidate; ``link`` is where an earlier passage mentions the title of the candidate's own."""

_SPAN = {name: k for k, name in enumerate(SPAN)}
_SPAN_AT = len(KIND)
_CHOICE_AT = _SPAN_AT + len(BASE) + len(SPAN)
_CLOSED_AT = _CHOICE_AT + len(CHOICE)
_GLOBAL_AT = _CLOSED_AT + len(CLOSED)


@dataclass(frozen=True, slots=True)
class AnswerCandidates:
    """What could be the answer; the last candidate is that none of the others is.

    Attributes:
        answers: normalised, one per candidate, n of them; the last is "".
        surfaces: as they are written.
        places: passage, start and end of each, int64 [n, 3]; -1 where the candidate comes from the question.
        features: float32 [n, len(FEATURES)].
        words: float16 [n, len(SLOTS), DIMENSION].
        question: float32 [DIMENSION].
    """

    answers: tuple[str, ...]
    surfaces: tuple[str, ...]
    places: NDArray[np.int64]
    features: NDArray[np.float32]
    words: NDArray[np.float16]
    question: Vectors


@dataclass(frozen=True, slots=True)
class _Links:
    """How passages of the evidence hang together: who names whom where, and how far each is from the question."""

    mentions: NDArray[np.bool_]
    at: dict[tuple[int, int], tuple[int, int]]
    depth: NDArray[np.int64]
    backwards: NDArray[np.bool_]


def read_candidates(question: str, passages: Sequence[PassageAnalysis], vectors: WordVectors) -> AnswerCandidates:
    """Collect the candidates of a question from its evidence, in the order it was found."""
    matcher = TitleMatcher([passage.title for passage in passages])
    mentioned = matcher.find_in_question(question)
    named = list(dict.fromkeys(row for mention in mentioned for row in mention.rows))
    reading = QuestionAnalysis.of(question, [(m.start, m.end) for m in mentioned], vectors)
    links = _links(passages, matcher, named)
    spans, features, words = _span_candidates(reading, passages, links)
    answers = [answer for passage in passages for answer in passage.answers]
    surfaces = [p.text[c.start : c.end] for p in passages for c in p.candidates]
    extra, extra_features = _question_candidates(reading, passages, named, links)
    count = len(answers) + len(extra)
    matrix = np.zeros((count, len(FEATURES)), np.float32)
    matrix[: len(answers), _SPAN_AT:_CHOICE_AT] = features
    matrix[: len(answers), 0] = 1
    matrix[len(answers) :] = extra_features
    matrix[:, _GLOBAL_AT:] = (
        len(passages) / 5,
        len(named) / 2,
        bool(reading.choices),
        reading.closed,
        *reading.cues,
    )
    all_words = np.zeros((count, len(SLOTS), DIMENSION), np.float16)
    all_words[: len(answers)] = words
    places = np.full((count, 3), -1, np.int64)
    places[: len(answers)] = spans
    return AnswerCandidates(
        (*answers, *(normalise_answer(text) for text in extra)),
        (*surfaces, *extra),
        places,
        matrix,
        all_words,
        reading.vector,
    )


def _links(passages: Sequence[PassageAnalysis], matcher: TitleMatcher, named: Sequence[int]) -> _Links:
    count = len(passages)
    mentions = np.zeros((count, count), np.bool_)
    at: dict[tuple[int, int], tuple[int, int]] = {}
    for source, passage in enumerate(passages):
        for mention in matcher.find(passage.text):
            for target in mention.rows:
                if target != source:
                    mentions[source, target] = True
                    at.setdefault((source, target), (mention.start, mention.end))
    depth = np.full(count, 3, np.int64)
    depth[list(named)] = 0
    backwards = np.zeros(count, np.bool_)
    for step in (1, 2):
        before = np.flatnonzero(depth == step - 1)
        forward = mentions[before].any(axis=0)
        reverse = mentions[:, before].any(axis=1)
        new = (depth == 3) & (forward | reverse)
        backwards |= new & ~forward
        depth[new] = step
    return _Links(mentions, at, depth, backwards)


def _span_candidates(
    question: QuestionAnalysis, passages: Sequence[PassageAnalysis], links: _Links
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float16]]:
    """Return places, features and word vectors of every span of the evidence."""
    places, features, words = [np.zeros((0, 3), np.int64)], [], [np.zeros((0, len(SLOTS), DIMENSION), np.float16)]
    titles = [normalise_answer(passage.title) for passage in passages]
    deepest = int(np.where(links.depth < 3, links.depth, 0).max(initial=0))
    for k, passage in enumerate(passages):
        n = len(passage.candidates)
        span = np.zeros((n, len(SPAN)), np.float32)
        earlier = [set(t.split()) for j, t in enumerate(titles) if j != k and t]
        agreement = np.array([_share(question.content, sentence) for sentence in passage.sentences])
        names_earlier = np.array([any(t <= sentence for t in earlier) for sentence in passage.sentences], np.float32)
        span[:, _SPAN["in_question"]] = [question.words.issuperset(answer.split()) for answer in passage.answers]
        if n:
            span[:, _SPAN["sentence_agreement"]] = agreement[passage.sentence_of]
            span[:, _SPAN["sentence_names_earlier"]] = names_earlier[passage.sentence_of]
        span[:, _SPAN["passage_agreement"]] = _share(question.content, frozenset[str]().union(*passage.sentences))
        span[:, _SPAN["rank"]] = 1 / (1 + k)
        span[:, _SPAN["last_taken"]] = k == len(passages) - 1
        span[:, _SPAN["named"] : _SPAN["two_links_away"] + 1] = links.depth[k] == np.arange(3)
        span[:, _SPAN["link_backwards"]] = links.backwards[k]
        others = {title: j for j, title in enumerate(titles) if j != k}
        for row, answer in enumerate(passage.answers):
            other = others.get(answer)
            if other is not None:
                span[row, _SPAN["evidence_title"]] = 1
                span[row, _SPAN["title_of_linked"]] = links.depth[other] in (1, 2)
        span[:, _SPAN["deepest"]] = links.depth[k] == deepest
        features.append(np.concatenate((passage.base, span), axis=1))
        around = np.zeros((n, len(SLOTS), DIMENSION), np.float16)
        around[:, :3] = passage.around
        around[:, SLOTS.index("link")] = _link_words(k, passages, links)
        words.append(around)
        places.append(np.array([(k, c.start, c.end) for c in passage.candidates], np.int64).reshape(-1, 3))
    width = len(BASE) + len(SPAN)
    return np.concatenate(places), np.concatenate([np.zeros((0, width), np.float32), *features]), np.concatenate(words)


def _link_words(target: int, passages: Sequence[PassageAnalysis], links: _Links) -> Vectors:
    """Return the words around the place where a passage nearer to the question mentions this one's title."""
    for source in np.argsort(links.depth, kind="stable").tolist():
        if links.depth[source] < links.depth[target] and (source, target) in links.at:
            start, end = links.at[source, target]
            around = surroundings(passages[source].pieces, [(start, end)])[0]
            return np.asarray(around[0] + 0.5 * around[1])
    return np.zeros(DIMENSION, np.float32)


def _question_candidates(
    question: QuestionAnalysis, passages: Sequence[PassageAnalysis], named: Sequence[int], links: _Links
) -> tuple[list[str], NDArray[np.float32]]:
    """Return the answers that come from the question itself, and their features; the last is the unknown."""
    texts: list[str] = []
    rows: list[NDArray[np.float32]] = []

    def add(text: str, kind: str) -> NDArray[np.float32]:
        row = np.zeros(len(FEATURES), np.float32)
        row[KIND.index(kind)] = 1
        texts.append(text)
        rows.append(row)
        return row

    if question.choices or question.closed:
        compared = find_compared(question, passages, named, links.mentions)
        if question.choices:
            for choice, values in zip(question.choices, choice_features(question, passages, compared), strict=True):
                add(choice, "choice")[_CHOICE_AT:_CLOSED_AT] = values
        if question.closed:
            values = closed_features(question, passages, compared)
            add("yes", "yes")[_CLOSED_AT:_GLOBAL_AT] = values
            add("no", "no")[_CLOSED_AT:_GLOBAL_AT] = -values
    add("", "unknown")
    return texts, np.stack(rows)


def _share(wanted: frozenset[str], found: frozenset[str]) -> float:
    return len(wanted & found) / max(len(wanted), 1)
