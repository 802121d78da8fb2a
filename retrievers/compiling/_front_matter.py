"""The lines of settings before a Markdown text, in YAML or TOML, and the title among them."""

from __future__ import annotations

import json
import re
import tomllib

_FENCE = re.compile(r"(---|\+\+\+)[ \t]*\n")
_YAML_END = re.compile(r"^(?:---|\.\.\.)[ \t]*$", re.MULTILINE)
_TOML_END = re.compile(r"^\+\+\+[ \t]*$", re.MULTILINE)
_FIRST_KEY = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*[\w\"'][^\n:=]*[:=]")
_TITLE = re.compile(
    r"^[\"']?title[\"']?[ \t]*:(?:[ \t]+|$)(.*(?:\n(?:[ \t]+.*|(?=\n)))*)", re.MULTILINE | re.IGNORECASE
)
_BLOCK_SCALAR = re.compile(r"[|>][-+\d]*[ \t]*(?:#.*)?(?=\n|$)")
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_SINGLE_QUOTED = re.compile(r"'((?:[^']|'')*)'")
_COMMENT = re.compile(r"(?:^|(?<=[ \t]))#.*")


def front_matter_end(text: str) -> int:
    """Return where the text after the front matter begins; 0 where there is none.

    It begins on the first line with ``---`` (YAML) or ``+++`` (TOML), and a setting must follow: two rules with a
    paragraph between them are none.
    """
    begin = _FENCE.match(text)
    if begin is None or _FIRST_KEY.match(text, begin.end()) is None:
        return 0
    end = (_YAML_END if begin[1] == "---" else _TOML_END).search(text, begin.end())
    return 0 if end is None else min(end.end() + 1, len(text))


def front_matter_title(text: str) -> str:
    """Return the ``title`` that the front matter of a text gives, on one line; "" for none."""
    begin, end = _FENCE.match(text), front_matter_end(text)
    if begin is None or not end:
        return ""
    lines = text[begin.end() : end].rstrip()
    lines = lines[: lines.rfind("\n") + 1]
    title = _toml_title(lines) if begin[1] == "+++" else _yaml_title(lines)
    return " ".join(title.split())


def _toml_title(lines: str) -> str:
    try:
        title = tomllib.loads(lines).get("title", "")
    except tomllib.TOMLDecodeError:
        return ""
    return title if isinstance(title, str) else ""


def _yaml_title(lines: str) -> str:
    """Return the value of the first ``title`` that stands under no other key."""
    found = _TITLE.search(lines)
    if found is None:
        return ""
    value = found[1].strip()
    if scalar := _BLOCK_SCALAR.match(value):
        return value[scalar.end() :]
    if quoted := _QUOTED.match(value):
        try:
            return str(json.loads(" ".join(quoted[0].split())))
        except ValueError:  # an escape that JSON has not
            return quoted[0][1:-1]
    if quoted := _SINGLE_QUOTED.match(value):
        return quoted[1].replace("''", "'")
    plain = " ".join(_COMMENT.sub("", line) for line in value.split("\n"))
    return "" if plain.strip().lower() in ("~", "null") else plain
