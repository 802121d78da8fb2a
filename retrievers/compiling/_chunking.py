"""Documents into passages: sentence boundaries with exact offsets, gathered up to a budget of words."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ...errors import CorpusError
from ..records import OF_DOCUMENTS, Document, Passage, Spans
from ._markdown import blocks

CountTokens = Callable[[str], int]
"""How many tokens a text is to an encoder, special tokens left out."""


_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Scripts without spaces, and strings without any (base64, addresses), must not make a word without end.
_WORD = re.compile(rf"[{_IDEOGRAPHS}]|[^\s{_IDEOGRAPHS}]{{1,64}}")

_TERMINATOR = re.compile(
    # Possessive and tied to where its run begins, so that a long row of dots takes linear time.
    "(?<![.!?…])[.!?…]++[\"'”’»)\\]]*+(?=\\s)"  # written with spaces between sentences
    "|[。！？]+[」』”’）]*"  # written without
)
_OPENING = re.compile("[\"'“‘«(\\[\\s]*")
_NEXT_WORD = re.compile(r"[^\W\d_]+")
_LONGEST_ABBREVIATION = 16


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BEFORE_NAME = _words(
    "mr mrs ms dr prof rev hon gen col capt cpt lt sgt maj adm cmdr sen rep gov pres messrs mme mlle vs cf viz e.g i.e"
)
_BEFORE_NUMBER = _words(
    "no nos nr vol vols fig figs pp ch chap sec art op eq ca approx est jan feb mar apr jun jul aug sep "
    "sept oct nov dec"
)
_BEFORE_EITHER = _words(
    "inc ltd co corp bros jr sr etc al dept univ assn st ste mt ft ave blvd rd ed eds trans hist min max"
)
_DOTTED_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]|ph\.d", re.IGNORECASE)
_SENTENCE_OPENERS = _words(
    "the an he she it they we you his her its their our this that these those there here in on at after "
    "before when while as for with by from during since until upon under over between among however "
    "although though but and or so if then thus also another both each some many most several other what "
    "who why how where which whose"
)


class _Piece(NamedTuple):
    """A sentence, or the part of a long one that fits a passage; ``size`` is what it takes of the budget."""

    start: int
    end: int
    size: int
    heading: bool


def sentence_spans(text: str) -> Spans:
    """Return ``[start, end)`` of every sentence, in order, without the white space around it.

    A sentence ends at its punctuation, at an empty line, and around a markdown heading, list item or fence. Titles
    (Mr.), initials, abbreviations and decimals end none; a few words that open sentences decide the doubtful cases.
    """
    return tuple(span for block in blocks(text) for span in _sentences(text, block.start, block.end))


def chunk(
    document: Document, words: int = 120, *, tokens: int | None = None, count_tokens: CountTokens | None = None
) -> list[Passage]:
    """Cut a document into passages of whole sentences, in order and without overlap.

    An atomic document is one passage with the document's id. Otherwise sentences are gathered up to a budget, a
    heading begins a new passage, and a longer sentence is cut between words; ids are ``<document id>#0``, ``#1`` and
    so on. Every character that is not white space is in exactly one passage.

    Args:
        document: what to cut.
        words: the budget: runs of characters without white space, single ideographs or kana, or 64 characters.
        tokens: the budget instead of words, as ``count_tokens`` counts every passage's text; a longer word is cut.
        count_tokens: counts the tokens of a text.

    Raises:
        CorpusError: a budget is below 1, or tokens are to be counted and nothing counts them.
    """
    ruler: _Words | _Tokens
    if tokens is None:
        if words < 1:
            raise CorpusError(f"a passage of {words} words cannot be made: words must be 1 or more")
        ruler = _Words(words)
    else:
        if tokens < 1:
            raise CorpusError(f"a passage of {tokens} tokens cannot be made: tokens must be 1 or more")
        if count_tokens is None:
            raise CorpusError(f"passages of {tokens} tokens need count_tokens, the counting function of an encoder")
        ruler = _Tokens(tokens, count_tokens)
    if document.atomic:
        span = (0, len(document.text))
        return [_passage(document, document.id, span, _metadata_at(document, 0))]
    spans = _gather(document.text, ruler)
    return [
        _passage(document, f"{document.id}#{number}", span, _metadata_at(document, span[0]))
        for number, span in enumerate(spans)
    ]


def _passage(document: Document, identifier: str, span: tuple[int, int], metadata: Mapping[str, Any]) -> Passage:
    start, end = span
    text = document.text[start:end]
    sentences = sentence_spans(text)
    return Passage(identifier, document.id, document.title, text, start, end, sentences, document.source, metadata)


def _metadata_at(document: Document, start: int) -> Mapping[str, Any]:
    """Return what a passage takes over of the document's metadata, and its page where the pages are known."""
    page_starts = document.metadata.get("page_starts")
    others = {name: value for name, value in document.metadata.items() if name not in OF_DOCUMENTS}
    return others if page_starts is None else {**others, "page": sum(page <= start for page in page_starts)}


def _gather(text: str, ruler: _Words | _Tokens) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    budget, used, only_headings = ruler.budget, 0, True
    for block in blocks(text):
        if block.kind == "heading" and not only_headings:
            used, only_headings = 0, True
        for start, end in _sentences(text, block.start, block.end):
            # A heading is kept with what follows it, even if a long sentence must be cut for that.
            room = budget - used if only_headings and used < budget else budget
            for piece in ruler.pieces(text, start, end, room, block.kind == "heading"):
                size = 0 if used == 0 else ruler.joined(text, spans[-1][0], used, piece)
                if used == 0 or size > budget:
                    spans.append((piece.start, piece.end))
                    used, only_headings = piece.size, piece.heading
                else:
                    spans[-1] = (spans[-1][0], piece.end)
                    used, only_headings = size, only_headings and piece.heading
    return spans


class _Words:
    """Counts words; those of a passage are those of its pieces added up."""

    def __init__(self, budget: int) -> None:
        self.budget = budget

    def pieces(self, text: str, start: int, end: int, first: int, heading: bool) -> Iterator[_Piece]:
        """Cut one sentence between words, after ``first`` of them and then where the budget is full."""
        piece_start, piece_end, count, limit = start, start, 0, first
        for word in _WORD.finditer(text, start, end):
            if count == limit:
                yield _Piece(piece_start, piece_end, count, heading)
                piece_start, count, limit = word.start(), 0, self.budget
            piece_end, count = word.end(), count + 1
        yield _Piece(piece_start, piece_end, count, heading)

    def joined(self, text: str, start: int, used: int, piece: _Piece) -> int:
        """Return the size of a passage that has ``used`` and takes the piece too."""
        return used + piece.size


class _Tokens:
    """Counts an encoder's tokens, of every passage as a whole: with some tokenizers they do not add up."""

    def __init__(self, budget: int, count: CountTokens) -> None:
        self.budget = budget
        self._count = count

    def pieces(self, text: str, start: int, end: int, first: int, heading: bool) -> Iterator[_Piece]:
        """Cut between words, and inside a word only where it is longer than the budget."""
        size = self._size(text, start, end)
        if size <= first:
            yield _Piece(start, end, size, heading)
            return
        spans = [word.span() for word in _WORD.finditer(text, start, end)]
        limit, place = first, 0
        while place < len(spans):
            begin = spans[place][0]
            # A word is hardly ever less than a token, so at most ``limit`` words are tried; the search is logarithmic.
            ends = [span[1] for span in spans[place : place + limit]]
            fitting = self._fitting(text, begin, ends, limit)
            if fitting:
                place, piece_end = place + fitting, ends[fitting - 1]
            elif limit < self.budget:
                limit = self.budget  # too long for what a heading left over: it begins a passage of its own
                continue
            else:
                characters = list(range(begin + 1, ends[0] + 1))
                piece_end = characters[max(1, self._fitting(text, begin, characters, limit)) - 1]
                spans[place] = (piece_end, ends[0])
                place += piece_end == ends[0]
            yield _Piece(begin, piece_end, self._size(text, begin, piece_end), heading)
            limit = self.budget

    def joined(self, text: str, start: int, used: int, piece: _Piece) -> int:
        """Return the size of the passage from ``start`` to the end of the piece, counted again."""
        return self._size(text, start, piece.end)

    def _size(self, text: str, start: int, end: int) -> int:
        # What an encoder does not read at all (a lone accent) still takes room, or a passage could be without end.
        return max(1, self._count(text[start:end]))

    def _fitting(self, text: str, begin: int, ends: list[int], limit: int) -> int:
        """Return how many of the ascending ``ends`` give a text of at most ``limit`` tokens from ``begin``."""
        return bisect_right(ends, limit, key=lambda end: self._size(text, begin, end))


def _sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    begin = _skip_space(text, start, end)
    while end > begin and text[end - 1].isspace():
        end -= 1
    for terminator in _TERMINATOR.finditer(text, begin, end):
        if terminator.end() < end and _ends_sentence(text, begin, end, terminator):
            yield begin, terminator.end()
            begin = _skip_space(text, terminator.end(), end)
    yield begin, end  # a block is never blank, so something is left after the last sentence that ended


def _skip_space(text: str, position: int, end: int) -> int:
    while position < end and text[position].isspace():
        position += 1
    return position


def _ends_sentence(text: str, begin: int, end: int, terminator: re.Match[str]) -> bool:
    """Tell whether the punctuation closes the sentence that starts at ``begin``."""
    opening = _OPENING.match(text, terminator.end(), end)
    following = terminator.end() if opening is None else opening.end()
    if following < end and text[following].islower():
        return False
    if terminator[0][:2].rstrip("\"'”’»)]") != ".":
        return True
    token_start = _token_start(text, begin, terminator.start())
    token = text[token_start : terminator.start()].lower()
    if token_start == begin and token.isdigit():
        return False
    if token in _BEFORE_NAME:
        return False
    if token in _BEFORE_NUMBER:
        return not text[following : following + 1].isdigit()
    if token in _BEFORE_EITHER or _DOTTED_INITIALS.fullmatch(token):
        word = _NEXT_WORD.match(text, following, end)
        return word is not None and word[0].lower() in _SENTENCE_OPENERS
    return True


def _token_start(text: str, begin: int, end: int) -> int:
    """Return where the letters, digits and dots before ``end`` begin, looking back only a little."""
    position = end
    lowest = max(begin, end - _LONGEST_ABBREVIATION)
    while position > lowest and (text[position - 1].isalnum() or text[position - 1] == "."):
        position -= 1
    return position
