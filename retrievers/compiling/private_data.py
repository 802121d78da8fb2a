"""What private data looks like in a text: patterns with the checks that tell it from other numbers and words.

Every pattern takes linear time on any input: repeats are bounded or possessive, and where a run of characters could be
entered anywhere, a look-behind lets it be entered at its beginning only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from stdnum import ean, iban, luhn, numdb

Span = tuple[int, int]

_LOCAL = r"\w.!#$%&'*+=^~\-"
"""Of the characters that RFC 5322 allows in a local part, those in use; a slash is the end of a folder."""

_EMAIL = re.compile(rf'(?:(?<![{_LOCAL}])[{_LOCAL}]++|"[^"\n]{{1,64}}")@([\w\-]++(?:\.[\w\-]++)++)')
_TOP_DOMAIN = re.compile(r"[^\W\d_]{2,63}|xn--[\w\-]{1,59}", re.IGNORECASE)

_BETWEEN_DIGITS = r"[ \t\n.\-/()\u00a0\u2009\u202f\u2010-\u2013]"
_PHONES = (
    # With a country code: +1 has ten digits more, others 6 to 14.
    re.compile(
        rf"(?<!\w)\+{_BETWEEN_DIGITS}{{0,2}}"
        rf"(?:1(?:{_BETWEEN_DIGITS}{{0,3}}\d){{10}}(?!\d)|[1-9](?:{_BETWEEN_DIGITS}{{0,3}}\d){{6,14}}(?!\d))"
    ),
    re.compile(rf"(?<![\w.,+\-])00(?=[ ]?[1-9])(?:{_BETWEEN_DIGITS}{{0,3}}\d){{8,15}}(?!\d)"),
    # North America: (212) 555-0100, 212-555-0100, 1 212.555.0100
    re.compile(
        r"(?<![\w.+\-(])(?<!\d[ ])(?:1[ .\-]{1,2})?(?:\([2-9]\d{2}\)[ .\-]{0,2}|[2-9]\d{2}[ .\-]{1,2})"
        r"[2-9]\d{2}[ .\-]{0,2}\d{4}(?![\w\-]|\.\d)"
    ),
    # National, with the leading 0 that dials out of town: 0170 1234567, (030) 123456, 020 7946 0018, 01 23 45 67 89
    re.compile(
        r"(?<![\w.+,\-(])(?<!\d[ /])\(?0[1-9]\d{1,4}\)?(?:[ .\-/\u00a0]{1,3}|(?<=\)))"
        r"\d{2,8}(?:[ .\-\u00a0]\d{2,8}){0,3}(?![\w\-])"
    ),
    re.compile(r"(?<![\w.+,\-])0[1-9](?:[ .\-\u00a0]\d{2}){4}(?![\w\-]|\.\d)"),
    re.compile(r"(?<![\w.+,\-])07\d{9}(?!\w)"),
)
_AFTER_PHONE_WORD = re.compile(
    r"(?<![^\W_])(?:tele)?(?:phone|fon|fax)|(?<![^\W_])(?:tel|téléphone|teléfono|telefono|mobile|mobil|cell|handy|whatsapp"
    r"|call|dial|ring|sms|text)(?![^\W\d_])",
    re.IGNORECASE,
)
_PHONE_VALUE = re.compile(
    rf"(?:[ _\-]?(?:no|nr|num|number|us|me|him|her|them|phone))?[\"'.:#=\s]{{0,4}}(?:(?:is|at|on|:|=)\s{{0,3}})?[\"']?"
    rf"([+(]{{0,2}}\d(?:{_BETWEEN_DIGITS}{{0,3}}\d){{5,14}})(?!\d)",
    re.IGNORECASE,
)
_NO_PHONE_BEFORE = re.compile(r"(?:isbn|issn|doi|ean|upc|pmid)(?:-1[03])?[:\s]{0,3}$", re.IGNORECASE)
_ZIP_PLUS_FOUR = re.compile(r"\d{5}-\d{4}")
_YEARS = re.compile(r"(?:1[0-9]|20)\d\d")

_DIGIT_RUN = re.compile(r"(?<!\d)\d++(?:[ \t\n.\-\u00a0\u2009\u202f\u2010-\u2013]{1,3}\d++)*+")
_CARD_SHAPES = ((4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (4, 4, 4, 4, 2), (4, 4, 4, 4, 1), (4, 4, 4, 1))
_ISBN_13 = ("978", "979")
_GROUP = re.compile(r"\d+")

_IBAN_START = re.compile(r"(?<![^\W_])[A-Z]{2}\d{2}(?=[ \u00a0\u202f\-\n]?[A-Z0-9])", re.IGNORECASE)
_FIELD_LENGTH = re.compile(r"(\d+)!")
_IBAN_GAPS = " \u00a0\u202f-\n"

_V4 = re.compile(r"(?<!\d)(?<!\d\.)\d{1,3}(?:\.\d{1,3}){3}(?!\d)(?!\.\d)")
_V6 = re.compile(r"(?<![\w:])(?<!\d\.)(?=[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:.]++(?!\w)")
_LONGEST_V6 = 45
_NUMBERING = re.compile(
    r"(?<![^\W\d_])(?:v|ver|vers|version|versions|release|rev|revision|build|firmware|sec|sect|section|chapter|clause"
    r"|paragraph|article|rule|step|§+)[.:]?\s{0,2}$",
    re.IGNORECASE,
)


def emails(text: str) -> Iterator[Span]:
    """Yield e-mail addresses: a local part, ``@``, and a domain whose last label is letters."""
    for match in _EMAIL.finditer(text):
        if _TOP_DOMAIN.fullmatch(match[1].rpartition(".")[2].rstrip("-_")):
            yield match.span()


def phones(text: str) -> Iterator[Span]:
    """Yield phone numbers: with a country code, in a national form, or any 6 to 15 digits after a word like "phone"."""
    for pattern in _PHONES:
        for match in pattern.finditer(text):
            number = match[0]
            if not (
                _ZIP_PLUS_FOUR.fullmatch(number)
                or _NO_PHONE_BEFORE.search(text, max(0, match.start() - 12), match.start())
                or not 7 <= sum(map(str.isdigit, number)) <= 17
            ):
                yield match.span()
    for word in _AFTER_PHONE_WORD.finditer(text):
        value = _PHONE_VALUE.match(text, word.end())
        if value and not _is_years(_GROUP.findall(value[1])):
            yield value.span(1)


def cards(text: str) -> Iterator[Span]:
    """Yield payment card numbers: 13 to 19 digits that satisfy the Luhn formula (ISO/IEC 7812-1, annex B).

    Digits may stand in groups. ISBN-13, times in milliseconds and rows of years are left alone. Beside other numbers
    the groups must be those that cards are printed in.
    """
    for run in _DIGIT_RUN.finditer(text):
        groups = [match.span() for match in _GROUP.finditer(text, run.start(), run.end())]
        whole = [text[start:end] for start, end in groups]
        if len(groups) <= 7 and all(len(group) >= 3 for group in whole[:-1]) and _is_card(whole):
            yield run.span()
            continue
        place = 0
        while place < len(groups):
            taken = _card_groups(whole, place)
            if taken:
                yield groups[place][0], groups[place + taken - 1][1]
            place += taken or 1


def _card_groups(groups: list[str], place: int) -> int:
    """Return how many groups from ``place`` on are a card; 0 when none are."""
    for shape in _CARD_SHAPES:
        part = groups[place : place + len(shape)]
        if tuple(map(len, part)) == shape and _is_card(part):
            return len(shape)
    return int(13 <= len(groups[place]) <= 19 and _is_card(groups[place : place + 1]))


def _is_card(groups: list[str]) -> bool:
    if not 13 <= sum(map(len, groups)) <= 19 or (len(groups) > 1 and _is_years(groups)):
        return False
    digits = "".join(groups)
    if len(digits) == 13 and digits.startswith("1"):
        return False  # milliseconds since 1970; cards of 13 digits begin with 4 to 6
    if len(digits) == 13 and digits.startswith(_ISBN_13) and ean.is_valid(digits):
        return False
    return bool(digits.strip("0")) and luhn.is_valid(digits)


def _is_years(groups: list[str]) -> bool:
    return all(_YEARS.fullmatch(group) for group in groups)


def ibans(text: str) -> Iterator[Span]:
    """Yield bank account numbers: form by country, ISO 7064 MOD 97-10; in groups or in one, large or small."""
    for start in _IBAN_START.finditer(text):
        length = _iban_length(start[0][:2].upper())
        if not length:
            continue
        end, characters = start.start(), list[str]()
        while end < len(text) and len(characters) < length:
            gap = text[end] in _IBAN_GAPS
            if gap and text[end - 1] in _IBAN_GAPS:
                break
            if not gap:
                if not (text[end].isascii() and text[end].isalnum()):
                    break
                characters.append(text[end].upper())
            end += 1
        whole = len(characters) == length and not text[end : end + 1].isalnum()
        if whole and iban.is_valid("".join(characters), check_country=False):
            yield start.start(), end


@cache
def _iban_length(country: str) -> int:
    """Return how many characters an IBAN of a country has (SWIFT IBAN Registry, ISO 13616); 0 where there are none."""
    form = numdb.get("iban").info(country)[0][1].get("bban", "")
    return sum(map(int, _FIELD_LENGTH.findall(form)), 4) if form else 0


def ip_addresses(text: str) -> Iterator[Span]:
    """Yield IPv4 addresses (four numbers up to 255; none after "version" or "section") and IPv6 addresses."""
    for match in _V4.finditer(text):
        if _valid(match[0], IPv4Address) and not _NUMBERING.search(text, max(0, match.start() - 14), match.start()):
            yield match.span()
    for match in _V6.finditer(text):
        address, before = match[0], ""
        while address != before and not _valid(address, IPv6Address):
            before, address = address, address[: -1 if address[-1:] in (".", ":") else None]
        if _valid(address, IPv6Address) and any(map(str.isdigit, address)):
            yield match.start(), match.start() + len(address)


def _valid(address: str, kind: type[IPv4Address] | type[IPv6Address]) -> bool:
    if len(address) > _LONGEST_V6:
        return False
    try:
        kind(address)
    except AddressValueError:
        return False
    return True
