"""Makes labelled questions from a corpus alone: what `trailhound train --supervision none` learns from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import QuestionsError
from ...index.index import Index
from ...retrievers.protocols import Progress
from ...retrievers.questions._labelled import write_questions
from ...retrievers.records import Qrels, Question
from ._corpus_profile import CorpusProfile
from ._passage_questions import PassageQuestions
from ._question_generator import Draft, NoDraft, QuestionGenerator, careless
from ._round_trip import Finding, all_are_needed, any_is_found, best_places, one_answers

TRAIN, VALIDATION = "train", "validation"

PATHS = {
    "chain": 0.40,
    "kin": 0.08,
    "long_chain": 0.04,
    "comparison": 0.22,
    "pair": 0.14,
    "single": 0.03,
    "described": 0.04,
    "backward": 0.03,
    "lookup": 0.02,
}
"""Shape of path -> share among the questions that follow names from passage to passage."""

ALONE = {
    "task": 0.12,
    "definition": 0.09,
    "statement": 0.15,
    "claim": 0.09,
    "heading": 0.07,
    "identifier": 0.06,
    "error": 0.04,
    "cell": 0.10,
    "program": 0.10,
    "keywords": 0.09,
    "description": 0.05,
    "unnamed": 0.04,
}
"""Kind -> share among the questions that one passage answers. What a corpus lacks gives its share to the rest."""

TOGETHER = {"difference": 0.2, "both": 0.45, "common": 0.25, "shared": 0.1}
"""Kind -> share among the questions that passages answer together which do not name one another."""

MIXED = {True: (0.70, 0.25, 0.05), False: (0.0, 0.8, 0.2)}
"""Shares of the three, in a corpus whose passages name one another, and in any other."""

LEAST_NAMING = 0.02
"""Share of the passages that must name another one for questions to follow names."""

LEAST_NAMED = 0.2
"""Share of the passages that must say what their title is ("X is a film"), for the same."""

LEAST = 20
"""Fewer questions than this teach nothing."""

_MOST_ALIKE = 3
"""Questions about one set of passages."""

_EXACT = ("identifier", "error")
"""Kinds that are found by their words alone."""

_PLAIN = 0.5
"""Share that is left out of the questions to which words and meaning find the same passage first: little is learned."""

_WORDY = 0.6
"""Share that is left out of those whose words alone find a passage better than their meaning does, in place of which
others are drawn: made questions keep more of a passage's words than people's do."""

_MOST_WORDS = 250
"""Words of the longest question."""

_AT_ONCE = 32
"""Questions that are drawn before they are encoded together."""

_VAIN = 4
"""Times that a kind may fail in a row before the corpus counts as without it."""

_TRIES = 40
"""Draws of a path for each question."""

_PATIENCE = 5
"""Questions in vain for each that was made before the corpus counts as drawn dry."""


@dataclass(frozen=True, slots=True)
class MadeQuestions:
    """Questions with their labels; a question's type is the shape of its path."""

    questions: list[Question]
    qrels: Qrels

    def write(self, folder: Path, held_out: float, rng: np.random.Generator) -> None:
        """Write the questions into ``folder``; ``rng`` draws the share ``held_out`` (at least one) for validation."""
        order = rng.permutation(len(self.questions))
        aside = {self.questions[k].id for k in order[: max(1, round(held_out * len(order)))].tolist()}
        splits: dict[str, Qrels] = {TRAIN: {}, VALIDATION: {}}
        for name, labels in self.qrels.items():
            splits[VALIDATION if name in aside else TRAIN][name] = labels
        write_questions(folder, self.questions, splits)


def make_questions(
    index: Index, count: int, rng: np.random.Generator, progress: Progress | None = None
) -> MadeQuestions:
    """Make up to ``count`` questions over an index; the same generator state makes the same questions.

    Where passages name one another, most follow names: such a question names where its path starts and describes the
    rest, and no title of another passage of the path stands in it. Elsewhere most are answered by one passage. Its
    labels are the passages of its path. A question stays if hybrid search finds them, as far as it can without
    following names, and no other passage answers it as well.

    Raises:
        QuestionsError: when the corpus yields fewer than ``LEAST``.
    """
    corpus = CorpusProfile(index, rng, progress)
    drawing = _Drawing(corpus, rng)
    questions: list[Question] = []
    qrels: Qrels = {}
    texts: set[str] = set()
    paths: Counter[frozenset[int]] = Counter()
    dry = 0
    while len(questions) < count and dry < _PATIENCE * (LEAST + len(questions)):
        drawn = [made for made in (drawing.draw() for _ in range(_AT_ONCE)) if made is not None]
        dry += _AT_ONCE - len(drawn)
        vectors = index.encoder.encode([text for _, text, _ in drawn])
        for (kind, text, draft), vector in zip(drawn, vectors, strict=True):
            path = frozenset(draft.path)
            again = text.lower() in texts or paths[path] >= (_MOST_ALIKE if len(path) == 1 or draft.starts else 1)
            finding = Finding.of(index, text, vector)
            plain = draft.starts is None and rng.random() < _left_out(kind, finding, draft.path)
            if len(questions) == count or again or plain or not _returns(index, kind, draft, finding):
                dry += not plain
                continue
            texts.add(text.lower())
            paths[path] += 1
            identifier = f"made-{len(questions):05d}"
            questions.append(Question(identifier, text, None, kind.replace("_", " ")))
            qrels[identifier] = {index.store.passage(row).id: 1 for row in draft.path}
        if progress is not None:
            progress("making questions", len(questions), count)
    if len(questions) < LEAST:
        raise QuestionsError(
            f"only {len(questions)} questions could be made from the {len(index)} passages of {index.path}, and"
            f" training needs {LEAST}: add documents (best with titles that mention one another), or train on questions"
            " of your own with --questions"
        )
    return MadeQuestions(questions, qrels)


class _Drawing:
    """Draws questions of all kinds in their shares; a kind that a corpus does not have is soon asked no more."""

    def __init__(self, corpus: CorpusProfile, rng: np.random.Generator) -> None:
        self._corpus = corpus
        self._rng = rng
        paths, passages = QuestionGenerator(corpus, rng), PassageQuestions(corpus, rng)
        named = paths.naming >= LEAST_NAMING and corpus.named >= LEAST_NAMED
        self._shapes: dict[str, Callable[[], Draft]] = {}
        self._weights: dict[str, float] = {}
        for share, kinds in zip(MIXED[named], (PATHS, ALONE, TOGETHER), strict=True):
            for kind, part in kinds.items():
                self._shapes[kind] = getattr(passages if hasattr(passages, kind) else paths, kind)
                self._weights[kind] = share * part
        self._vain: Counter[str] = Counter()

    def draw(self) -> tuple[str, str, Draft] | None:
        """Return (kind, text, draft) of one question, or None where its kind did not succeed."""
        kinds = [kind for kind, weight in self._weights.items() if weight and self._vain[kind] < _VAIN]
        if not kinds:
            return None
        weights = np.array([self._weights[kind] for kind in kinds])
        kind = kinds[int(self._rng.choice(len(kinds), p=weights / weights.sum()))]
        for _ in range(_TRIES):
            with suppress(NoDraft):
                draft = self._shapes[kind]()
                text = " ".join(careless(draft.text, self._rng).split()) if draft.text else ""
                if text and holds(self._corpus, text, draft):
                    self._vain[kind] = 0
                    return kind, text, draft
        self._vain[kind] += 1
        return None


def _left_out(kind: str, finding: Finding, rows: Sequence[int]) -> float:
    """Return the share of questions like this one that is left out, so that made ones are as hard as people's."""
    if kind in _EXACT:
        return _PLAIN
    by_words, by_meaning = best_places(finding, rows)
    return _PLAIN if by_words == by_meaning == 0 else _WORDY if by_words < by_meaning else 0.0


def _returns(index: Index, kind: str, draft: Draft, finding: Finding) -> bool:
    """Return whether a search can answer a question, by what its path is."""
    if draft.starts is not None:
        return any_is_found(finding, draft.path)
    if len(draft.path) == 1:
        return one_answers(index, finding, draft.path[0], kind in _EXACT)
    return all_are_needed(index, finding, draft.path)


def holds(corpus: CorpusProfile, text: str, draft: Draft) -> bool:
    """Return whether a question is of a fit length and, where it has starts, names these alone of its path."""
    if draft.starts is None:
        return _MOST_WORDS >= len(text.split()) >= 2
    named = {corpus.titles[row] for mention in corpus.index.titles.find_in_question(text) for row in mention.rows}
    starts = {corpus.titles[row] for row in draft.starts}
    lowered = text.lower()
    for row in draft.path:
        title = corpus.titles[row]
        if title in starts:
            continue
        if title and (title in named or corpus.passage(row).name.lower() in lowered):
            return False
    return starts <= named and len(lowered.split()) >= 3
