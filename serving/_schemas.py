"""What requests and answers look like: requests are checked by these, and the OpenAPI schema is made of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from ..index.where import Where
from ._settings import LONGEST_QUESTION, LONGEST_SEARCH, MOST_PASSAGES

CONDITION_NAME = "Condition"
_CONDITION = {"$ref": f"#/components/schemas/{CONDITION_NAME}"}
_TESTS = {
    "type": "object",
    "properties": {
        **{operator: {} for operator in ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$contains")},
        **{operator: {"type": "array", "items": {}} for operator in ("$in", "$nin")},
        "$exists": {"type": "boolean"},
    },
    "additionalProperties": False,
    "minProperties": 1,
}
_JOINED = {"type": "array", "items": _CONDITION, "minItems": 1}
CONDITION = {
    "type": "object",
    "patternProperties": {"^(?!\\$)": {"anyOf": [{"type": ["string", "number", "boolean", "null", "array"]}, _TESTS]}},
    "properties": {"$and": _JOINED, "$or": _JOINED, "$not": _CONDITION},
    "additionalProperties": False,
    "description": "Conditions on metadata: see docs/serving.md.",
    "examples": [{"year": {"$gte": 2020}, "lang": "en"}],
}
"""What a condition on metadata is, as :class:`Where` reads it; it refers to itself by ``CONDITION_NAME``."""

EVENTS = {
    "type": "object",
    "properties": {"event": {"type": "string"}, "data": {"type": "string", "description": "JSON"}},
    "required": ["data"],
}
"""What each event of a stream is."""


def _whole(value: object) -> object:
    """Return 3 for 3.0, which JSON does not tell apart."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Metadata = Annotated[dict[str, Any], WithJsonSchema(_CONDITION)]
Whole = BeforeValidator(_whole)
Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
Words = Annotated[str, Field(pattern=r"^[^\x00]*[^\s\x00\ufeff][^\x00]*$")]
Questioned = Annotated[Words, Field(max_length=LONGEST_QUESTION)]
Identifier = Annotated[str, Field(pattern=r"^[^\x00\ufeff\s][^\x00]*$", max_length=1000)]
Seconds = Annotated[float, Field(ge=0, description=f"More than {LONGEST_SEARCH:g} are {LONGEST_SEARCH:g}.")]
Steps = Annotated[int, Field(ge=0, le=1_000_000), Whole]
Limit = Annotated[int, Field(ge=1, le=MOST_PASSAGES), Whole]


class Asked(BaseModel):
    """A request that has these fields and no others."""

    model_config = ConfigDict(extra="forbid", strict=True)


class WhereBody(Asked):
    """Which documents are seen; all that is given must hold."""

    documents: list[Text] | None = Field(None, max_length=10_000, description="Their ids.")
    metadata: Metadata | None = None
    principals: list[Text] | None = Field(
        None, max_length=1000, description="Whom an access list must name. They narrow what the API key lets see."
    )


class SearchBody(Asked):
    """A question."""

    question: Questioned = Field(examples=["Who designed the lighthouse?"])
    limit: Limit = Field(10, description="Passages at most.")
    system: str | None = Field(None, description="One of the workspace's systems; the configured one without.")
    where: WhereBody | None = None
    seconds: Seconds | None = None
    steps: Annotated[int, Field(ge=0, le=1_000_000), Whole] | None = Field(
        None, description="Steps of the search at most."
    )
    answer: bool = Field(True, description="Whether an answer is read from the evidence.")


class CompareBody(Asked):
    """A question for several systems."""

    question: Questioned
    limit: Limit = 10
    systems: list[str] = Field(min_length=1, max_length=8, json_schema_extra={"uniqueItems": True})
    where: WhereBody | None = None
    seconds: Seconds | None = None


class DocumentBody(Asked):
    """A document to add."""

    id: Identifier
    title: Text = ""
    text: Words = Field(max_length=4_000_000)
    metadata: dict[str, Any] = Field(
        default_factory=dict, description="JSON; `access`, a list of names, says who may see the document."
    )


class Open(BaseModel):
    """An answer, which may have more fields one day."""


class ErrorDetail(Open):
    """What went wrong."""

    type: str
    message: str


class ErrorBody(Open):
    """The one shape of errors."""

    error: ErrorDetail


class WorkspaceBody(Open):
    """A workspace."""

    name: str
    documents: int
    passages: int
    systems: list[str]
    encoder: str
    changed: float = Field(description="When the index was last changed, in seconds since 1970.")
    size_bytes: int
    changeable: bool


class PassageBody(Open):
    """A passage: `text` is `[start, end)` of its document's text."""

    id: str
    document_id: str
    title: str
    text: str
    start: int
    end: int
    sentences: list[tuple[int, int]]
    source: str
    metadata: dict[str, Any]
    lead: str


class SentenceBody(Open):
    """The sentence that supports the question best: places in the passage and in the document."""

    start: int
    end: int
    document_start: int
    document_end: int
    score: float


class EvidenceBody(Open):
    """A passage that was found."""

    rank: int
    passage: PassageBody
    score: float
    taken: bool
    how: str
    sentence: SentenceBody | None
    page: int | None
    probability: float | None
    bm25: float | None
    cosine: float | None
    index: str


class StepBody(Open):
    """A step of the search."""

    action: str
    detail: str
    reason: str
    passages: list[str]
    titles: list[str]
    probability: float


class AnswerBody(Open):
    """What the built-in reader answers."""

    text: str
    probability: float
    passage: str | None
    start: int
    end: int
    stated: bool


class ClaimBody(Open):
    """A sentence that a model wrote, checked; `problem` is null where the passages it cites say so."""

    text: str
    cites: list[int]
    problem: str | None


class WrittenBody(Open):
    """What a model wrote."""

    text: str
    written_by: str
    claims: list[ClaimBody]


class ResultBody(Open):
    """A result: see docs/search-results-and-scores.md."""

    question: str
    evidence: list[EvidenceBody]
    path: list[StepBody]
    answered_by: str
    milliseconds: float
    calls: int
    confidence: float | None
    answer: AnswerBody | None
    written: WrittenBody | None
    unanswered: bool
    ended_by: str
    unreachable: list[str]
    shards: list[str]


class ListedBody(Open):
    """A document of a list."""

    id: str
    title: str
    source: str
    passages: int


class DocumentsBody(Open):
    """Documents in the order of their ids; `next` is the `after` of the next page."""

    documents: list[ListedBody]
    next: str | None


class PlaceBody(Open):
    """A passage of a document: `text` is `[start, end)` of the document's text."""

    id: str
    start: int
    end: int
    text: str


class WholeDocumentBody(Open):
    """A document."""

    id: str
    title: str
    text: str
    source: str
    metadata: dict[str, Any]
    passages: list[PlaceBody]


class NodeBody(Open):
    """A passage of the graph, its text cut."""

    id: str
    document: str
    title: str
    text: str


class EdgeBody(Open):
    """An edge; those of `shares` and `adjacent` stand both ways."""

    source: str
    target: str
    relation: Literal["title_mention", "alias_mention", "shares", "adjacent"]


class GraphBody(Open):
    """Passages, nearest first, and the edges among them."""

    nodes: list[NodeBody]
    edges: list[EdgeBody]


class MissBody(Open):
    """A question that was missed."""

    question: str
    unanswered: bool
    confidence: float | None
    when: float


class SegmentBody(Open):
    """A part of an index."""

    name: str
    documents: int
    passages: int
    deleted: int = Field(description="Passages that are deleted, and not merged away yet.")


class HealthBody(Open):
    """How an index is."""

    segments: list[SegmentBody]
    deleted: int
    drift: dict[str, float | str] = Field(description="How far additions lie from the base, 0 to 1, and in words.")
    generation: int
    changed: float
    left_out: int = Field(description="Passages that were left out because they repeat another.")


class ProblemBody(Open):
    """What could not be read."""

    name: str
    reason: str


class JobBody(Open):
    """A change of an index."""

    id: str
    workspace: str
    kind: Literal["add", "delete"]
    by: str = Field(description="Name of the API key.")
    state: Literal["queued", "running", "done", "failed"]
    stage: str
    done: int
    total: int
    error: ErrorDetail | None
    problems: list[ProblemBody]
    report: dict[str, Any] | None
    created: float
    ended: float | None


def where_of(body: WhereBody | None, principals: frozenset[str] | None) -> Where | None:
    """Return which documents a search may see.

    Args:
        body: as it was asked.
        principals: whom the access lists must name for the key that asks; they are only ever narrowed.
    """
    asked = None if body is None or body.principals is None else frozenset(body.principals)
    if principals is not None:
        asked = principals if asked is None else asked & principals
    documents, metadata = (None, None) if body is None else (body.documents, body.metadata)
    if documents is None and metadata is None and asked is None:
        return None
    return Where(documents, metadata, asked)


def seconds_of(asked: float | None) -> float:
    """Return the seconds that a search is given."""
    return LONGEST_SEARCH if asked is None else min(asked, LONGEST_SEARCH)
