"""The documents of a BEIR corpus file: one JSON object to a line, with ``_id``, ``title`` and ``text``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import CorpusError
from ..records import Document
from ._json_records import Damaged, Record, json_type, read_json_lines
from ._normalise import Complaints, Place

_KNOWN = frozenset({"_id", "title", "text", "metadata"})


def read_beir(path: Path, complaints: Complaints, damaged: Damaged | None = None) -> Iterator[tuple[Document, Place]]:
    """Yield the atomic documents of a BEIR corpus file in its order.

    Ids are kept as they stand. Fields beyond BEIR's join the metadata. A document with a title and no text
    has its title as its text, so that it can be found; one with neither is left out. Both are warned of.

    Args:
        path: of the file.
        complaints: warns.
        damaged: is told of a bad record, which is left out; without it a bad record is an error.

    Source: Thakur et al. 2021, "BEIR", https://github.com/beir-cellar/beir.

    Raises:
        CorpusError: a line is damaged, or a field is missing or of the wrong type.
    """
    for record in read_json_lines(path, CorpusError, damaged):
        try:
            document = _document(record, complaints)
        except CorpusError as cause:
            if damaged is None:
                raise
            damaged(cause)
            continue
        if document is not None:
            yield document, record.place


def _document(record: Record, complaints: Complaints) -> Document | None:
    place = record.place
    identifier = record.identifier("_id")
    text = complaints.normalised(record.string("text"), place)
    title = complaints.normalised(record.optional_string("title"), place)
    metadata = complaints.normalised_json(_metadata(record), place)
    if not text.strip():
        if not title.strip():
            complaints.add("skipped an empty document", place, f" (id {identifier!r})")
            return None
        complaints.add("no text: took the title as the text", place, f" (id {identifier!r})")
        text = title
    source = f"{place.path.name}:{place.line}"
    return Document(identifier, title, text, source, atomic=True, metadata=metadata)


def _metadata(record: Record) -> dict[str, Any]:
    metadata = record.values.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise record.fail(f"the field 'metadata' must be an object, not {json_type(metadata)}")
    others = {name: value for name, value in record.values.items() if name not in _KNOWN}
    return {**others, **(metadata or {})}
