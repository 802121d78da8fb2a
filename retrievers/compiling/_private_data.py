"""What private data looks like in a text: patterns with the checks that tell it from other numbers and words.

Every pattern takes linear time on any input: repeats are bounded or possessive, and where a run of characters could be
entered anywhere, a look-behind lets it be entered at its beginning only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from itertools import pairwise
from math import log2

from stdnum import ean, iban, luhn, numdb

from ..words._analyser import STOP_WORDS

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
        if run.end() - run.start() < 13:
            continue
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
        whole = match[0]
        address, before = whole[: max(len(whole.rstrip(".:")), _LONGEST_V6)], ""
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


_BLOCK_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_BLOCK_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_BLOCK_BODY = re.compile(
    r"(?:(?:\\[nr]|\s){0,4}[A-Za-z0-9+/=]{16,}+)*+(?:(?:\\[nr]|\s){1,4}[A-Za-z0-9+/]{1,15}={0,2}(?=\s|$))?"
)
_LONGEST_BLOCK = 20_000

_TOKENS = (
    r"(?<![A-Za-z0-9])(?:AKIA|ASIA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])",  # AWS key ids
    r"(?<![A-Za-z0-9])gh[oprsu]_[A-Za-z0-9]{30,}+",  # GitHub
    r"(?<![\w\-])github_pat_\w{20,}+",
    r"(?<![\w\-])gl(?:pat|dt|rt|soat)-[\w\-]{16,}+",  # GitLab
    r"(?<![\w\-])xox[a-z](?:\.xox[a-z])?-[\w\-]{10,}+|(?<![\w\-])xapp-[\w\-]{10,}+",  # Slack
    r"hooks\.slack\.com/(?:services|workflows|triggers)/[\w/\-]{10,}+",
    r"(?<![\w\-])AIza[\w\-]{30,}+|(?<![\w\-])ya29\.[\w.\-]{20,}+|(?<![\w\-])GOCSPX-[\w\-]{20,}+",  # Google
    r"(?<![\w\-])eyJ[\w\-]{8,}+\.eyJ[\w\-]{4,}+(?:\.[\w\-]*+)*+",  # JSON Web Token, RFC 7519
    r"(?<![\w\-])(?:sk|rk|pk)_(?:live|test)_\w{10,}+|(?<![\w\-])whsec_\w{16,}+",  # Stripe
    r"(?<![\w\-])sk-[\w\-]{20,}+",  # makers of language models
    r"(?<![\w\-])(?:hf|npm|dop_v1|shpat|shpss)_\w{20,}+|(?<![\w\-])pypi-[\w\-]{30,}+",
    r"(?<![\w\-])SG\.[\w\-]{16,}+\.[\w\-]{16,}+",  # SendGrid
)
_TOKEN = re.compile("|".join(_TOKENS))
_USER_AND_PASSWORD = re.compile(r"://[^\s/:@]{0,64}:([^\s/@]{1,256})@")

_PASSWORD_WORD = r"pass[_\- ]?(?:word|wd|phrase|code)|passwd|pwd|passwort|kennwort|contraseña|mot de passe|wachtwoord"
_SECRET_WORD = (
    r"secret|api[_\- ]?key|apikey|(?:access|auth|private|signing|encryption|account|master|session|storage)[_\- ]?key"
    r"|token|credentials?|connection[_\- ]?string"
)
_OPERATOR = r"[\w\-]{0,24}[\"'\])]{0,2}\s{0,8}(?:=>|:=|={1,3}|:|->|\s(?:is|was|lautet|es|est)\s{0,2}:?)\s{0,8}"
_ASSIGNMENT = re.compile(
    rf"(?:(?P<password>{_PASSWORD_WORD})|(?P<secret>{_SECRET_WORD}))(?P<operator>{_OPERATOR})"
    r"(?:[bruf]{0,2}(?P<quote>[\"'`])(?P<quoted>(?:(?!(?P=quote))[^\n]){1,512}+)|(?P<bare>[^\s\"'`]\S*+))",
    re.IGNORECASE,
)
_BARE_SECRET = re.compile(r"[\w+/=.~@#$%^&*!?\-]+")
_NO_VALUE_WORDS = """
    any bool changed empty encrypted expired false forgotten given hashed hidden incorrect invalid missing n/a na needed
    nil no none null off on optional protected required set str string tba tbd true unknown unset wrong yes
"""
_NO_VALUES = frozenset(_NO_VALUE_WORDS.split())
_TRAILING = ".,;:)]}>\"'"

_KEY_WORD = re.compile(
    r"(?<![^\W_])(?:[\w\-]{0,16}(?:key|token|secret)|bearer|basic|auth\w{0,10}|credentials?|signature|pass\w{0,8}|hmac|sas|pat)"
    r"(?=\W)",
    re.IGNORECASE,
)
_RANDOM_STRING = re.compile(
    r"(?:[^\w\n]{1,4}[A-Za-z]{1,12}){0,3}?[^\w\n]{1,4}(?P<value>[A-Za-z0-9+/_.~\-]{16,}+={0,2})",
)
_LEAST_BITS = 3.0
"""Shannon entropy per character; 16 random hexadecimal digits have 3.2 on average."""

_MANY_BITS = 3.8
"""More than words with a number behind them have."""

_FIELD = re.compile(rf"(?:{_PASSWORD_WORD}|{_SECRET_WORD})\W{{0,2}}$", re.IGNORECASE)


def credentials(text: str) -> Iterator[Span]:
    """Yield credentials; spans may overlap."""
    yield from _key_blocks(text)
    for match in _TOKEN.finditer(text):
        yield match.span()
    for match in _USER_AND_PASSWORD.finditer(text):
        yield match.span(1)
    for match in _ASSIGNMENT.finditer(text):
        span = _assigned(match)
        if span is not None:
            yield span
    reach = 0
    for word in _KEY_WORD.finditer(text):
        found = _RANDOM_STRING.match(text, word.end()) if word.start() >= reach else None
        if found:
            reach = found.end()  # a key word inside a string that was looked at begins nothing new
            if is_random(found["value"]):
                yield found.span("value")


def names_a_credential(field: str) -> bool:
    """Return whether the value of a field of this name is a credential, whatever it looks like."""
    return _FIELD.search(field) is not None


def is_random(value: str) -> bool:
    """Return whether a string has letters and digits mixed as no word, number or path has."""
    bare = value.strip("=.-_~/")
    digits = sum(map(str.isdigit, bare))
    letters = sum(map(str.isalpha, bare))
    if len(bare) < 16 or not digits or not letters:
        return False
    counts = Counter(bare)
    bits = -sum(count / len(bare) * log2(count / len(bare)) for count in counts.values())
    changes = sum(first.isdigit() != second.isdigit() for first, second in pairwise(filter(str.isalnum, bare)))
    return bits >= _MANY_BITS or (bits >= _LEAST_BITS and digits >= 3 and changes >= 3)


def _key_blocks(text: str) -> Iterator[Span]:
    """Yield private keys; where the end is missing, the lines that look like one."""
    closed, reach = True, 0
    for begin in _BLOCK_BEGIN.finditer(text):
        if begin.start() < reach:
            continue
        end = _BLOCK_END.search(text, begin.end()) if closed else None
        closed = end is not None  # none after this one: not looked for again
        if end is not None and end.end() - begin.start() <= _LONGEST_BLOCK:
            reach = end.end()
        else:
            body = _BLOCK_BODY.match(text, begin.end())
            reach = begin.end() if body is None else body.end()
        yield begin.start(), reach


def _assigned(match: re.Match[str]) -> Span | None:
    """Return where the value is that is assigned to a password or a secret, or None where it says none."""
    group = "bare" if match["quoted"] is None else "quoted"
    start, end = match.span(group)
    value = match[group]
    if group == "bare":
        value = value.rstrip(_TRAILING)
        if match["secret"] and (prefix := _BARE_SECRET.match(value)):
            value = prefix[0].rstrip(_TRAILING)
        end = start + len(value)
    if not value or value.lower() in _NO_VALUES or value.lower() in STOP_WORDS:
        return None
    mixed = any(not char.isalpha() for char in value)
    operator = match["operator"].rstrip()
    assigned = operator.endswith(("=", ">"))
    in_prose = not assigned and not operator.endswith(":")
    if match["password"]:
        return (start, end) if assigned or group == "quoted" or mixed or not in_prose else None
    if group == "quoted" and (assigned or len(value.split()) == 1):
        return start, end
    return (start, end) if len(value) >= 6 and any(map(str.isdigit, value)) and _plain(value) else None


def _plain(value: str) -> bool:
    """Return whether a bare value is one that is written down, not a call or a look-up in a program."""
    return not value.startswith(("$", "%", "<", "{")) and "(" not in value
