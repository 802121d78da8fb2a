"""The documents of a corpus: picks the reader for every path and checks that ids are unique over all of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from ...errors import CorpusError
from ..records import Document
from ._json_records import LocatedError, Record, json_type, read_json_array, read_json_lines
from ._known_files import KnownFiles
from ._normalise import Complaints, Place
from ._text_files import SUFFIXES, read_text_file, read_text_folder

_KNOWN = frozenset({"_id", "title", "text", "metadata"})


def read_beir(path: Path, complaints: Complaints) -> Iterator[tuple[Document, Place]]:
    """Yield the atomic documents of a BEIR corpus file in its order.

    Ids are kept as they stand. Fields beyond BEIR's join the metadata. A document with a title and no text
    has its title as its text, so that it can be found; one with neither is left out. Both are warned of.

    Source: Thakur et al. 2021, "BEIR", https://github.com/beir-cellar/beir.

    Raises:
        CorpusError: a line is damaged, or a field is missing or of the wrong type.
    """
    for record in read_json_lines(path, CorpusError):
        document = _document(record, complaints)
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


_KINDS = f"a BEIR folder or .jsonl, a multi-hop .json or .jsonl, or {', '.join(sorted(SUFFIXES))} files"


def read_corpus(
    paths: Sequence[Path], warn: Callable[[str], None], known: KnownFiles | None = None
) -> Iterator[Document]:
    """Yield every document of a corpus in a fixed order, reading as it goes.

    Args:
        paths: each a folder with ``corpus.jsonl`` (BEIR), a folder of text files, a BEIR or MuSiQue
            ``.jsonl``, a HotpotQA or 2WikiMultiHopQA ``.json``, or a single text file.
        warn: called with what was left out or repaired, naming file and line; many alike become a count.
        known: the files that an index holds already, which give no documents.

    Raises:
        CorpusError: a path is missing, damaged or holds no documents, or one id names two different
            documents; names file and line. Documents yielded before are void.
        MissingExtraError: there is a PDF, and pypdf is not installed.
    """
    if not paths:
        raise CorpusError(f"no corpus given: name {_KINDS}")
    for path in paths:
        if not Path(path).exists():
            raise CorpusError("there is no such file or folder", path)
    complaints = Complaints(warn)
    files = known or KnownFiles()
    seen: dict[str, tuple[bytes, Place]] = {}
    for path in map(Path, paths):
        documents, pooled = _read_path(path, complaints, files)
        holds_documents, before = files.follows, len(files.unchanged)
        for document, place in documents:
            holds_documents = True
            repeated = document.id in seen
            first = seen.setdefault(document.id, (_content(document), place))
            if not repeated:
                yield document
            elif first[0] != _content(document):
                message = f"the id {document.id!r} names another document than at {first[1]}: ids must be unique"
                raise CorpusError(f"{message} (for text files, give the folder that holds both)", *place)
            elif not pooled:
                detail = f" (id {document.id!r}, first at {first[1]})"
                complaints.add("repeats a document and is kept once", place, detail)
        if not holds_documents and len(files.unchanged) == before:
            complaints.finish()
            raise CorpusError(f"holds no documents: expected {_KINDS}{_hint(path)}", path)
    complaints.finish()


def _read_path(path: Path, complaints: Complaints, known: KnownFiles) -> tuple[Iterator[tuple[Document, Place]], bool]:
    """Return the path's documents with their places, and whether repetitions are in their nature."""
    suffix = path.suffix.lower()
    if path.is_dir():
        corpus = path / "corpus.jsonl"
        target = os.path.realpath(corpus)
        if corpus.is_symlink() and not Path(target).is_relative_to(os.path.realpath(path)):
            raise CorpusError(f"is a link that leads out of its folder: name {target} itself", corpus)
        if corpus.exists():
            return read_beir(corpus, complaints), False
        return read_text_folder(path, complaints, known), False
    if suffix in SUFFIXES:
        return read_text_file(path, known.name_of(path, path.name), complaints, known), False
    if suffix == ".json" or (suffix == ".jsonl" and _starts_with_question(path)):
        return read_multihop(path, complaints), True
    if suffix == ".jsonl":
        return read_beir(path, complaints), False
    raise CorpusError(f"a file with {suffix or 'no suffix'} cannot be read: give {_KINDS}", path)


def _starts_with_question(path: Path) -> bool:
    first = next(read_json_lines(path, CorpusError), None)
    return first is not None and is_multihop(first.values)


def _content(document: Document) -> bytes:
    return blake2b(f"{document.title}\0{document.text}".encode(), digest_size=16).digest()


def _hint(path: Path) -> str:
    has_questions = path.is_dir() and (path / "queries.jsonl").exists()
    return "; it has queries.jsonl, but corpus.jsonl is missing" if has_questions else ""


def is_multihop(values: Mapping[str, Any]) -> bool:
    """Tell by its keys whether a JSON object is a question of one of the three data sets."""
    return "question" in values and ("context" in values or "paragraphs" in values)


def multihop_records(path: Path, error: LocatedError) -> Iterator[Record]:
    """Yield the questions of a ``.json`` file (one list) or of any other (one object to a line).

    Raises:
        CorpusError, QuestionsError: as ``error`` says; the file is damaged or holds something else.
    """
    read = read_json_array if path.suffix.lower() == ".json" else read_json_lines
    for record in read(path, error):
        if not is_multihop(record.values):
            there = ", ".join(map(repr, record.values)) or "none"
            raise record.fail(
                "not a question of HotpotQA, 2WikiMultiHopQA or MuSiQue: it needs 'question' and 'context' "
                f"(or 'paragraphs'); fields there are: {there}"
            )
        yield record


def read_multihop(path: Path, complaints: Complaints) -> Iterator[tuple[Document, Place]]:
    """Yield the contexts of a file's questions as atomic documents, each as often as it is there.

    Equal title and text give one id in whatever file, so that the contexts can be pooled.

    Raises:
        CorpusError: the file is damaged, or a context is not of the data sets' form.
    """
    for record in multihop_records(path, CorpusError):
        for document in context_documents(record, complaints):
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
