"""Which files and folders are a data set rather than documents: told by what is in them, not by a name alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path
from typing import Literal

import orjson

from ...errors import CorpusError
from ._json_records import open_regular
from ._listing import CorpusFile, names_in
from ._multihop import is_multihop

CORPUS_FILE = "corpus.jsonl"
Kind = Literal["beir", "multihop", "text"]

_ABOUT = ("readme*", "license*", "licence*", "copying*", "notice*", "citation*", "source*", "changelog*")
"""Files that tell of a data set."""

_BESIDE_CORPUS = (*_ABOUT, CORPUS_FILE, "queries*.jsonl", "qrels/*", "qrels*.tsv", "*.json", "dataset_infos*")
_LONGEST = 1 << 24
_PEEK = 1 << 16
_QUESTIONS = re.compile(rb'\s*\[\s*\{.*?"(?:question|context|paragraphs)"\s*:', re.DOTALL)
_FIELDS = (b'"question"', (b'"context"', b'"paragraphs"'))


def kind_of(file: CorpusFile) -> Kind:
    """Return what a file holds, by its first record; a ``corpus.jsonl`` and a named ``.jsonl`` are always records.

    Raises:
        CorpusError: it cannot be opened.
    """
    if file.suffix == ".json":
        return "multihop" if _begins_with_questions(file.target) else "text"
    if file.suffix != ".jsonl":
        return "text"
    first = _first_record(file.target)
    if first is not None and is_multihop(first):
        return "multihop"
    if file.named or file.path.name == CORPUS_FILE or (first is not None and {"_id", "text"} <= first.keys()):
        return "beir"
    return "text"


def _first_record(path: Path) -> dict[str, object] | None:
    with open_regular(path, CorpusError) as file:
        for line in iter(lambda: file.readline(_LONGEST), b""):
            if line.isspace():
                continue
            try:
                found = orjson.loads(line.removeprefix(b"\xef\xbb\xbf"))
            except orjson.JSONDecodeError:
                return None
            return found if isinstance(found, dict) else None
    return None


def _begins_with_questions(path: Path) -> bool:
    """Return whether a JSON file is a list whose first object has the fields of a multi-hop question."""
    with open_regular(path, CorpusError) as file:
        data = file.read(_PEEK)
    question, contexts = _FIELDS
    return bool(_QUESTIONS.match(data)) and question in data and any(field in data for field in contexts)


def is_data_set(folder: Path) -> bool:
    """Return whether a folder is a BEIR data set, or its questions alone, and has nothing that is part of none."""
    is_one = (folder / CORPUS_FILE).exists() or (folder / "queries.jsonl").exists()
    return is_one and not any(others_beside(folder, _BESIDE_CORPUS))


def others_beside(folder: Path, known: tuple[str, ...]) -> Iterator[str]:
    """Yield the files of a folder that are of none of the names that are known."""
    for name in names_in(folder):
        if not any(fnmatch(name.lower(), pattern) for pattern in known):
            yield name


def belongs_to_data_set(name: str) -> bool:
    """Return whether a file beside ``corpus.jsonl`` holds questions or labels, which are no documents."""
    return fnmatch(name, "queries*.jsonl") or fnmatch(name, "qrels/*.tsv")


def is_graph_folder(folder: Path, graph: str) -> bool:
    """Return whether a folder is a knowledge graph: ``graph`` and every other ``.txt`` in it are triples.

    What tells of the data set may lie beside them.
    """
    names = list(others_beside(folder, _ABOUT))
    return graph in names and all(name.endswith(".txt") and is_triples(folder / name) for name in names)


def is_triples(path: Path) -> bool:
    """Return whether most of the first lines of a file are ``head<TAB>relation<TAB>tail``."""
    try:
        with open_regular(path, CorpusError) as file:
            lines = [line for line in islice(iter(lambda: file.readline(_PEEK), b""), 20) if not line.isspace()]
    except CorpusError:
        return False
    return 2 * sum(line.count(b"\t") == 2 for line in lines) > len(lines)
