"""The one place where text from a file becomes the text that every offset counts."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


@dataclass(frozen=True, slots=True)
class NormalisedText:
    """Text after ``normalise``, and how many characters of it had to be repaired.

    Attributes:
        text: Unicode NFC, lines end in LF, no NUL, no lone surrogate, no leading byte order mark.
        nul_characters: NUL characters that were removed.
        lone_surrogates: halves of a surrogate pair that were replaced by U+FFFD.
    """

    text: str
    nul_characters: int = 0
    lone_surrogates: int = 0


def normalise(text: str) -> NormalisedText:
    """Bring text into the form that is stored, searched and counted in; a second time changes nothing.

    Source: Unicode Standard Annex 15 (NFC).
    """
    nul_characters = text.count("\0")
    if nul_characters:
        text = text.replace("\0", "")
    text, lone_surrogates = _LONE_SURROGATE.subn(_REPLACEMENT, text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.lstrip("\ufeff")
    if not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
    return NormalisedText(text, nul_characters, lone_surrogates)
