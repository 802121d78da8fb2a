"""Uploaded files: kept until their job reads them, and what cannot be read is named."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..retrievers._atomic_file import storing, write_json
from ..retrievers.corpus._known_files import KnownFiles
from ..retrievers.corpus._loading import CorpusReader
from ..retrievers.corpus._normalise import normalise
from ..retrievers.records import Document

INPUT = "input.json"
"""File of what a job is to do."""

Problem = dict[str, str]
"""What could not be read, ``name`` and ``reason``."""


def safe_name(given: str) -> str:
    """Return the name of an uploaded file as a path that leads nowhere else."""
    parts = [part for part in normalise(given).text.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return "/".join(parts) or "unnamed"


def keep_files(folder: Path, files: Iterable[tuple[str, bytes]]) -> list[list[str]]:
    """Write files into a folder, each below a number of its own; returns name and path of each."""
    kept = []
    with storing(folder):
        for number, (name, content) in enumerate(files):
            name = safe_name(name)
            place = folder / str(number) / Path(name).name[-200:]
            place.parent.mkdir(parents=True)
            place.write_bytes(content)
            kept.append([name, str(place)])
    return kept


def keep_input(folder: Path, about: Mapping[str, Any]) -> None:
    """Write what a job is to do."""
    write_json(folder / INPUT, about)


def kept_input(folder: Path) -> dict[str, Any]:
    """Read what :func:`keep_input` wrote."""
    found: dict[str, Any] = json.loads((folder / INPUT).read_text("utf-8"))
    return found


def documents_of(about: Mapping[str, Any]) -> tuple[list[Document], list[Problem]]:
    """Return the documents that a job is to add, and what of them could not be read."""
    documents = [_document(record) for record in about.get("documents", ())]
    kept = about.get("files", ())
    if not kept:
        return documents, []
    read, problems = _read(kept)
    return documents + read, problems


def _document(record: Mapping[str, Any]) -> Document:
    identifier, title, text = (normalise(record[name]).text for name in ("id", "title", "text"))
    return Document(identifier, title, text, source=identifier, metadata=record["metadata"])


def _read(kept: Sequence[Sequence[str]]) -> tuple[list[Document], list[Problem]]:
    names = {Path(place): name for name, place in kept}
    known = KnownFiles(name_of=lambda path, name: names.get(path, name), follows=True)
    reader = CorpusReader(list(names), lambda message: None, known=known)
    documents = list(reader)
    problems = []
    for skipped in reader.report.skipped:
        path, _, line = skipped.path.rpartition(":")
        place, line = (Path(path), f":{line}") if Path(path) in names else (Path(skipped.path), "")
        problems.append({"name": names.get(place, place.name) + line, "reason": skipped.reason})
    problems += [{"name": name, "reason": "it has no text"} for name in known.empty]
    return documents, problems
