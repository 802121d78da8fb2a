"""The lines of settings before a Markdown text, in YAML or TOML: what they say, and the title among them."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import date, time
from functools import cache
from typing import Any

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
_MOST_CHARACTERS = 1 << 16
"""Of settings that are read: more are no settings."""

_MOST_LEVELS = 20
_LARGEST = 10**18
"""Numbers from here on stay text: not every reader of JSON keeps them."""

_YAML_VALUES = {
    "bool": (r"(?:true|True|TRUE|false|False|FALSE)$", [*"tTfF"]),
    "int": (r"[-+]?(?:0|[1-9][0-9]{0,17})$", [*"-+0123456789"]),
    "float": (r"[-+]?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,17}$", [*"-+0123456789"]),
    "null": (r"(?:~|null|Null|NULL|)$", [*"~nN", ""]),
}
"""How values are written that are no text, and how they begin: YAML 1.2, core schema, without its rarer forms.
A language ``no`` and a date stay what is written."""


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


def front_matter_settings(text: str) -> dict[str, Any]:
    """Return what the front matter of a text says, as JSON values; {} where there is none. Dates are texts.

    Raises:
        ValueError: when it is not written as YAML or TOML is, or names a value in one place and uses it in another.
    """
    begin, end = _FENCE.match(text), front_matter_end(text)
    if begin is None or not end:
        return {}
    if end > _MOST_CHARACTERS:
        raise ValueError(f"it has more than {_MOST_CHARACTERS:,} characters")
    lines = text[begin.end() : end].rstrip()
    lines = lines[: lines.rfind("\n") + 1]
    try:
        said = tomllib.loads(lines) if begin[1] == "+++" else _read_yaml(lines)
    except RecursionError:
        raise ValueError("its values lie too deep in each other") from None
    if not isinstance(said, dict):
        raise ValueError("it is no list of names with values")
    return {str(name): _json_value(value, 1) for name, value in said.items()}


def _read_yaml(lines: str) -> Any:
    import yaml

    try:
        return yaml.load(lines, _yaml_loader())
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


@cache
def _yaml_loader() -> Any:
    """Return PyYAML's safe loader without anchors, by which few lines can mean millions of values."""
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                raise yaml.YAMLError("a value that stands elsewhere is not read")
            return super().compose_node(parent, index)

    Loader.yaml_implicit_resolvers = {}
    for kind, (pattern, first) in _YAML_VALUES.items():
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(pattern), first)
    return Loader


def _json_value(value: object, level: int) -> Any:
    if level > _MOST_LEVELS:
        raise ValueError("its values lie too deep in each other")
    if isinstance(value, dict):
        return {str(name): _json_value(one, level + 1) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(one, level + 1) for one in value]
    if isinstance(value, (date, time)):
        return value.isoformat()
    if value is None or isinstance(value, (str, bool)):
        return value
    return value if isinstance(value, (int, float)) and abs(value) < _LARGEST else str(value)


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
