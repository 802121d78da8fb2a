"""Multi-hop questions of HotpotQA, 2WikiMultiHopQA and MuSiQue: their contexts are the documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from ...errors import CorpusError
from ..records import Document
from ._json_records import Damaged, LocatedError, Record, json_type, read_json_array, read_json_lines
from ._normalise import Complaints, Place


def is_multihop(values: Mapping[str, Any]) -> bool:
    """Tell by its keys whether a JSON object is a question of one of the three data sets."""
    return "question" in values and ("context" in values or "paragraphs" in values)


def multihop_records(path: Path, error: LocatedError, damaged: Damaged | None = None) -> Iterator[Record]:
    """Yield the questions of a ``.json`` file (one list) or of any other (one object to a line).

    ``damaged`` is told of a bad line, which is left out; a bad list ends where it is bad, and is an error.

    Raises:
        CorpusError, QuestionsError: as ``error`` says; the file is damaged or holds something else.
    """
    whole = path.suffix.lower() == ".json"
    for record in read_json_array(path, error) if whole else read_json_lines(path, error, damaged):
        if not is_multihop(record.values):
            there = ", ".join(map(repr, record.values)) or "none"
            raise record.fail(
                "not a question of HotpotQA, 2WikiMultiHopQA or MuSiQue: it needs 'question' and 'context' "
                f"(or 'paragraphs'); fields there are: {there}"
            )
        yield record


def read_multihop(
    path: Path, complaints: Complaints, damaged: Damaged | None = None
) -> Iterator[tuple[Document, Place]]:
    """Yield the contexts of a file's questions as atomic documents, each as often as it is there.

    Equal title and text give one id in whatever file, so that the contexts can be pooled.

    Raises:
        CorpusError: the file is damaged, or a context is not of the data sets' form.
    """
    for record in multihop_records(path, CorpusError, damaged):
        try:
            documents = context_documents(record, complaints)
        except CorpusError as cause:
            if damaged is None:
                raise
            damaged(cause)
            continue
        for document in documents:
            yield document, record.place


def context_documents(record: Record, complaints: Complaints) -> list[Document]:
    """Return the contexts of one question, empty ones left out; an id is a hash of title and text."""
    documents = []
    for title, text in _contexts(record):
        title = complaints.normalised(title, record.place)
        text = complaints.normalised(text, record.place).strip()
        if not text:
            complaints.add("skipped an empty context", record.place, f" (title {title!r})")
            continue
        source = f"{record.place.path.name} record {record.number}"
        documents.append(Document(content_id(title, text), title, text, source, atomic=True))
    return documents


def content_id(title: str, text: str) -> str:
    """Return the stable id of a passage that its data set does not name: 20 hexadecimal digits."""
    return blake2b(f"{title}\0{text}".encode(), digest_size=10).hexdigest()


def _contexts(record: Record) -> Iterator[tuple[str, str]]:
    name = "paragraphs" if "paragraphs" in record.values else "context"
    for item in _list(record, name):
        match item:
            case {"title": str(title), "paragraph_text": str(text)} if name == "paragraphs":
                yield title, text
            case [str(title), [*sentences]] if name == "context" and all(isinstance(one, str) for one in sentences):
                yield title, join_sentences(sentences)
            case _ if name == "paragraphs":
                raise record.fail("every item of 'paragraphs' needs 'title' and 'paragraph_text', both strings")
            case _:
                raise record.fail("every 'context' must be [title, [sentences]], both of strings")


def _list(record: Record, name: str) -> list[Any]:
    value = record.values[name]
    if not isinstance(value, list):
        raise record.fail(f"the field {name!r} must be a list, not {json_type(value)}")
    return value


def join_sentences(sentences: list[str]) -> str:
    """Join sentences, adding a space only where the data set left it out (2Wiki does, HotpotQA does not)."""
    parts: list[str] = []
    for sentence in sentences:
        if parts and not parts[-1][-1:].isspace() and not sentence[:1].isspace():
            parts.append(" ")
        if sentence:
            parts.append(sentence)
    return "".join(parts).strip()


def supporting_ids(record: Record, complaints: Complaints) -> list[str]:
    """Return the ids of the contexts that the data set labels as supporting, in the contexts' order.

    Raises:
        CorpusError, QuestionsError: there are no labels, or they name a context that is not there.
    """
    documents = context_documents(record, complaints)
    if "paragraphs" in record.values:
        labelled = _flagged_ids(record, complaints)
        supporting = [document.id for document in documents if document.id in labelled]
    else:
        titles = _supporting_titles(record, complaints)
        missing = titles - {document.title for document in documents}
        if missing:
            raise record.fail(
                f"the supporting title {min(missing)!r} is not among the contexts: use the data set's distractor file"
            )
        supporting = [document.id for document in documents if document.title in titles]
    if not supporting:
        raise record.fail("no context is marked as supporting: this split has no labels")
    return supporting


def _flagged_ids(record: Record, complaints: Complaints) -> set[str]:
    return {
        content_id(complaints.normalised(item["title"], record.place), text)
        for item in record.values["paragraphs"]
        if item.get("is_supporting") is True
        and (text := complaints.normalised(item["paragraph_text"], record.place).strip())
    }


def _supporting_titles(record: Record, complaints: Complaints) -> set[str]:
    if "supporting_facts" not in record.values:
        raise record.fail("the field 'supporting_facts' is missing: this split has no labels")
    titles = set()
    for item in _list(record, "supporting_facts"):
        match item:
            case [str(title), int()]:
                titles.add(complaints.normalised(title, record.place))
            case _:
                raise record.fail("every item of 'supporting_facts' must be [title, sentence number]")
    return titles
