"""What an application embeds: an agent that searches an index and says how it found what it hands over."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from time import perf_counter
from typing import Any

from ..errors import QuestionsError
from ..index.index import Index
from ..retrievers._svg import printable, svg_picture
from ..retrievers.corpus._normalise import normalise
from ..retrievers.records import Passage, SupportingSentence
from ._fixed_systems import Ranked
from ._rollout import Decision
from ._systems import RerankedSystem, open_system
from .reader._language_models import answering_reader
from .reader._protocol import Answer, cited_numbers, cited_passage

READ = 5
"""Passages that are read for an answer where no policy took any."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A passage that was found.

    Attributes:
        rank: from 1.
        passage: with its document, its span there, and its source.
        score: strictly decreasing with the rank.
        taken: the policy chose it; the others are what else came into view, ranked behind.
        how: what brought it into view, in words.
        sentence: the one that supports the question best, where the result was re-ranked; None elsewhere.
    """

    rank: int
    passage: Passage
    score: float
    taken: bool
    how: str
    sentence: SupportingSentence | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the path.

    Attributes:
        action: ``expand``, ``hop``, ``take`` or ``stop``.
        detail: what was done, in words.
        reason: why, in words.
        passages: ids of the passages that the step brought or took.
        titles: their titles, or the beginning of their texts.
        probability: that the policy gave to the action; 1 for a fixed system.
    """

    action: str
    detail: str
    reason: str
    passages: tuple[str, ...]
    titles: tuple[str, ...]
    probability: float


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The answer to one search.

    Attributes:
        question: as it was asked.
        evidence: best first.
        path: what was asked, followed and kept, and why it stopped.
        answered_by: which policy or fixed system this is from.
        milliseconds: that the search took.
        calls: sub-index calls and hops.
        confidence: the probability that the passages taken are all the evidence there is; None for a fixed system, and
            for a policy whose training did not come to its end.
        answer: what the reader makes of the evidence; None when there is no reader, or nothing to read.
    """

    question: str
    evidence: tuple[Evidence, ...]
    path: tuple[Step, ...]
    answered_by: str
    milliseconds: float
    calls: int
    confidence: float | None = None
    answer: Answer | None = None

    def context(self, token_budget: int, count_tokens: Callable[[str], int] | None = None) -> str:
        """Pack the evidence into a prompt: ``[rank] title``, then its text; whole sentences, best passages first.

        A ``[`` before a number in a passage's own title or text is written ``\\[``, so no passage can pose as another:
        every ``[rank]`` is a marker, and :meth:`cited` finds what a model's answer cites.

        Args:
            token_budget: never exceeded, by ``count_tokens``.
            count_tokens: your model's; by default a cautious guess, three characters to a token.

        Raises:
            QuestionsError: when the budget is negative.
        """
        if token_budget < 0:
            raise QuestionsError(f"a budget of {token_budget} tokens cannot be kept: give 0 or more")
        count = count_tokens or _guess_tokens
        packed = ""
        for evidence in self.evidence:
            rank, title, text = evidence.rank, evidence.passage.title, evidence.passage.text
            ends = [end for _, end in evidence.passage.sentences]
            while ends and count(_joined(packed, cited_passage(rank, title, text[: ends[-1]]))) > token_budget:
                ends.pop()
            if not ends:
                break
            packed = _joined(packed, cited_passage(rank, title, text[: ends[-1]]))
            if ends[-1] < len(text.rstrip()):
                break
        return packed

    def cited(self, answer: str) -> tuple[Evidence, ...]:
        """Return the evidence that a text cites by ``[rank]`` or ``[rank, rank]``, in the order it is first cited.

        Args:
            answer: what a model wrote that was given :meth:`context`; numbers of no evidence are left out.
        """
        ranked = {evidence.rank: evidence for evidence in self.evidence}
        return tuple(ranked[number] for number in cited_numbers(answer) if number in ranked)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain lists, dictionaries, strings and numbers."""
        return dict(json.loads(json.dumps(asdict(self))))


class SearchAgent:
    """Searches one index; threads may share an agent, and each search depends on nothing but its question.

    Args:
        index: an opened index, or the folder of one.
        policy: the folder of a trained policy; the one that ships with the package when None.
        system: one of ``lexical``, ``dense``, ``late`` (where the index has it), ``hybrid``, ``hops``,
            ``ppr``, ``exhaustive``, ``policy``; without it the policy, or ``hybrid`` when the shipped policy was not
            trained for the index's encoder.
        reranker: the folder of a re-ranker, which then puts what was found in order.
        query_encoder: the folder of tuned queries (``trailhound tune-query`` or ``tune``), for a fixed system that
            compares vectors, like ``dense`` or ``hybrid``.

    The policy's own reader answers, or the one that ships with the package.

    Attributes:
        answered_by: which policy or fixed system answers.

    Raises:
        IndexFolderError, PolicyError, EncoderError: when the index, the policy, the re-ranker or the tuned queries
            cannot be used.
    """

    def __init__(
        self,
        index: Index | Path | str,
        policy: Path | str | None = None,
        *,
        system: str | None = None,
        reranker: Path | str | None = None,
        query_encoder: Path | str | None = None,
    ) -> None:
        self.index = index if isinstance(index, Index) else Index.open(index)
        folders = (None if place is None else Path(place) for place in (policy, reranker, query_encoder))
        self._system = open_system(self.index, system, *folders)
        self.answered_by = self._system.name
        self._reader = None
        if self.index.facts is None:  # over facts the entity that was taken is the answer
            self._reader = answering_reader(None if policy is None else Path(policy))

    def search(self, question: str, limit: int = 10) -> SearchResult:
        """Find the evidence for a question, in the index as it is when the search begins.

        Args:
            question: in words.
            limit: passages to return at most.

        Raises:
            QuestionsError: when the question is empty or not text, or the limit below 1.
        """
        text = _readable(question)
        if limit < 1:
            raise QuestionsError(f"a limit of {limit} passages finds nothing: give 1 or more")
        started = perf_counter()
        if self.index.facts is None:
            self.index.refresh()
        with self.index.snapshot():
            ranked = self._system.rank(text, limit)
            evidence, path = self._evidence(text, ranked), tuple(self._step(decision) for decision in ranked.decisions)
            answer = None
            if self._reader is not None:
                read = self.index.store.passages(ranked.to_read(READ).tolist())
                answer = self._reader.answer(text, read)
        milliseconds = (perf_counter() - started) * 1000
        return SearchResult(
            question, evidence, path, self.answered_by, milliseconds, ranked.calls, ranked.confidence, answer
        )

    def search_many(
        self,
        questions: Sequence[str],
        limit: int = 10,
        *,
        threads: int = 1,
        done: Callable[[int], None] | None = None,
    ) -> list[SearchResult]:
        """Search every question, ``threads`` at a time; the results are those of :meth:`search`, in order.

        Args:
            questions: in words.
            limit: passages to return at most for each.
            threads: searches side by side.
            done: called with the number of questions that are answered.
        """
        results = []
        with ThreadPoolExecutor(max(threads, 1)) as pool:
            for result in pool.map(lambda question: self.search(question, limit), questions):
                results.append(result)
                if done is not None:
                    done(len(results))
        return results

    def _evidence(self, question: str, ranked: Ranked) -> tuple[Evidence, ...]:
        brought: dict[int, str] = {}
        for decision in ranked.decisions:
            if decision.kind != "take":
                for row in decision.rows:
                    brought.setdefault(row, decision.detail)
        rows = ranked.rows.tolist()
        passages = self.index.store.passages(rows)
        sentences: Sequence[SupportingSentence | None] = [None] * len(rows)
        if isinstance(self._system, RerankedSystem):
            sentences = self._system.sentences(question, passages)
        return tuple(
            Evidence(
                rank, passage, float(score), row in ranked.taken, brought.get(row, "everything was asked"), sentence
            )
            for rank, (row, passage, score, sentence) in enumerate(
                zip(rows, passages, ranked.scores, sentences, strict=True), start=1
            )
        )

    def _step(self, decision: Decision) -> Step:
        passages = self.index.store.passages(decision.rows)
        return Step(
            decision.kind,
            decision.detail,
            decision.reason,
            tuple(passage.id for passage in passages),
            tuple(passage.title or passage.text[:60] for passage in passages),
            decision.probability,
        )


def _readable(question: str) -> str:
    """Return the question in the form that passages are stored in.

    Raises:
        QuestionsError: when it is empty, or has what no text has.
    """
    normalised = normalise(question)
    if normalised.nul_characters or normalised.lone_surrogates:
        raise QuestionsError(f"the question {question!r} has NUL characters or lone surrogates: give it as UTF-8 text")
    if not normalised.text.strip():
        raise QuestionsError("the question is empty: ask something")
    return normalised.text


def _joined(before: str, part: str) -> str:
    return f"{before}\n\n{part}" if before else part


def _guess_tokens(text: str) -> int:
    return -(-len(text) // 3)


_SIGNS = {"expand": "?", "hop": "→", "take": "✓", "stop": "■"}
_COLOURS = {"expand": "#4c78a8", "hop": "#b279a2", "take": "#54a24b", "stop": "#79706e"}
_SHOWN = 3
_NARROWEST = 30

_WIDTH = 860
_LINE = 18
_BOX_GAP = 16


def draw_path(result: SearchResult, width: int = 100) -> str:
    """Return the path as lines of text: each step, why, and what it brought.

    Args:
        result: of a search.
        width: characters to a line at most; below 30 counts as 30.
    """
    width = max(width, _NARROWEST)
    lines = _wrap(result.question, width)
    for number, step in enumerate(result.path):
        last = number == len(result.path) - 1
        lines += _branch(f"{_SIGNS[step.action]} {step.detail}", "└─ " if last else "├─ ", last, width)
        stem = "   " if last else "│  "
        certain = "" if step.action == "expand" and step.probability == 1 else f" ({step.probability:.2f})"
        lines += _branch(f"because {step.reason}{certain}", f"{stem}  ", last, width)
        if _brought(step):
            lines += _branch(_brought(step), f"{stem}  ", last, width)
    return "\n".join(lines)


def draw_svg(result: SearchResult) -> str:
    """Return the path as an SVG picture: a box for each step, from top to bottom."""
    title = _wrap(result.question, 90)
    parts = [
        f'<text x="20" y="{30 + k * _LINE}" font-weight="bold">{escape(line)}</text>' for k, line in enumerate(title)
    ]
    top = 44 + (len(title) - 1) * _LINE
    for number, step in enumerate(result.path):
        lines = [step.detail, f"because {step.reason}", *([_brought(step)] if _brought(step) else [])]
        wrapped = [part for line in lines for part in _wrap(line, 105)]
        height = 14 + len(wrapped) * _LINE
        if number:
            parts.append(
                f'<path d="M60 {top - _BOX_GAP} v{_BOX_GAP - 3}" stroke="#888" marker-end="url(#arrow)" fill="none"/>'
            )
        parts.append(
            f'<rect x="20" y="{top}" width="{_WIDTH - 40}" height="{height}" rx="6" fill="#fff"'
            f' stroke="{_COLOURS[step.action]}" stroke-width="2"/>'
        )
        for k, line in enumerate(wrapped):
            style = f'fill="{_COLOURS[step.action]}" font-weight="bold"' if k == 0 else 'fill="#333"'
            parts.append(f'<text x="34" y="{top + 20 + k * _LINE}" {style}>{escape(line)}</text>')
        top += height + _BOX_GAP
    arrow = (
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7"'
        ' orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#888"/></marker></defs>'
    )
    return svg_picture(_WIDTH, top, [arrow, *parts], 13, "#fafafa")


def _branch(text: str, start: str, last: bool, width: int) -> list[str]:
    stem = start if start.strip("│ ") == "" else ("   " if last else "│  ")
    return _wrap(text, width, start, f"{stem}  ")


def _wrap(text: str, width: int, start: str = "", following: str = "") -> list[str]:
    return textwrap.wrap(printable(text), width, initial_indent=start, subsequent_indent=following)


def _brought(step: Step) -> str:
    """Name the passages that a step brought into view; what TAKE took is in its own words already."""
    if step.action in {"take", "stop"}:
        return ""
    if not step.titles:
        return "brought nothing new"
    more = len(step.titles) - _SHOWN
    return "brought " + ", ".join(step.titles[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
