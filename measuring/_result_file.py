"""What `trailhound evaluate --json` writes of each question, and reading such a file again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from ..errors import QuestionsError
from ..retrievers.corpus._json_records import read_file

LATER = "write it again with  trailhound evaluate ... --json FILE"


@dataclass(frozen=True, slots=True)
class Named:
    """A passage or document that is judged: its id, and its title or the beginning of its text."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class Found:
    """One of the first five: its id, what it is called, and whether it supports the answer."""

    id: str
    title: str
    supports: bool


@dataclass(frozen=True, slots=True)
class PathStep:
    """One step of a search, as :class:`trailhound.Step` has it; ``titles`` are the first three of what it brought."""

    action: str
    detail: str
    reason: str
    titles: tuple[str, ...]
    probability: FiniteFloat


@dataclass(frozen=True, slots=True)
class QuestionResult:
    """How one question went.

    Attributes:
        id, question, type: as the questions have them.
        figures: metric -> value, such as ``recall@5``, ``calls``, ``latency_ms`` and ``confidence``.
        missed: what supports the answer and is not among the first five.
        found: the first five.
        path: the steps of the search; empty where the system tells none.
    """

    id: str
    question: str
    type: str | None
    figures: dict[str, FiniteFloat]
    missed: tuple[Named, ...]
    found: tuple[Found, ...]
    path: tuple[PathStep, ...]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain lists, dictionaries, strings and numbers."""
        value = asdict(self)
        for step in value["path"]:
            step["titles"] = list(step["titles"])
        return value | {name: list(value[name]) for name in ("missed", "found", "path")}


@dataclass(frozen=True, slots=True)
class Results:
    """What an evaluation wrote.

    Attributes:
        path: of the file.
        system: that was measured.
        figures: metric -> value over all questions; ``metric[type]`` over those of one type.
        settings: what was measured on what: index, questions, split, and the folders that were given.
        per_question: how each question went, each id once.
    """

    path: Path
    system: str
    figures: Mapping[str, float]
    settings: Mapping[str, str]
    per_question: tuple[QuestionResult, ...]


class _File(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, float] = Field(init=False)
    system: str
    questions: float
    settings: dict[str, str] = Field(default_factory=dict)
    labels_unmatched: list[str] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    per_question: tuple[QuestionResult, ...] = ()


def read_results(path: Path | str) -> Results:
    """Read what :meth:`Evaluation.to_json` gave.

    Raises:
        QuestionsError: when the file cannot be read, is of another kind, or has a question twice.
    """
    path = Path(path)
    try:
        read = _File.model_validate_json(read_file(path, QuestionsError))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise QuestionsError(
            f"is not what `trailhound evaluate --json` writes: {place}: {first['msg']}; {LATER}", path
        ) from error
    seen: set[str] = set()
    for question in read.per_question:
        if question.id in seen:
            raise QuestionsError(f"has the question {question.id!r} twice; {LATER}", path)
        seen.add(question.id)
    figures = {"questions": read.questions, **read.__pydantic_extra__}
    return Results(path, read.system, figures, read.settings, read.per_question)
