"""Where sentences end, with exact offsets."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..records import Markup, Spans
from ._markdown import Block, blocks

_LINE = re.compile(r"[^\n]+")
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


def sentence_spans(text: str, markup: Markup = "markdown") -> Spans:
    """Return ``[start, end)`` of every sentence, in order, without the white space around it.

    A sentence ends at its punctuation and with its paragraph, heading or list item; the lines of code and the rows of
    a table are sentences. Titles (Mr.), initials, abbreviations and decimals end none; a few words that open
    sentences decide the doubtful cases.
    """
    return tuple(span for block in blocks(text, markup) for span in sentences_of_block(text, block))


def sentences_of_block(text: str, block: Block) -> Iterator[tuple[int, int]]:
    """Yield ``[start, end)`` of the sentences of a block; of code and tables they are the lines."""
    if block.kind in ("lines", "table"):
        yield from _lines(text, block.start, block.end)
    else:
        yield from _sentences(text, block.start, block.end)


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for line in _LINE.finditer(text, start, end):
        words = line[0].strip()
        if words:
            begin = line.start() + line[0].index(words[0])
            yield begin, begin + len(words)


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
