"""Questions that one passage answers, or two that have something rare in common, over a corpus of any kind.

Every method of :class:`PassageQuestions` draws one kind of question, or raises :class:`NoDraft`. They ask in other
words than the passage where they can, and name or leave out what people would.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from ...graph._linking import frequency_cap
from ...retrievers.words._analyser import identifiers
from ...retrievers.words._terms import term_hashes
from ._corpus_profile import CorpusProfile
from ._passage_reading import PassageReading
from ._question_generator import Draft, NoDraft
from ._statements import defined, definition, heading_tasks, shortened, stated, tasks
from ._wording import bare, content, fill, reworded, said_by_me, small_start

T = TypeVar("T")

_LOOKED_AT = 25
"""Passages that are looked at, for one draft, for one that has what a kind of question asks for."""

_PARTNERS = 6
"""Passages that are looked at for the second one of a question about two."""

_COMMON_TITLE = 3
"""Documents of one title, from which on it names nothing."""


class PassageQuestions:
    """Draws questions about passages by what is in them, whatever that is.

    Args:
        corpus: the corpus, analysed.
        rng: draws everything.
    """

    def __init__(self, corpus: CorpusProfile, rng: np.random.Generator) -> None:
        self._corpus = corpus
        self._rng = rng
        self._rows = corpus.rows.tolist()
        self._read: dict[int, PassageReading] = {}
        self._queues: dict[str, list[int]] = {}

    def task(self) -> Draft:
        """Ask how to do what a heading or a sentence is about doing."""
        reading, task = self._one_of("task", _tasks)
        asks = "need" if len(reading.sentences) < 3 and self._rng.random() < 0.7 else "how"
        return self._draft(fill(asks, self._rng, x=self._other_words(task)), reading)

    def definition(self) -> Draft:
        """Ask what something is that a sentence defines, or which thing a definition is of."""
        reading, text = self._one_of(
            "definition", lambda one: [q for s in one.sentences for q in definition(s, self._rng)]
        )
        return self._draft(text, reading)

    def statement(self) -> Draft:
        """Ask for the subject of a sentence, or for what it says of it."""
        reading, text = self._one_of("statement", lambda one: [q for s in one.sentences for q in stated(s, self._rng)])
        return self._draft(said_by_me(self._other_words(text, 0.25)), reading)

    def claim(self) -> Draft:
        """State what a sentence says, in part in other words."""
        reading, sentence = self._one_of("claim", lambda one: [s for s in one.sentences if 6 <= len(s.split()) <= 30])
        text = shortened(re.sub(r"^[A-Z]\w+(?:\s\w+){0,2},\s", "", sentence))
        if len(text.split()) < 5:
            raise NoDraft
        return self._draft(self._other_words(text), reading)

    def heading(self) -> Draft:
        """Ask for what a heading is about, with something that stands below it."""
        reading, heading = self._one_of("heading", lambda one: [h for h in one.headings if self._is_telling(h)])
        name = heading if heading.istitle() and len(heading.split()) < 4 else small_start(heading)
        words = self._rarest(" ".join(reading.sentences), 1 + int(self._rng.integers(3)), without=heading)
        if words and self._rng.random() < 0.4:
            return self._draft(f"{name} {' '.join(words)}", reading)
        return self._draft(fill("heading", self._rng, x=self._other_words(name, 0.2)), reading)

    def identifier(self) -> Draft:
        """Ask for an identifier that few passages have, with some of the words around it."""
        reading, (written, line) = self._one_of("identifier", self._own_identifiers)
        typed = re.sub(r"[_-]+", " ", written) if self._rng.random() < 0.2 else written
        around = [word for word in content(bare(line)) if word.isalpha() and word.lower() not in written.lower()]
        if around and self._rng.random() < 0.55:
            picked = sorted(self._rng.permutation(len(around))[: 1 + int(self._rng.integers(3))].tolist())
            words = [around[k].lower() for k in picked]
            return self._draft(" ".join([typed, *words] if self._rng.random() < 0.5 else [*words, typed]), reading)
        return self._draft(fill("identifier", self._rng, x=typed), reading)

    def error(self) -> Draft:
        """Ask for the message of an error, or for what to do about it."""
        reading, message = self._one_of("error", lambda one: one.errors)
        words = message.split()
        kept = words[: max(3, int(len(words) * (0.6 + 0.4 * self._rng.random())))]
        return self._draft(fill("error", self._rng, x=" ".join(kept)), reading)

    def cell(self) -> Draft:
        """Ask for a cell of a table by the names of its row and column, or for how two of them compare."""
        reading, cell = self._one_of("cell", lambda one: one.cells)
        row = small_start(cell.row) if self._rng.random() < 0.7 else cell.row
        second = [other for other in cell.rows if other != cell.row]
        if cell.others and self._rng.random() < 0.4:
            text = fill("change", self._rng, row=row, column=cell.column, other=self._choose(cell.others))
        elif second and self._rng.random() < 0.15:
            text = fill("compare_rows", self._rng, row=row, second=small_start(self._choose(second)))
        else:
            text = fill("cell", self._rng, row=row, column=cell.column)
        return self._draft(text, reading)

    def program(self) -> Draft:
        """Ask for a function by what it does: the words of its comment, or of its name."""
        reading, one = self._one_of(
            "program", lambda one: [p for p in one.programs if p.purpose or len(p.name.split()) > 1]
        )
        named = not one.purpose or self._rng.random() < 0.35
        words = (
            one.name.split()
            if named
            else [w for w in one.purpose.lower().split() if w not in ("the", "a", "an", "given")]
        )
        doing = re.sub(
            r"^(return|get|compute)s?\b(?= \w+ \w+)",
            lambda m: m[1] if self._rng.random() < 0.5 else "get",
            " ".join(words[:9]),
        )
        doing = re.sub(r"^(\w{3,}[^s\s])s\b", r"\1", doing)
        return self._draft(
            fill("program", self._rng, x=self._other_words(doing, 0.3, "program"), language=one.language), reading
        )

    def keywords(self) -> Draft:
        """Name two to five words that stand near one another, one of them rare, some with those of a heading."""
        reading, sentence = self._one_of("keywords", lambda one: one.sentences)
        words = self._window(sentence, 2 + int(self._rng.integers(4)))
        headings = [h for h in reading.headings if self._is_telling(h)]
        if headings and len(words) < 4 and self._rng.random() < 0.4:
            words = [*content(bare(self._choose(headings)))[:3], *words]
        if len(words) < 2:
            raise NoDraft
        return self._draft(" ".join(words).lower() if self._rng.random() < 0.7 else " ".join(words), reading)

    def description(self) -> Draft:
        """Describe at length, in part in other words, what some sentences in a row say."""
        reading, start = self._one_of("description", lambda one: list(range(len(one.sentences) - 1)))
        some = reading.sentences[start : start + 2 + int(self._rng.integers(7))]
        kept = [self._thinned(sentence, 0.1) for sentence in some]
        return self._draft(" ".join(self._other_words(sentence, 0.5) for sentence in kept), reading)

    def unnamed(self) -> Draft:
        """Say what a sentence is about without its rarest words: it is found by its meaning."""
        reading, sentence = self._one_of("unnamed", lambda one: [s for s in one.sentences if len(s.split()) >= 8])
        words = content(bare(self._thinned(shortened(sentence), 0.3, rarest=True)))
        if len(words) < 4:
            raise NoDraft
        return self._draft(self._other_words(" ".join(words), 0.5), reading)

    def difference(self) -> Draft:
        """Ask how two things differ that two passages define."""
        first, name = self._one_of("difference", lambda one: [n for s in one.sentences if (n := defined(s)[0])])
        for row in self._near(first.row):
            second = self._reading(row)
            names = [
                other
                for s in second.sentences
                if (other := defined(s)[0]) and other.lower() not in first.passage.text.lower()
            ]
            if names and name.lower() not in second.passage.text.lower():
                text = fill("difference", self._rng, x=small_start(name), y=small_start(self._choose(names)))
                return Draft(text, (first.row, row), None)
        raise NoDraft

    def both(self) -> Draft:
        """Ask for two things at once, each of which one passage answers."""
        first, one = self._one_of("both", self._asked)
        near = self._near(first.row) if self._rng.random() < 0.6 else [self._any().row for _ in range(_PARTNERS)]
        for row in near:
            second = self._reading(row)
            asked = [] if row == first.row or second.is_empty else self._asked(second)
            if asked:
                text = fill("both", self._rng, x=one, y=small_start(self._choose(asked)))
                return Draft(self._other_words(text, 0.2), (first.row, row), None)
        raise NoDraft

    def common(self) -> Draft:
        """Ask for what two passages say of rare words that both have."""
        first, sentence = self._one_of("common", lambda one: one.sentences)
        for row in self._near(first.row):
            for other in self._reading(row).sentences:
                shared = self._rare_in_both(sentence, other)
                if shared:
                    left = [word for word in bare(sentence) if word.lower() not in shared]
                    right = [word for word in bare(other) if word.lower() not in shared]
                    one, two = (
                        self._window(" ".join(words), 3 + int(self._rng.integers(3))) for words in (left, right)
                    )
                    if len(one) > 1 and len(two) > 1:
                        x = " ".join(dict.fromkeys(word for word in bare(sentence) if word.lower() in shared))
                        text = fill(
                            "together", self._rng, x=x, a=small_start(" ".join(one)), b=small_start(" ".join(two))
                        )
                        return Draft(self._other_words(text, 0.25), (first.row, row), None)
        raise NoDraft

    def _asked(self, one: PassageReading) -> list[str]:
        """Return questions in whole sentences that a passage answers alone."""
        how = [fill("how", self._rng, x=task) for s in one.sentences[:4] for task in tasks(s)]
        asked = [*how, *(q for s in one.sentences[:6] for q in (*stated(s, self._rng), *definition(s, self._rng)))]
        return [question for question in asked if question.endswith("?")]

    def _own_identifiers(self, one: PassageReading) -> list[tuple[str, str]]:
        found = []
        for written, line in one.identifiers[:12]:
            named = identifiers(written)
            rows: list[int] = self._corpus.index.lexical.identified(named[0]).tolist() if named else []
            if len(rows) <= _COMMON_TITLE and one.row in rows:
                found.append((written, line))
        return found

    def _is_telling(self, heading: str) -> bool:
        """Return whether a heading says what its passage is about, and not that of many."""
        return 2 <= len(bare(heading)) <= 12 and self._corpus.namesakes[heading] < _COMMON_TITLE

    def _rare_in_both(self, one: str, other: str) -> set[str]:
        """Return the words of two sentences, in lower case, that both have and few passages."""
        words = sorted({word.lower() for word in bare(one)} & {word.lower() for word in bare(other)})
        words = [word for word in words if word.isalpha()]
        least = float(np.log1p(len(self._corpus.index) / (1.5 * frequency_cap(len(self._corpus.index)))))
        return {word for word, rarity in zip(words, self._rarity(words), strict=True) if rarity >= least}

    def _near(self, row: int) -> list[int]:
        """Return passages of other documents that share rare words with one, the nearest first."""
        index = self._corpus.index
        rows: list[int] = index.graph.neighbours(row, "shares").rows[:_PARTNERS].tolist()
        document = index.store.passage(row).document_id
        return [other for other in rows if index.store.passage(other).document_id != document]

    def _rarest(self, text: str, count: int, spread: int = 2, without: str = "") -> list[str]:
        """Return so many of the ``spread`` times as many rarest words of a text, in their order."""
        left_out = {word.lower() for word in bare(without)}
        words = [
            w for w in content(bare(text)) if len(w) > 2 and w.lower() not in left_out and re.fullmatch(r"[\w'-]+", w)
        ]
        words = list({word.lower(): word for word in reversed(words)}.values())[::-1]
        rarity = self._rarity(words)
        best = sorted(range(len(words)), key=lambda k: -rarity[k])[: count * spread]
        picked = sorted(best[k] for k in self._rng.permutation(len(best))[:count].tolist())
        return [words[k] for k in picked]

    def _window(self, sentence: str, count: int) -> list[str]:
        """Return so many telling words of a sentence that stand side by side, around one of its three rarest."""
        words = [word for word in content(bare(sentence)) if len(word) > 2 and re.fullmatch(r"[^\W\d_][\w'-]+", word)]
        if not words:
            raise NoDraft
        rarity = self._rarity(words)
        centre = self._choose(sorted(range(len(words)), key=lambda k: -rarity[k])[:3])
        first = max(0, min(centre - int(self._rng.integers(count)), len(words) - count))
        return words[first : first + count]

    def _thinned(self, text: str, share: float, *, rarest: bool = False) -> str:
        """Return a text with a share of its telling words left out: any, or the rarest first."""
        words = text.split()
        rarity = self._rarity(words)
        telling = [k for k in range(len(words)) if rarity[k] > 0]
        order = sorted(telling, key=lambda k: -rarity[k]) if rarest else self._rng.permutation(telling).tolist()
        gone = {int(k) for k in order[: int(share * len(telling))]}
        return " ".join(word for k, word in enumerate(words) if k not in gone)

    def _rarity(self, words: Sequence[str]) -> list[float]:
        """Return the greatest idf among the terms of each word, 0 for stop words."""
        index = self._corpus.index
        found = []
        for word in words:
            hashes = term_hashes(word)
            found.append(float(index.terms.idf(hashes).max()) if len(hashes) else 0.0)
        return found

    def _other_words(self, text: str, share: float = 0.35, table: str = "groups") -> str:
        return reworded(text, self._rng, share, table)

    def _draft(self, text: str, reading: PassageReading) -> Draft:
        return Draft(text, (reading.row,), None)

    def _reading(self, row: int) -> PassageReading:
        if row not in self._read:
            self._read[row] = PassageReading(row, self._corpus.index.store.passage(row))
        return self._read[row]

    def _any(self) -> PassageReading:
        return self._reading(self._choose(self._rows))

    def _one_of(self, kind: str, find: Callable[[PassageReading], Sequence[T]]) -> tuple[PassageReading, T]:
        """Return the next passage that has something of a kind, and one thing of it.

        Passages come in random order, each once before any comes again, so kinds that are rare are found all the same.
        """
        queue = self._queues.setdefault(kind, [])
        for _ in range(_LOOKED_AT):
            if not queue:
                queue += self._rng.permutation(self._rows).tolist()
            reading = self._reading(queue.pop())
            found = [] if reading.is_empty else find(reading)
            if found:
                return reading, self._choose(found)
        raise NoDraft

    def _choose(self, items: Sequence[T]) -> T:
        if not items:
            raise NoDraft
        return items[int(self._rng.integers(len(items)))]


def _tasks(one: PassageReading) -> list[str]:
    """Return what a passage says how to do: by its headings, else by its sentences."""
    headings = [task for heading in one.headings for task in heading_tasks(heading)]
    return headings or [task for sentence in one.sentences for task in tasks(sentence)]
