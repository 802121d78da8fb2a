"""Source code, settings and other files whose lines stand for themselves."""

from __future__ import annotations

import re
from pathlib import Path

from ._encodings import decode_text
from ._html import declared_encoding
from ._read_text import ReadText

_CODING = re.compile(rb"(?:[^\n]*\n)?[^\n]*coding[:=]\s*([\w.-]+)")

CODE_SUFFIXES = (
    *(".py", ".pyi", ".pyx", ".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".java", ".kt", ".kts", ".scala", ".groovy"),
    *(".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".hh", ".cs", ".go", ".rs", ".rb", ".php", ".pl", ".pm", ".swift"),
    *(".m", ".mm", ".lua", ".r", ".jl", ".hs", ".ml", ".mli", ".ex", ".exs", ".erl", ".clj", ".dart", ".zig", ".nim"),
    *(".f90", ".sh", ".bash", ".zsh", ".fish", ".ps1", ".bat", ".sql", ".graphql", ".proto", ".css", ".scss", ".less"),
    *(".vue", ".svelte", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".properties", ".tf", ".hcl", ".cmake"),
    *(".gradle", ".mk", ".diff", ".patch", ".xml", ".xsd", ".xsl", ".json", ".jsonl", ".json5", ".jsonc"),
)
PLAIN_SUFFIXES = (".adoc", ".asciidoc", ".org", ".tex", ".bib", ".srt", ".vtt", ".textile", ".wiki", ".man", ".pod")
"""Kinds of markup that are read as they are written."""


def read_code(data: bytes, path: Path) -> ReadText:
    """Read a file of source code or settings; its title is its name.

    Raises:
        CorpusError: the bytes are no text in any encoding.
    """
    declared = declared_encoding(data) if path.suffix.lower().startswith(".x") else None
    if declared is None and (cookie := _CODING.match(data[:400])) is not None:
        declared = cookie[1].decode("ascii")
    decoded = decode_text(data, path, declared)
    notes = tuple(filter(None, (decoded.note,)))
    return ReadText(path.name, decoded.text, "code", first_line=1, notes=notes, encoding=decoded.encoding)
