"""What the tools of the MCP server take and return: the schemas that a client reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import Field

from ..agent.search_result import Evidence, SearchResult
from ..index.index import Index
from ..retrievers._places import in_full
from ..retrievers.records import Document
from ._evidence import path_of

LONGEST_READ = 20_000
"""Characters of a document that one call of a tool returns."""

AskedQuestion = Annotated[str, Field(min_length=1, max_length=4000, description="in words, one thing at a time")]
IndexName = Annotated[str | None, Field(description="its name; a search without one asks all there are")]
Offset = Annotated[int, Field(ge=0)]
Few = Annotated[int, Field(ge=1, le=1000)]
Seconds = Annotated[float, Field(gt=0, le=30, description="then the search returns what it has")]
DocumentIds = Annotated[list[str] | None, Field(description="ids: search in these documents alone")]
Conditions = Annotated[
    dict[str, Any] | None, Field(description='conditions on documents, like {"year": {"$gte": 2020}, "lang": "en"}')
]


def address_of(index: str, kind: str, identifier: str) -> str:
    """Return the URI of a document or passage."""
    return f"trailhound://{quote(index, safe='')}/{kind}/{quote(identifier, safe='')}"


@dataclass(frozen=True)
class Hit:
    """A passage, its place ``[start, end)`` in the document, and how it was found."""

    rank: int
    index: str
    passage_id: str
    document_id: str
    title: str
    text: str
    source: str
    page: int | None
    start: int
    end: int
    score: float
    probability: float | None
    taken: bool
    how: str
    uri: str

    @classmethod
    def of(cls, index: str, one: Evidence) -> Hit:
        """Return the hit that a piece of evidence is."""
        passage = one.passage
        return cls(
            rank=one.rank,
            index=one.index or index,
            passage_id=passage.id,
            document_id=passage.document_id,
            title=passage.title,
            text=in_full(passage),
            source=passage.source,
            page=one.page,
            start=passage.start,
            end=passage.end,
            score=one.score,
            probability=one.probability,
            taken=one.taken,
            how=one.how,
            uri=address_of(one.index or index, "passages", passage.id),
        )


@dataclass(frozen=True)
class Found:
    """What a search found; ``answer`` is read from the passages, and a guess unless ``answer_stated``."""

    question: str
    answer: str | None
    answer_stated: bool
    probably_unanswered: bool
    confidence: float | None
    evidence: list[Hit]
    path: list[str]
    ended_by: str
    unreachable: list[str]

    @classmethod
    def of(cls, index: str, result: SearchResult) -> Found:
        """Return what a search found."""
        answer = result.answer
        return cls(
            question=result.question,
            answer=None if answer is None else answer.text,
            answer_stated=answer is not None and answer.stated,
            probably_unanswered=result.unanswered,
            confidence=result.confidence,
            evidence=[Hit.of(index, one) for one in result.evidence],
            path=path_of(result),
            ended_by=result.ended_by,
            unreachable=list(result.unreachable),
        )


@dataclass(frozen=True)
class Part:
    """The characters ``[start, end)`` of a document; there is more where ``end`` is below ``characters``."""

    index: str
    document_id: str
    title: str
    source: str
    text: str
    start: int
    end: int
    characters: int
    uri: str

    @classmethod
    def of(cls, index: str, document: Document, start: int) -> Part:
        """Return the part of a document that begins at ``start``."""
        text = document.text[start : start + LONGEST_READ]
        place = min(start, len(document.text))
        uri = address_of(index, "documents", document.id)
        names = (document.id, document.title, document.source)
        return cls(index, *names, text, place, place + len(text), len(document.text), uri)


@dataclass(frozen=True)
class Listed:
    """A document's names."""

    document_id: str
    title: str
    source: str
    uri: str


@dataclass(frozen=True)
class Listing:
    """Some documents of an index in its order; ``next`` is the ``after`` that goes on, null at the end."""

    index: str
    total: int
    documents: list[Listed]
    next: str | None

    @classmethod
    def of(cls, name: str, index: Index, after: str | None, limit: int) -> Listing:
        """Return the documents of an index that follow ``after``; KeyError when it has no such document."""
        ids = index.store.document_ids()
        if after is not None and after not in ids:
            raise KeyError(after)
        first = 0 if after is None else ids.index(after) + 1
        shown = ids[first : first + limit]
        documents = []
        for identifier in shown:
            document = index.store.document(identifier)
            uri = address_of(name, "documents", identifier)
            documents.append(Listed(identifier, document.title, document.source, uri))
        return cls(name, len(ids), documents, shown[-1] if first + limit < len(ids) else None)
