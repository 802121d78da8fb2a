"""A passage as a reader sees it, whatever the question: candidates, dates, and vectors of the word pieces around them.

The vectors are MiniLM's input embeddings, without context, rotated to fewer dimensions.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from ...retrievers._bounded import Bounded
from ...retrievers.records import Passage, Spans, Vectors
from ...retrievers.vectors._minilm import model_folder
from ...retrievers.words._title_forms import strip_parenthesis
from ._candidates import KINDS, Candidate, DateMention, find_candidates, find_dates
from ._protocol import normalise_answer

DIMENSION = 96
_TABLE = "embeddings.word_embeddings.weight"


@dataclass(frozen=True, slots=True)
class Pieces:
    """A text cut into word pieces.

    Attributes:
        starts, ends: int64 [n], characters of each piece.
        vectors: float32 [n, DIMENSION].
    """

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    vectors: Vectors


class WordVectors:
    """Cuts texts into word pieces and looks up their vectors.

    The 384 dimensions of the embeddings of all-MiniLM-L6-v2 are rotated onto their ``DIMENSION`` principal axes and
    scaled to a mean square of 1, so nothing but the encoder's own weights is needed, and the same weights give the
    same vectors up to rounding.
    """

    def __init__(self) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        folder = model_folder()
        table = load_file(folder / "model.safetensors")[_TABLE].astype(np.float32)  # [v, 384]
        table -= table.mean(axis=0)
        _, axes = np.linalg.eigh(table.T.astype(np.float64) @ table)  # ascending
        axes = axes[:, ::-1][:, :DIMENSION]
        axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(DIMENSION)])  # an axis has no sign of its own
        reduced = table @ axes.astype(np.float32)
        self._table: Vectors = reduced / np.sqrt((reduced**2).mean())
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def cut(self, text: str) -> Pieces:
        """Cut a text into word pieces."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
        return Pieces(offsets[:, 0], offsets[:, 1], self._table[encoding.ids])


@cache
def shared_word_vectors() -> WordVectors:
    """Return the word vectors of this process, which takes most of a second once; nobody changes them."""
    return WordVectors()


BASE = (
    *KINDS,
    "dropped_before",
    "dropped_after",
    "sentence",
    "place",
    "in_parenthesis",
    "in_first_parenthesis",
    "first_date",
    "second_date",
    "later_date",
    "words",
    "country",
    "repeated",
    "own_title",
    "begins_sentence",
    "after_comma",
    "before_comma",
)
"""Features of a candidate that do not depend on the question."""

WINDOW = 6
"""Word pieces on either side of a candidate that count as its surroundings."""

SEARCHING, TRAINING = 32 << 20, 512 << 20
"""Bytes of the analyses that are kept, 50 kB for a passage: a training reads the same ones again and again."""
_WEIGHTS = np.float32(0.85) ** np.arange(WINDOW, dtype=np.float32)
_PARENTHESIS = re.compile(r"\(([^()]*(?:\([^()]*\)[^()]*)*)\)")
_BORN = re.compile(r"\b(?:born|b\.|né|née)\b", re.IGNORECASE)
_DIED = re.compile(r"\b(?:died|d\.|death|passed away|killed)\b", re.IGNORECASE)
_NEAR = 60
"""Characters after "born" or "died" in which its date is looked for."""


@dataclass(frozen=True, slots=True)
class Times:
    """When things happened, in years: nan where the passage does not say."""

    birth: float
    death: float
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class PassageAnalysis:
    """A passage, analysed once.

    Attributes:
        title: without its parenthesis.
        candidates: possible answers, n of them.
        answers: the candidates, normalised as answers are compared.
        base: float32 [n, len(BASE)].
        around: float16 [n, 3, DIMENSION], word vectors to the left, to the right, and of the candidate itself.
        sentence_of: int64 [n], the sentence of each candidate.
        sentences: normalised words of each sentence.
        times: what its dates say.
        countries: that it speaks of, in order.
    """

    title: str
    text: str
    candidates: tuple[Candidate, ...]
    answers: tuple[str, ...]
    base: NDArray[np.float32]
    around: NDArray[np.float16]
    sentence_of: NDArray[np.int64]
    sentences: tuple[frozenset[str], ...]
    pieces: Pieces
    times: Times
    countries: tuple[str, ...]

    @classmethod
    def of(cls, title: str, text: str, spans: Spans, vectors: WordVectors) -> PassageAnalysis:
        """Analyse a passage; ``spans`` are its sentences."""
        name = strip_parenthesis(title) if title else ""
        candidates = tuple(find_candidates(text))
        answers = tuple(normalise_answer(text[c.start : c.end]) for c in candidates)
        starts = [start for start, _ in spans]
        sentence_of = np.array([max(bisect_right(starts, c.start) - 1, 0) for c in candidates], np.int64)
        pieces = vectors.cut(text)
        dates = find_dates(text)
        base = _base_features(text, name, candidates, answers, sentence_of, starts, dates)
        sentences = tuple(frozenset(normalise_answer(text[start:end]).split()) for start, end in spans)
        around = surroundings(pieces, [(c.start, c.end) for c in candidates]).astype(np.float16)
        return cls(
            name, text, candidates, answers, base, around, sentence_of, sentences, pieces,
            times_of(text, dates), tuple(countries_of(text)),
        )  # fmt: skip


class PassageAnalyser:
    """Analyses passages, and keeps the analyses; readers may share one, and so may threads.

    Args:
        vectors: of word pieces; those of this process when None.
        most: bytes of the analyses that are kept.
    """

    def __init__(self, vectors: WordVectors | None = None, most: int = SEARCHING) -> None:
        self.vectors = vectors if vectors is not None else shared_word_vectors()
        self._kept = Bounded[tuple[str, str, Spans], PassageAnalysis](most, _weight)

    def read(self, passages: Sequence[Passage]) -> list[PassageAnalysis]:
        """Return the analyses of passages."""
        keys = [(passage.title, passage.text, passage.sentences) for passage in passages]
        found = self._kept.get(keys)
        made = {key: PassageAnalysis.of(*key, self.vectors) for key in dict.fromkeys(keys) if key not in found}
        self._kept.put(made)
        found |= made
        return [found[key] for key in keys]


def _weight(analysis: PassageAnalysis) -> int:
    arrays = (analysis.base, analysis.around, analysis.pieces.vectors, analysis.pieces.starts, analysis.pieces.ends)
    return 2000 + sum(array.nbytes for array in arrays) + 4 * len(analysis.text) + 500 * len(analysis.candidates)


def surroundings(pieces: Pieces, spans: list[tuple[int, int]]) -> Vectors:
    """Return the mean word vectors to the left, to the right and inside of spans, float32 [n, 3, DIMENSION].

    Nearer pieces weigh more; what lies beyond the ends of the text is zero.
    """
    out = np.zeros((len(spans), 3, DIMENSION), np.float32)
    if not spans:
        return out
    first, last = np.searchsorted(pieces.starts, np.array(spans, np.int64).T)
    last = np.maximum(last, first + 1)
    padded = np.pad(pieces.vectors, ((WINDOW, 2 * WINDOW), (0, 0)))
    window = np.arange(WINDOW)
    out[:, 0] = _WEIGHTS[::-1] @ padded[first[:, None] + window]
    out[:, 1] = _WEIGHTS @ padded[last[:, None] + WINDOW + window]
    until = np.pad(pieces.vectors.cumsum(axis=0, dtype=np.float64), ((1, 0), (0, 0)))
    end = np.minimum(last, len(pieces.vectors))
    out[:, 2] = (until[end] - until[np.minimum(first, end)]) / (last - first)[:, None]
    out[:, :2] /= _WEIGHTS.sum()
    return out


def times_of(text: str, dates: list[DateMention]) -> Times:
    """Read birth and death from the first parenthesis with a date, or after "born" and "died"; first and last date."""
    if not dates:
        return Times(np.nan, np.nan, np.nan, np.nan)
    birth = death = np.nan
    for match in _PARENTHESIS.finditer(text[:500]):
        inside = [date.value for date in dates if match.start() < date.start < match.end()]
        if len(inside) > 1:
            birth, death = inside[0], inside[-1]
        elif inside:
            if _DIED.search(match.group()) and not _BORN.search(match.group()):
                death = inside[0]
            else:
                birth = inside[0]
        if inside:
            break
    if np.isnan(birth):
        birth = _after(text, _BORN, dates)
    if np.isnan(death):
        death = _after(text, _DIED, dates)
    values = [date.value for date in dates]
    return Times(birth, death, values[0], values[-1])


def _after(text: str, cue: re.Pattern[str], dates: list[DateMention]) -> float:
    for match in cue.finditer(text):
        for date in dates:
            if match.end() <= date.start < match.end() + _NEAR and "." not in text[match.end() + 1 : date.start]:
                return date.value
    return float(np.nan)


def _base_features(
    text: str,
    title: str,
    candidates: tuple[Candidate, ...],
    answers: tuple[str, ...],
    sentence_of: NDArray[np.int64],
    sentence_starts: list[int],
    dates: list[DateMention],
) -> NDArray[np.float32]:
    features = np.zeros((len(candidates), len(BASE)), np.float32)
    date_order = {date.start: k for k, date in enumerate(dates)}
    parentheses = [match.span() for match in _PARENTHESIS.finditer(text)]
    title_words = set(normalise_answer(title).split())
    counts: dict[str, int] = {}
    for answer in answers:
        counts[answer] = counts.get(answer, 0) + 1
    for k, (c, answer) in enumerate(zip(candidates, answers, strict=True)):
        words = answer.split()
        inside = [n for n, (a, b) in enumerate(parentheses) if a < c.start < b]
        order = date_order.get(c.start, -1)
        features[k, c.kind] = 1
        features[k, len(KINDS) :] = (
            c.dropped[0],
            c.dropped[1],
            1 / (1 + sentence_of[k]),
            c.start / max(len(text), 1),
            bool(inside),
            bool(inside) and inside[0] == 0,
            order == 0,
            order == 1,
            order > 1,
            len(words) / 4,
            is_country(text[c.start : c.end]),
            np.log(counts[answer]),
            bool(words) and title_words.issuperset(words),
            c.start in sentence_starts,
            text[max(c.start - 2, 0) : c.start].rstrip().endswith(","),
            text[c.end : c.end + 1] == ",",
        )
    return features


@cache
def _names() -> tuple[dict[str, str], re.Pattern[str]]:
    """Return the country of each name, and a pattern of all names, the longest first."""
    table = tomllib.loads(resources.files(__package__).joinpath("countries.toml").read_text("utf-8"))
    country_of = {name: country for country, names in table.items() for name in (country, *names)}
    longest_first = sorted(country_of, key=lambda name: (-len(name), name))
    return country_of, re.compile(r"\b(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)")


def countries_of(text: str) -> list[str]:
    """Return the countries that a text speaks of, in the order of their first mention, each once."""
    country_of, pattern = _names()
    return list(dict.fromkeys(country_of[match.group()] for match in pattern.finditer(text)))


def is_country(text: str) -> bool:
    """Return whether ``text`` is the name of a country, or of what belongs to one."""
    return text in _names()[0]
