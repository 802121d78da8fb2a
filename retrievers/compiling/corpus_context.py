"""What a corpus knows of a passage's subject that the passage does not say: who else speaks of it.

A *subject* is the title of a document, or a heading that is no more than a few times in the corpus ("Career" is none).
A passage is about the innermost subject that it stands under. When the text of another subject names it, that subject
is a way to it which its own text does not show: on the web such words are the anchor text of the links that lead to a
page (Craswell, Hawking and Robertson 2001, "Effective site finding using link anchor information").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from math import log1p

from ..records import Document, Passage
from ..words.phrases import words_of
from ..words.terms import analyse
from ..words.titles import TitleMatcher
from .markdown import Section

MOST_TERMS = 12
"""Terms of a document that are looked at; a passage is told a few that it lacks."""

_NAME_WEIGHT = 2.0
"""A word that is never written small is the name of something, and says more of what a text is about."""


class DistinctiveTerms:
    """The terms of documents by tf-idf over a corpus: Salton and Buckley 1988, "Term-weighting approaches".

    Terms are compared by their stems, and shown as they are written most often.

    Args:
        texts: of every document of the corpus; walked through once.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        counts: Counter[str] = Counter()
        self._documents = 0
        for text in texts:
            counts.update(set(analyse(text)))
            self._documents += 1
        self._frequency: Callable[[str], int] = counts.__getitem__

    @classmethod
    def counted(cls, frequency: Callable[[str], int], documents: int) -> DistinctiveTerms:
        """Return those over a corpus that was counted already: in how many of so many documents a stem is."""
        terms = cls(())
        terms._frequency, terms._documents = frequency, documents
        return terms

    def of(self, text: str) -> list[tuple[str, str]]:
        """Return (stem, word) of the ``MOST_TERMS`` most distinctive terms said twice or more, best first."""
        written: dict[str, Counter[str]] = {}
        for word in words_of(text):
            for stem in analyse(word):
                written.setdefault(stem, Counter())[word] += 1
        ranked = sorted(
            ((-self._weight(stem, words), stem) for stem, words in written.items() if words.total() > 1),
        )
        return [(stem, written[stem].most_common(1)[0][0]) for _, stem in ranked[:MOST_TERMS]]

    def _weight(self, stem: str, words: Counter[str]) -> float:
        """Return tf times ln(1 + (N - df + 0.5) / (df + 0.5)), more for a name."""
        frequency = self._frequency(stem)
        named = all(word[0].isupper() for word in words)
        idf = log1p((self._documents - frequency + 0.5) / (frequency + 0.5))
        return words.total() * idf * (_NAME_WEIGHT if named else 1.0)


_JOINT = " > "

MOST_SECTIONS = 2
"""A heading of more sections than this is a kind of section, not a subject."""

MOST_NAMES = 3
"""Names that are said of a subject."""

MOST_MENTIONS = 12
"""What more subjects than this speak of is known everywhere; none of them says anything about it."""


class Mentions:
    """Who speaks of whom in a corpus; built in one walk over it, its cost that of finding titles in texts.

    Args:
        documents: with their passages.
        located: the section of every passage, document by document.
        sections: of how many documents and sections of the corpus a title is the name; counted when None, which wants
            all documents of the corpus.
    """

    def __init__(
        self,
        documents: Sequence[tuple[Document, Sequence[Passage]]],
        located: Sequence[Sequence[Section]],
        sections: Callable[[str], int] | None = None,
    ) -> None:
        named = [paths_of(document, where) for (document, _), where in zip(documents, located, strict=True)]
        count = cache(sections or sections_of_titles(named).__getitem__)
        self._paths = [
            [tuple(title for title in path if title and count(title) <= MOST_SECTIONS) for path in paths]
            for paths in named
        ]
        titles = list(dict.fromkeys(title for paths in self._paths for path in paths for title in path))
        matcher = TitleMatcher(titles)
        self._speakers: dict[str, dict[str, None]] = {}
        for (_, passages), paths in zip(documents, self._paths, strict=True):
            for passage, path in zip(passages, paths, strict=True):
                for mention in matcher.find(passage.text) if path else ():
                    self._remember(path, [titles[row] for row in mention.rows])

    def names(self, document: int, passage: int) -> list[str]:
        """Return who speaks of what a passage is about: at most ``MOST_NAMES``, in the order of the corpus."""
        for subject in reversed(self._paths[document][passage]):
            speakers = self._speakers.get(subject, {})
            if speakers:
                return list(speakers)[:MOST_NAMES] if len(speakers) <= MOST_MENTIONS else []
        return []

    def _remember(self, path: tuple[str, ...], named: Sequence[str]) -> None:
        if len(named) > MOST_SECTIONS:
            return
        for subject in named:
            if subject not in path:
                speakers = self._speakers.setdefault(subject, {})
                if len(speakers) <= MOST_MENTIONS:
                    speakers.setdefault(_JOINT.join(path))


def paths_of(document: Document, sections: Sequence[Section]) -> list[tuple[str, ...]]:
    """Return what each passage is about, outermost first; a title that is a heading too is that section's alone."""
    headed = any(document.title in section.path for section in sections)
    return [section.path if headed else (document.title, *section.path) for section in sections]


def sections_of_titles(named: Sequence[Sequence[tuple[str, ...]]]) -> Counter[str]:
    """Return of how many documents and sections each title is the name."""
    counts: Counter[str] = Counter()
    for paths in named:
        counts.update(path[-1] for path in {path[:depth] for path in paths for depth in range(1, len(path) + 1)})
    return counts
