"""Opens a reader by what the user calls it."""

from __future__ import annotations

from pathlib import Path

from ...errors import PolicyError
from .extractive import ExtractiveReader, has_reader, load_reader
from .protocol import Reader

SHIPPED = Path(__file__).parents[1] / "shipped"


def open_reader(name: str) -> Reader:
    """Open a reader.

    Args:
        name: ``builtin`` is the reader that comes with the package; a folder holds one that ``trailhound train`` wrote,
            or a causal or sequence-to-sequence model that transformers can load.

    Raises:
        PolicyError: when there is no such reader, or it cannot be used.
    """
    if name == "builtin":
        return load_reader(SHIPPED)
    folder = Path(name)
    if has_reader(folder):
        return load_reader(folder)
    if (folder / "config.json").is_file():
        from .language_models import LanguageModelReader

        return LanguageModelReader(folder)
    raise PolicyError(
        f"there is no reader {name!r}: give builtin, coverage, or a folder with reader.json or with config.json"
        " (a model of transformers)"
    )


def answering_reader(policy: Path | None) -> ExtractiveReader | None:
    """Return the reader that answers beside a policy: its own, or the one that ships, if there is one."""
    for folder in (policy, SHIPPED):
        if folder is not None and has_reader(folder):
            return load_reader(folder)
    return None
