"""Writes the table of options on every page of docs/commands, from the parsers of the command line.

    python docs/options.py

A page keeps everything above its heading ``## Options``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from trailhound.cli import build_parser

PAGES = Path(__file__).parent / "commands"
HEADING = "## Options"


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of every command, by name."""
    actions = build_parser()._actions
    (found,) = (action.choices for action in actions if isinstance(action, argparse._SubParsersAction))
    return dict(found)


def options(parser: argparse.ArgumentParser) -> str:
    """Return what a command takes as a Markdown table."""
    lines = ["| option | what it does |", "|---|---|"]
    for action in parser._actions:
        if "--help" in action.option_strings:
            continue
        value = _value(action)
        name = action.option_strings[-1] if action.option_strings else ""
        written = " ".join(part for part in (name, value) if part)
        required = "required; " if action.required and name else ""
        about = parser._get_formatter()._expand_help(action) if action.help else ""
        text = " ".join((required + about).split()).removesuffix(";").replace("|", "\\|")
        lines.append(f"| `{written}` | {text} |")
    return "\n".join(lines)


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    name = str(action.metavar or action.dest.upper())
    if action.choices is not None and action.metavar is None:
        name = "{" + ",".join(map(str, action.choices)) + "}"
    name = name.replace("|", "\\|")
    return f"{name} ..." if action.nargs in {"+", "*"} else name


def main() -> None:
    """Write every page's table; a page that is missing is begun."""
    for name, parser in commands().items():
        page = PAGES / f"{name}.md"
        begun = page.read_text(encoding="utf-8") if page.exists() else f"# trailhound {name}\n\n"
        above = begun.partition(f"{HEADING}\n")[0]
        page.write_text(f"{above}{HEADING}\n\n{options(parser)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
