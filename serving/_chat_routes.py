"""Routes that speak OpenAI's chat completions: a workspace is a model."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from ._chat import Completion, completed, question_of
from ._refusal import Refusal, as_json, body_of, told
from ._schemas import EVENTS, ClaimBody, Open, SearchBody, WhereBody
from ._search_routes import STREAM, beating
from ._searching import Running
from ._service import Access, Asking, Found, Served, Service, access_to, json_of
from ._settings import LONGEST_QUESTION

router = APIRouter(tags=["chat"])

READ = 10
"""Passages that a model is shown."""

_PIECE = 24
"""Characters of a piece of a streamed answer, about."""


class PartBody(BaseModel):
    """A part of a message; only texts are read."""

    model_config = ConfigDict(strict=True)
    type: str
    text: str = ""


class MessageBody(BaseModel):
    """A message."""

    model_config = ConfigDict(strict=True)
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[PartBody] | None = None

    @property
    def text(self) -> str:
        """Its text."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class ChatBody(BaseModel):
    """A request of OpenAI's kind; what it has beside is for language models, and is not looked at."""

    model_config = ConfigDict(strict=True, extra="allow")
    model: str = Field(description="Name of a workspace.")
    messages: list[MessageBody] = Field(min_length=1, max_length=1000, description="The last of the user's is asked.")
    stream: bool = False
    where: WhereBody | None = None


class CitationBody(Open):
    """Where a number leads: `text` is `[start, end)` of the document's text."""

    number: int
    passage: str
    document: str
    title: str
    source: str
    page: int | None
    start: int
    end: int
    text: str


class CheckedBody(Open):
    """What was checked: see docs/serving.md."""

    answered_by: str
    supported: bool
    claims: list[ClaimBody]
    citations: list[CitationBody]
    unanswered: bool
    confidence: float | None
    searched_by: str


class SaidBody(Open):
    """The message that answers."""

    role: Literal["assistant"]
    content: str


class ChoiceBody(Open):
    """The only choice."""

    index: int
    message: SaidBody
    finish_reason: Literal["stop"]


class UsageBody(Open):
    """Nothing is charged: no tokens are counted."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class CompletionBody(Open):
    """A chat completion, with `trailhound` beside."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChoiceBody]
    usage: UsageBody
    trailhound: CheckedBody


class ModelBody(Open):
    """A workspace as a model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelsBody(Open):
    """All models."""

    object: Literal["list"]
    data: list[ModelBody]


@router.get("/v1/models", response_model=ModelsBody)
def models(service: Served, key: Asking) -> Response:
    """List the workspaces as models."""
    names = [name for name in service.workspaces if key.may(name, "search")]
    data = [{"id": name, "object": "model", "created": 0, "owned_by": "trailhound"} for name in names]
    return json_of({"object": "list", "data": data})


@router.post(
    "/v1/chat/completions",
    response_model=CompletionBody,
    responses={200: {"content": {"text/event-stream": {"schema": EVENTS}}}},
)
async def complete(request: Request, service: Served, key: Asking, body: ChatBody) -> Response:
    """Search, answer from what was found, and check every citation."""
    access = access_to(service, key, body.model, "search")
    asked = _search_of(body)
    where = access.where(body.where)
    if not body.stream:
        completion = await _completion(request, service, access, asked)
        return json_of(_whole(body.model, completion))
    running = service.searches.start(service.call(access.workspace, asked, where))
    return StreamingResponse(_chunks(service, body.model, asked, running), 200, STREAM, "text/event-stream")


def _search_of(body: ChatBody) -> SearchBody:
    question = question_of([(one.role, one.text) for one in body.messages]).replace("\0", "")
    if not question:
        raise Refusal(400, "QuestionsError", "the user says nothing: ask in a message of the role user")
    if len(question) > LONGEST_QUESTION:
        raise Refusal(
            400,
            "QuestionsError",
            f"the question has more than {LONGEST_QUESTION:,} characters: ask one thing at a time",
        )
    return SearchBody.model_construct(
        question=question, limit=READ, system=None, where=body.where, seconds=None, steps=None, answer=True
    )


async def _completion(request: Request, service: Service, access: Access, asked: SearchBody) -> Completion:
    call = service.call(access.workspace, asked, access.where(asked.where))
    result, _ = await service.searches.run(request, call)
    written = None
    if service.writes(asked, result):
        written = await service.writing.run(request, partial(service.written, result))
    return completed(result, written, service.writer is not None)


async def _chunks(service: Service, model: str, asked: SearchBody, running: Running[Found]) -> AsyncIterator[bytes]:
    """Yield the pieces of an answer; it is checked as a whole, so they come at its end."""
    head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": "chat.completion.chunk", "created": int(time.time())}
    head["model"] = model

    def chunk(delta: dict[str, str], reason: str | None = None, **beside: Any) -> bytes:
        choices = [{"index": 0, "delta": delta, "finish_reason": reason}]
        return b"data: " + as_json({**head, "choices": choices, **beside}) + b"\n\n"

    try:
        yield chunk({"role": "assistant", "content": ""})
        async for beat in beating(running.done):
            yield beat
        result, _ = running.done.result()
        written = None
        if service.writes(asked, result):
            writing = service.writing.start(partial(service.written, result))
            try:
                async for beat in beating(writing.done):
                    yield beat
                written = writing.done.result()
            finally:
                writing.end()
        completion = completed(result, written, service.writer is not None)
        for start in range(0, len(completion.text), _PIECE):
            yield chunk({"content": completion.text[start : start + _PIECE]})
        yield chunk({}, "stop", trailhound=completion.told)
    except Exception as error:
        _, kind, message = told(error)
        yield b"data: " + as_json(body_of(kind, message)) + b"\n\n"
    finally:
        running.end()
    yield b"data: [DONE]\n\n"


def _whole(model: str, completion: Completion) -> dict[str, Any]:
    message = {"role": "assistant", "content": completion.text}
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        "trailhound": completion.told,
    }
