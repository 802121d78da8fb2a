"""The analyser: cuts passages and questions into the terms that they are found by, both in the same way.

A text is cut at white space. Every stretch gives *words*, stems that stand in order, and *forms*, other ways to write
what it says: an identifier as a whole, with and without its separators, a word with its accents, single ideographs.
Words in ``camelCase`` are followed by their parts. What is compared is folded: NFKC, lower case, ligatures opened,
accents taken off, characters that nobody sees dropped. Scripts without spaces are cut into pairs of characters.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

LONGEST_TERM = 512
"""Bytes of the longest term; a longer word is cut into several."""

_STOP_WORDS = """
    a about above after again against all also am an and any are as at be because been before being
    below between both but by can cannot could d did do does doing down during each either few for from
    further had has have having he her here hers herself him himself his how i if in into is it its
    itself just ll m me more most my myself no nor not now of off on once only or other our ours
    ourselves out over own re s same shall she should so some such t than that the their theirs them
    themselves then there these they this those through to too under until up upon ve very was we were
    what when where which while who whom whose why will with would you your yours yourself yourselves
"""

STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Words that say nothing about a passage's subject; compared before stemming."""

_FUNCTION_WORDS = """
    a an and are as at be but by for if in into is it no not of on or such that the their then there these
    they this to was will with
"""

FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""Those of them that are in nearly every passage: in Lucene's list (its class ``EnglishAnalyzer``)."""

_CUT = 128
"""Characters of each part of a word that is cut: at most four bytes each."""

_REMEMBERED = 64
"""Characters of the longest stretch that is remembered; longer ones hardly come twice."""

_MASK = "█"
"""What stands for masked characters says nothing."""


class Terms(NamedTuple):
    """What a text is found by: the stems of its words in their order, and other forms of them."""

    words: tuple[str, ...]
    forms: tuple[str, ...]


_UNSPACED = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3040-\u30ff\u3100-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uac00-\ud7af\u1100-\u11ff\u0e00-\u0eff\u0f00-\u109f\u1780-\u17ff\U00020000-\U0003ffff"
)
"""Scripts that put no spaces between words, and Hangul, whose words carry their endings."""

_KEPT_MARKS = frozenset((0, 7, 8, 9, 84, 91, 103, 107, 118, 122, 129, 130, 132))
"""Combining classes of marks that are letters of their own: vowel signs, viramas, nuktas, tones of unspaced scripts."""

_CONNECTORS = r"\-_./\\:@+#"
"""What joins the parts of an identifier."""


def words(text: str) -> list[str]:
    """Return the stems of the words of a text, in order."""
    return [term for stretch in text.split() for term in _analysed(stretch).words]


def terms(text: str) -> Terms:
    """Return the words and the forms of a text, in order."""
    found, forms = list[str](), list[str]()
    for stretch in text.split():
        part = _analysed(stretch)
        found += part.words
        forms += part.forms
    return Terms(tuple(found), tuple(forms))


class Identifier(NamedTuple):
    """A name of a program, a part, a version or a file that a text has at ``[start, end)``, and the terms it is by."""

    terms: tuple[str, ...]
    start: int
    end: int


def identifiers(text: str) -> list[Identifier]:
    """Return the identifiers of a text: what has digits and letters, underscores or steps in it, or is in camelCase.

    Plain words, names of two humps such as YouTube, and numbers of less than six digits are none.
    """
    return [
        Identifier(names, stretch.start(), stretch.end())
        for stretch in re.finditer(r"\S+", text)
        for names in (_names_in if len(stretch[0]) <= _REMEMBERED else _named)(stretch[0])
    ]


def _named(stretch: str) -> tuple[tuple[str, ...], ...]:
    """Return the terms of each identifier in a text without white space."""
    found = []
    for part in _splitter().findall(_visible(stretch)):
        pieces = _word().findall(part)
        if pieces and _is_identifier(part, pieces):
            both = terms(part)
            whole = len(pieces) > 1 or len(part) > len(pieces[0])
            found.append(tuple(dict.fromkeys(_wholes(part, pieces) if whole else both.words[:1])))
    return tuple(found)


@lru_cache(maxsize=1 << 16)
def _names_in(stretch: str) -> tuple[tuple[str, ...], ...]:
    return _named(stretch)


def _is_identifier(part: str, pieces: list[str]) -> bool:
    digits, letters = sum(map(str.isdigit, part)), sum(map(str.isalpha, part))
    if len(pieces) == 1 and part[-1] in "+#":  # C++
        return True
    if len(pieces) == 1 and "_" not in part:
        humps = len(_parts(part))
        if digits:
            return len(part) > _SHORT and (digits >= _LONG_NUMBER or (letters > 0 and not _COUNTED.fullmatch(part)))
        return humps >= _HUMPS or (part[0].islower() and humps > 1 and len(part) > _HUMPED)
    if not letters:
        return digits >= _LONG_NUMBER or part.count(".") > 1
    marks = set(part) - set("-'’").union(*pieces)
    if not marks:  # hyphens alone: COVID-19, but neither well-known nor mid-1990s
        return digits > 0 and any(map(str.isupper, part)) and not any(map(_COUNTED.fullmatch, pieces))
    if marks <= {"/"}:
        return part.count("/") > 1 or digits > 0
    return marks != {"."} or digits > 0 or all(len(piece) > 1 for piece in pieces)


_SHORT = 3
_LONG_NUMBER = 7
_HUMPS = 3
_HUMPED = 7
"""Characters up to which a word like iPhone is the name of a product."""

_COUNTED = re.compile(r"\d+[a-zA-Z]{1,2}")
"""A number with its ending or unit: 20th, 1990s, 5km."""


def _visible(stretch: str) -> str:
    """Return a text as it is compared, without what nobody sees."""
    return stretch if stretch.isascii() else unicodedata.normalize("NFKC", stretch.translate(_invisible()))


def _analysed(stretch: str) -> Terms:
    return _remembered(stretch) if len(stretch) <= _REMEMBERED else _terms_of(stretch)


@lru_cache(maxsize=1 << 18)
def _remembered(stretch: str) -> Terms:
    return _terms_of(stretch)


def _terms_of(stretch: str) -> Terms:
    """Return the terms of a text without white space."""
    if stretch.isascii() and stretch.isalpha() and (stretch.islower() or stretch.istitle()):
        return Terms(tuple(map(_stem, _pieces(stretch.lower()))), ())
    found, forms = list[str](), list[str]()
    for part in _splitter().findall(_visible(stretch)):
        _add(part, found, forms)
    return Terms(tuple(found), tuple(forms))


def _add(part: str, found: list[str], forms: list[str]) -> None:
    """Add the terms of a word, an identifier or a symbol."""
    if _symbol().fullmatch(part):
        forms.append(part)
        return
    pieces = _word().findall(part)
    for piece in pieces:
        _add_word(piece, found, forms)
    if not pieces:  # underscores alone
        forms += _pieces(part)
    elif len(pieces) > 1 or len(part) > len(pieces[0]):
        forms += dict.fromkeys(_wholes(part, pieces))


def _add_word(word: str, found: list[str], forms: list[str]) -> None:
    """Add the terms of a word, a run of letters, digits and marks."""
    if _unspaced().match(word):
        clusters = _cluster().findall(word)
        pairs = [first + second for first, second in pairwise(clusters)]
        found += (piece for term in pairs or clusters for piece in _pieces(term))
        forms += (piece for cluster in clusters if pairs for piece in _pieces(cluster))
        return
    lowered = word.lower()
    plain = lowered if lowered.isascii() else _without_accents(lowered)
    found += map(_stem, _pieces(plain))
    if plain != lowered:
        forms += _pieces(lowered)
    parts = _parts(word)
    if len(parts) > 1:
        found += (_stem(_without_accents(part.lower())) for part in parts)


def _wholes(part: str, pieces: list[str]) -> Iterator[str]:
    """Return the forms of an identifier as a whole, and of the components of a path or an address."""
    lowered = _ENDING.sub("", _without_accents(part.lower()))
    simple = all(piece.isalpha() for piece in pieces) and set(part) <= set("-'’").union(*pieces)
    if len(lowered.encode()) <= LONGEST_TERM:
        if not simple:
            yield lowered
        joined = _JOINT.sub("", lowered)
        if joined != lowered and joined not in map(str.lower, pieces) and len(joined) <= _LONGEST_JOINED:
            yield _stem(joined)
    else:
        yield from _pieces(lowered)
    if simple:
        return
    if _VERSION.match(lowered):
        yield lowered[1:]
    for separator in (_STEPS, _NAMES):
        components = [component for component in separator.split(lowered) if component]
        for component in components if len(components) > 1 else ():
            inner = _word().findall(component)
            if len(inner) > 1:
                yield from _wholes(component, inner)


_ENDING = re.compile(r"['’](?:s|t|re|ve|ll|d|m)$")
"""What an English word is contracted with, or says whose something is."""

_JOINT = re.compile(r"(?<!\d)[\W_]+|[\W_]+(?!\d)|[^\w.]+|_+")
"""What is left out when the parts of an identifier are joined: all but the points of numbers."""

_LONGEST_JOINED = 40
"""Characters of the longest identifier that somebody may write without its separators."""

_STEPS = re.compile(r"[/\\:@#]+")
"""What parts the steps of a path or an address."""

_NAMES = re.compile(r"\W+")
"""What parts the names of a program."""

_VERSION = re.compile(r"v\d")


def _pieces(word: str) -> Iterable[str]:
    """Return a word, or its parts where it is too long for a term."""
    if len(word) <= _CUT:
        return (word,)
    if len(word) <= LONGEST_TERM and len(word.encode()) <= LONGEST_TERM:
        return (word,)
    return (word[first : first + _CUT] for first in range(0, len(word), _CUT))


def _parts(word: str) -> list[str]:
    """Return the parts of a word in camelCase, or of letters and digits; the word itself where it has none."""
    if len(word) > LONGEST_TERM or (word.isalpha() and (word.islower() or word.isupper() or word[1:].islower())):
        return [word]
    if word.isdigit():
        return [word]
    found, start = list[str](), 0
    for place in range(1, len(word)):
        before, here = word[place - 1], word[place]
        after = word[place + 1 : place + 2]
        new = before.isdigit() != here.isdigit()
        new = new or (here.isupper() and (before.islower() or (before.isupper() and after.islower())))
        if new:
            found.append(word[start:place])
            start = place
    # Letters and digits in turns are a sum or a key, of which no part says anything.
    return [word] if len(found) >= _MOST_PARTS and not word.isalpha() else [*found, word[start:]]


_MOST_PARTS = 6


@lru_cache(maxsize=1 << 16)
def _without_accents(word: str) -> str:
    """Return a word in lower case without accents, and with the letters of plain Latin for others like them."""
    if word.isascii():
        return word
    parts = unicodedata.normalize("NFD", word)
    plain = "".join(char for char in parts if unicodedata.combining(char) in _KEPT_MARKS)
    plain = unicodedata.normalize("NFC", plain)
    folded: list[str] = _ascii_folder().analyze(plain)
    return folded[0] if folded else plain


@cache
def _ascii_folder() -> Any:
    import tantivy

    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw())
        .filter(tantivy.Filter.ascii_fold())
        .filter(tantivy.Filter.lowercase())
        .build()
    )


@lru_cache(maxsize=1 << 18)
def _stem(word: str) -> str:
    """Return the stem of a word; stop words stay as they are, and no other word becomes one of them.

    Stems are those of the Snowball English stemmer (https://snowballstem.org/algorithms/english/stemmer.html).
    """
    if word in STOP_WORDS:
        return word
    # A Stemmer object is not safe for two threads at once, and making one costs little beside a miss.
    import Stemmer

    stem: str = Stemmer.Stemmer("english", 0).stemWord(word)
    return word if stem in STOP_WORDS else stem


@cache
def _classes() -> tuple[str, str]:
    """Return the marks (category M) and the symbols (category S, beyond ASCII) as the inside of a character class."""
    marks, symbols = [], []
    for code in range(0x10000):
        kind = unicodedata.category(chr(code))
        if kind[0] == "M":
            marks.append(chr(code))
        elif (kind[0] == "S" and code > 0x7F and chr(code) != _MASK) or kind == "Co":
            symbols.append(chr(code))
    return "".join(marks), "".join(map(re.escape, symbols)) + "\U0001f000-\U0001faff\U000f0000-\U0010ffff"


@cache
def _invisible() -> dict[int, None]:
    """Return the characters that nobody sees: category Cf, variation selectors, the grapheme joiner, and masks."""
    every = (code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) == "Cf")
    selectors = (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0), 0x34F, 0x180B, 0x180C, 0x180D, ord(_MASK))
    return dict.fromkeys((*every, *selectors))


@cache
def _word() -> re.Pattern[str]:
    marks, _ = _classes()
    run = rf"[{_UNSPACED}](?:[{_UNSPACED}{marks}])*"
    return re.compile(rf"{run}|[^\W_{_UNSPACED}](?:[^\W_{_UNSPACED}]|[{marks}])*")


@cache
def _splitter() -> re.Pattern[str]:
    marks, symbols = _classes()
    word = rf"\w(?:[\w{marks}])*+"
    # Commas join digits only; what ends C++ and C#, and begins .NET, belongs to it.
    joint = rf"(?:[{_CONNECTORS}‐]{{1,3}}|(?<=\d),(?=\d)|(?<=[A-Z])&(?=[A-Z])|['’])"
    return re.compile(
        rf"(?:(?<!\S)\.(?=[^\W\d_]))?{word}(?:{joint}{word})*+(?:(?<=[^\W\d_])(?:\+\+|\#)(?!\w))?|[{symbols}]"
    )


@cache
def _symbol() -> re.Pattern[str]:
    _, symbols = _classes()
    return re.compile(rf"[{symbols}]")


@cache
def _unspaced() -> re.Pattern[str]:
    return re.compile(rf"[{_UNSPACED}]")


@cache
def _cluster() -> re.Pattern[str]:
    marks, _ = _classes()
    return re.compile(rf".[{marks}]*", re.DOTALL)
