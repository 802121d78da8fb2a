"""The encoding of a text file: its byte order mark, UTF-8, what the file declares, or the likeliest for its bytes."""

from __future__ import annotations

import codecs
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ...errors import CorpusError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROL = bytes({*range(0x20), 0x7F} - {0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F})
_SAMPLE = 1 << 16
_MOST_CONTROL = 0.05
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
_IN_WORD = re.compile(rb"(?<=[A-Za-z])[\x80-\xff]+|[\x80-\xff]+(?=[A-Za-z])")
"""A byte that stands alone is a sign more often than a letter, and says nothing of the language."""

_KANA_HALF = re.compile("[\uff61-\uff9f]")
_JAPANESE_ESCAPE = re.compile(rb"\x1b\$[@B]")

_TYPOGRAPHIC = "„“”‘’…–—«»‹›°€£§·©®\u00a0¿¡•™"
_LATIN = (
    # The letters beyond ASCII that the languages of an encoding are written with.
    (
        "cp1252",
        ("àâæçéèêëîïôœùûüÿ", "äöüßé", "áéíñóúüªº", "àèéìíîòóù", "ãáâàçéêíóôõúºª", "æøåéöäü", "åäöé", "áðéíóúýþæö"),
    ),
    ("cp1250", ("áčďéěíňóřšťúůýž", "ąćęłńóśźż", "áéíóöőúüű", "áäčďéíĺľňóôŕšťúýž", "čćđšž", "ăâîşţ")),
    ("iso8859_2", ("áčďéěíňóřšťúůýž", "ąćęłńóśźż", "áéíóöőúüű", "áäčďéíĺľňóôŕšťúýž", "čćđšž", "ăâîşţ")),
    ("cp1254", ("âçğıîöşüû",)),
    ("cp1257", ("āčēģīķļņšūž", "ąčęėįšųūž", "äõöüšž")),
    ("mac_roman", ("àâæçéèêëîïôœùûüÿ", "äöüßé", "áéíñóúü", "àèéìòù", "æøåéöäü")),
    ("cp850", ("àâæçéèêëîïôùûüÿ", "äöüßé", "áéíñóúü", "àèéìòù", "æøåéöäü")),
    ("cp852", ("áčďéěíňóřšťúůýž", "ąćęłńóśźż", "áéíóöőúüű")),
)
_OTHERS = (
    *("cp932", "euc_jp", "gb18030", "big5hkscs", "cp949", "cp1251", "koi8_r", "cp866", "iso8859_5"),
    *("cp1253", "iso8859_7", "cp1255", "cp1256", "cp1252", "cp1250"),
)
"""Encodings in which letters beyond ASCII stand beside each other."""

_THAI_MARK = re.compile("[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]")
_THAI_ALONE = re.compile("(?<![\u0e01-\u0e2e\u0e31\u0e34-\u0e3a\u0e47-\u0e4e])[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]")
_CYRILLIC = ("cp1251", "koi8_r", "cp866", "iso8859_5", "mac_cyrillic")


class Decoded(NamedTuple):
    """A text, the encoding that was found for it (None for UTF-8), and how many bytes no character was found for."""

    text: str
    encoding: str | None
    replaced: int = 0

    @property
    def note(self) -> str:
        """What the report says, "" where the file is sound UTF-8."""
        replaced = f"{self.replaced:,} places that are not valid were replaced by U+FFFD" if self.replaced else ""
        return ", ".join(filter(None, (f"read as {self.encoding}" if self.encoding else "", replaced)))


def decode_text(data: bytes, path: Path, declared: str | None = None) -> Decoded:
    """Decode a text file in time linear in its size.

    Args:
        data: the file's bytes.
        path: of the file, for the error.
        declared: the encoding that the file itself names (HTML, XML), asked where it is not UTF-8.

    Raises:
        CorpusError: the bytes are no text in any encoding.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _replacing(data[len(mark) :], encoding)
    if _JAPANESE_ESCAPE.search(data) and (found := _strict(data, "iso2022_jp")):
        return found
    wide = _wide(data)
    if wide is not None and (found := _strict(data, wide)):
        return found
    _refuse_binary(data, path)
    text = _utf8(data)
    if text is not None:
        return Decoded(text, None)
    if declared is not None and (found := _declared(data, declared)):
        return found
    damaged = data.decode("utf-8", errors="replace")
    if _mostly_utf8(data, damaged):
        return Decoded(damaged, None, damaged.count("\ufffd"))
    likeliest = _likeliest(data)
    if likeliest is None:
        raise CorpusError("is no text in any encoding that is known: save it as UTF-8", path)
    return _replacing(data, likeliest)


def _utf8(data: bytes) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _strict(data: bytes, encoding: str) -> Decoded | None:
    try:
        return Decoded(data.decode(encoding), encoding)
    except UnicodeDecodeError:
        return None


def _replacing(data: bytes, encoding: str) -> Decoded:
    text = data.decode(encoding, errors="replace")
    return Decoded(text, None if encoding == "utf-8" else encoding, text.count("\ufffd"))


def _declared(data: bytes, name: str) -> Decoded | None:
    """Decode by a declaration; browsers read Latin-1 and ASCII as Windows-1252 (WHATWG Encoding Standard)."""
    try:
        encoding = codecs.lookup(name.strip()).name
        if encoding in ("iso8859-1", "ascii"):
            encoding = "cp1252"
        decoded = data.decode(encoding, errors="replace")
    except (LookupError, ValueError):
        return None
    replaced = decoded.count("\ufffd")
    return Decoded(decoded, encoding, replaced) if replaced <= len(decoded) // 100 else None


def _wide(data: bytes) -> str | None:
    """Return the UTF-16 or UTF-32 that a text without a mark is in, where it reads as text with spaces or lines."""
    sample = data[: _SAMPLE & ~3]
    if len(sample) < 4 or b"\0" not in sample:
        return None
    best, most = None, 0
    for encoding, width in (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2)):
        found = _strict(sample, encoding) if len(data) % width == 0 else None
        if found is None:
            continue
        gaps = sum(map(found.text.count, " \n\r\t"))
        printable = sum(map(str.isprintable, found.text)) + sum(map(found.text.count, "\n\r\t"))
        if gaps > most and printable > 0.97 * len(found.text):
            best, most = encoding, gaps
    return best


def _refuse_binary(data: bytes, path: Path) -> None:
    """Raise where the bytes are those of a program or a picture: control characters are in no text."""
    sample = data[:_SAMPLE]
    control = len(sample) - len(sample.translate(None, _CONTROL))
    few = control <= max(2, _MOST_CONTROL * len(sample))
    if not few or (b"\0" in sample and control > 2 and _utf8(data) is None):
        raise CorpusError(f"is no text: {control:,} of its first {len(sample):,} bytes are control characters", path)


def _mostly_utf8(data: bytes, damaged: str) -> bool:
    """Return whether a text is UTF-8 but for a few bytes: four characters beyond ASCII to each that is damaged."""
    replaced = damaged.count("\ufffd")
    beyond = len(damaged) - len(damaged.encode("ascii", errors="ignore")) - replaced
    return beyond >= 4 * replaced


def _likeliest(data: bytes) -> str | None:
    """Return the likeliest encoding of bytes that are not UTF-8, by the lines that have some beyond ASCII."""
    lines, size = [], 0
    for line in data.split(b"\n"):
        if not line.isascii():
            lines.append(line[:_SAMPLE])
            size += len(lines[-1])
            if size > _SAMPLE:
                break
    sample = b"\n".join(lines)
    runs = _HIGH_RUN.findall(sample)
    high = sum(map(len, runs))
    latin, share = _latin(b"".join(_IN_WORD.findall(sample)))
    in_runs = sum(len(run) for run in runs if len(run) > 1)
    if in_runs < 0.4 * high or (share > 0.9 and 2 * high < len(sample)):
        return latin
    if _is_thai(sample):
        return "cp874"
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_isolation=list(_OTHERS)).best()
    if best is None or len(_KANA_HALF.findall(str(best))) > 0.3 * len(str(best)):
        return _cyrillic(sample)
    return best.encoding


def _latin(high: bytes) -> tuple[str, float]:
    """Return the encoding in which bytes beyond ASCII are letters of one language, and what share of them is.

    Of equals it is the first.
    """
    best, most = "cp1252", 0.0
    for encoding, languages in _LATIN:
        decoded = high.decode(encoding, errors="replace")
        for letters in languages:
            known = _with_capitals(letters)
            share = sum(char in known for char in decoded) / max(1, len(decoded))
            if share > most + 1e-9:
                best, most = encoding, share
    return best, most


def _is_thai(sample: bytes) -> bool:
    """Return whether bytes are Thai: vowels and tones above or below stand after what they belong to."""
    found = _strict(sample, "cp874")
    if found is None or _THAI_ALONE.search(found.text):
        return False
    return len(_THAI_MARK.findall(found.text)) > 0.1 * len(found.text)


@cache
def _with_capitals(letters: str) -> frozenset[str]:
    return frozenset(letters + letters.upper() + _TYPOGRAPHIC)


def _cyrillic(sample: bytes) -> str | None:
    """Return the encoding in which words are written in small letters, None where none reads as words."""
    best, most = None, 0.6
    for encoding in _CYRILLIC:
        decoded = sample.decode(encoding, errors="replace")
        letters = [char for char in decoded if char > "\x7f"]
        share = sum("а" <= char <= "я" for char in letters) / max(1, len(letters))
        if share > most:
            best, most = encoding, share
    return best
