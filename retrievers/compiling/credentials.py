"""What credentials look like in a text: key blocks, tokens of known makers, assignments, random strings.

Every pattern takes linear time on any input, as in ``private_data``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from math import log2

from ..words.terms import STOP_WORDS

Span = tuple[int, int]

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
