"""What an application embeds: an agent that searches an index and says how it found what it hands over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from time import perf_counter
from typing import Literal, overload

from ..errors import QuestionsError, SearchCancelledError, TrailhoundError
from ..index.where import Where
from ..retrievers._thread_limits import computing_on
from ..retrievers.corpus._normalise import normalise
from ..retrievers.records import LONGEST_QUESTION, Passage
from ..sharding._fan import LostShardError
from ._decision import Decision
from ._fixed_systems import Ranked
from ._later import Later
from ._open_agent import READ, OpenAgent
from ._streaming import aside, streamed, streamed_aside
from ._watch import Watch
from .reader._citations import WrittenAnswer
from .search_result import Evidence, SearchResult, Step

BATCH = 64
"""Questions that are searched side by side."""

WRITERS = 8
"""Answers that an endpoint is asked for side by side."""

Found = tuple[tuple[Evidence, ...], tuple[Step, ...], Sequence[Passage]]
"""Evidence and path of a search, and the passages that are read for an answer."""

_BEGUN_AGAIN = 5
"""Times that a search begins again, when a shard is lost in the middle of it."""


class SearchAgent(OpenAgent):
    """Searches one index, or its shards; threads may share an agent, and a search depends on nothing but its question.

    Args:
        index: an opened index or sharded index, or the folder of one.
        policy: the folder of a trained policy; the one that ships with the package when None.
        system: one of ``lexical``, ``dense``, ``late`` (where the index has it), ``hybrid``, ``hops``,
            ``ppr``, ``exhaustive``, ``policy``; without it the policy, or ``hybrid`` when the shipped policy was not
            trained for the index's encoder.
        reranker: the folder of a re-ranker, which then puts what was found in order.
        query_encoder: the folder of tuned queries (``trailhound tune-query`` or ``tune``), for a fixed system that
            compares vectors, like ``dense`` or ``hybrid``.
        answer_with: ``URL#MODEL`` of an endpoint that speaks OpenAI's chat completions; it writes an answer beside.
        threads: of the CPU that a search computes on, whatever thread it runs in.

    The policy's own reader answers, or the one that ships with the package. It is loaded with the first answer that is
    looked at.

    Attributes:
        answered_by: which policy or fixed system answers.

    Raises:
        IndexFolderError, PolicyError, EncoderError: when the index, the policy, the re-ranker or the tuned queries
            cannot be used.
    """

    def search(
        self,
        question: str,
        limit: int = 10,
        *,
        where: Where | None = None,
        seconds: float | None = None,
        steps: int | None = None,
        cancelled: Event | None = None,
        on_step: Callable[[Step], None] | None = None,
        at_least: float = 0.0,
    ) -> SearchResult:
        """Find the evidence for a question, in the index as it is when the search begins.

        Args:
            question: in words.
            limit: passages to return at most.
            where: only these documents are seen, in every sub-index, hop, ranking and answer; all when None.
            seconds: then the search stops and returns what it has; a deadline is kept to within one step.
            steps: actions of the policy at most; then likewise.
            cancelled: ends the search with an error once it is set.
            on_step: called with every step as it is done, in the thread that searches.
            at_least: probability of support of every passage that is returned; 0 for all of them.

        Raises:
            QuestionsError: when the question is empty, too long or not text, or another argument cannot be.
            SearchCancelledError: when it was cancelled.
            ClosedError: when agent or index was closed.
            PolicyError: when an endpoint is to answer and cannot be reached, or its reply is no answer.
        """
        events = [] if cancelled is None else [cancelled]
        return self._watched(question, limit, where, seconds, steps, events, on_step).likely(at_least)

    @overload
    def search_many(
        self,
        questions: Sequence[str],
        limit: int = ...,
        *,
        where: Where | None = ...,
        seconds: float | None = ...,
        steps: int | None = ...,
        cancelled: Event | None = ...,
        errors: Literal["raise"] = ...,
        done: Callable[[int], None] | None = ...,
    ) -> list[SearchResult]: ...

    @overload
    def search_many(
        self,
        questions: Sequence[str],
        limit: int = ...,
        *,
        where: Where | None = ...,
        seconds: float | None = ...,
        steps: int | None = ...,
        cancelled: Event | None = ...,
        errors: Literal["return"],
        done: Callable[[int], None] | None = ...,
    ) -> list[SearchResult | TrailhoundError]: ...

    def search_many(
        self,
        questions: Sequence[str],
        limit: int = 10,
        *,
        where: Where | None = None,
        seconds: float | None = None,
        steps: int | None = None,
        cancelled: Event | None = None,
        errors: Literal["raise", "return"] = "raise",
        done: Callable[[int], None] | None = None,
    ) -> list[SearchResult] | list[SearchResult | TrailhoundError]:
        """Search many questions, ``BATCH`` side by side, which costs less than one by one; the results are the same.

        Args:
            questions: in words.
            limit: passages to return at most for each.
            where: only these documents are seen.
            seconds: for all of them together; the searches that are not through then stop.
            steps: of each.
            cancelled: ends all once it is set.
            errors: ``return`` puts the error of a question in the place of its result; ``raise`` ends with the first.
            done: called with the number of questions that are answered.
        """
        _check(limit, where)
        if isinstance(questions, str):
            raise QuestionsError(f"{questions!r} is one question: give a list, or call search()")
        if errors not in ("raise", "return"):
            raise QuestionsError(f"errors={errors!r} says neither 'raise' nor 'return'")
        events = () if cancelled is None else (cancelled,)
        until = Watch(seconds, steps, events)
        found: list[SearchResult | TrailhoundError] = []
        for first in range(0, len(questions), BATCH):
            found += self._batch(questions[first : first + BATCH], limit, where, until, errors == "return")
            if done is not None:
                done(len(found))
        return found

    async def asearch(
        self,
        question: str,
        limit: int = 10,
        *,
        where: Where | None = None,
        seconds: float | None = None,
        steps: int | None = None,
        on_step: Callable[[Step], None] | None = None,
    ) -> SearchResult:
        """Do what :meth:`search` does in a worker thread; cancelling the task ends the search."""
        return await aside(
            partial(self.search, question, limit, where=where, seconds=seconds, steps=steps, on_step=on_step)
        )

    async def asearch_many(
        self,
        questions: Sequence[str],
        limit: int = 10,
        *,
        where: Where | None = None,
        seconds: float | None = None,
        steps: int | None = None,
        errors: Literal["raise", "return"] = "raise",
    ) -> list[SearchResult] | list[SearchResult | TrailhoundError]:
        """Do what :meth:`search_many` does in a worker thread; cancelling the task ends the searches."""
        return await aside(
            partial(self.search_many, questions, limit, where=where, seconds=seconds, steps=steps, errors=errors)
        )

    def stream(
        self,
        question: str,
        limit: int = 10,
        *,
        where: Where | None = None,
        seconds: float | None = None,
        steps: int | None = None,
        cancelled: Event | None = None,
    ) -> Iterator[Step | SearchResult]:
        """Iterate over the steps of a search as they are done, and its result, which is last.

        The search runs in a thread of its own, and ends where the iterator is closed.
        """
        return streamed(partial(self._watched, question, limit, where, seconds, steps), cancelled)

    async def astream(
        self,
        question: str,
        limit: int = 10,
        *,
        where: Where | None = None,
        seconds: float | None = None,
        steps: int | None = None,
    ) -> AsyncIterator[Step | SearchResult]:
        """Do what :meth:`stream` does; leaving the iteration, or cancelling the task, ends the search."""
        async for found in streamed_aside(
            partial(self.asearch, question, limit, where=where, seconds=seconds, steps=steps)
        ):
            yield found

    def _watched(
        self,
        question: str,
        limit: int,
        where: Where | None,
        seconds: float | None,
        steps: int | None,
        cancelled: Sequence[Event],
        on_step: Callable[[Step], None] | None,
    ) -> SearchResult:
        _check(limit, where)
        watch = Watch(seconds, steps, cancelled, self._heard(on_step))
        return self._search([question], [_readable(question)], limit, where, [watch])[0]

    def _heard(self, on_step: Callable[[Step], None] | None) -> Callable[[Decision], None] | None:
        if on_step is None:
            return None
        return lambda decision: on_step(self._made.step(decision, self._made.passages(decision.rows)))

    def _batch(
        self, questions: Sequence[str], limit: int, where: Where | None, watch: Watch, one_by_one: bool
    ) -> list[SearchResult | TrailhoundError]:
        """Search some questions side by side; with ``one_by_one`` an error of one is its result."""
        found: dict[int, SearchResult | TrailhoundError] = {}
        texts: dict[int, str] = {}
        for place, question in enumerate(questions):
            try:
                texts[place] = _readable(question)
            except QuestionsError as error:
                if not one_by_one:
                    raise
                found[place] = error
        asked = [questions[place] for place in texts]
        try:
            results = self._search(asked, list(texts.values()), limit, where, [watch.again() for _ in texts])
            found.update(zip(texts, results, strict=True))
        except SearchCancelledError:
            raise
        except TrailhoundError as error:
            if not one_by_one:
                raise
            if len(texts) == 1:
                found.update(dict.fromkeys(texts, error))
            else:
                for place in texts:
                    found[place] = self._batch([questions[place]], limit, where, watch, one_by_one)[0]
        return [found[place] for place in range(len(questions))]

    def _search(
        self, questions: Sequence[str], texts: Sequence[str], limit: int, where: Where | None, watches: Sequence[Watch]
    ) -> list[SearchResult]:
        """Search questions side by side, given as they were asked and as they are read."""
        self._check_open()
        if not texts:
            return []
        started = perf_counter()
        if self.index.facts is None:
            self.index.refresh()
        ranked, found, unreachable, shards = self._ranked(texts, limit, where, watches)
        milliseconds = (perf_counter() - started) * 1000 / len(texts)
        written = self._written(texts, [evidence for evidence, _, _ in found])
        return [
            SearchResult(
                question,
                evidence,
                path,
                self.answered_by,
                milliseconds,
                one.calls,
                one.confidence,
                Later(partial(self._answer, text, read)),
                answer,
                one.unanswered,
                watch.ended_by,
                unreachable,
                asked,
            )
            for question, text, one, (evidence, path, read), answer, watch, asked in zip(
                questions, texts, ranked, found, written, watches, shards, strict=True
            )
        ]

    def _ranked(
        self, texts: Sequence[str], limit: int, where: Where | None, watches: Sequence[Watch]
    ) -> tuple[list[Ranked], list[Found], tuple[str, ...], list[tuple[str, ...]]]:
        """Rank passages for questions; returns what each found, which shards did not answer, and whom each asked."""
        most = max(limit, READ)  # what is read does not depend on what is shown
        for begun in range(_BEGUN_AGAIN + 1):
            try:
                with computing_on(self._threads), self.index.snapshot(where):
                    if len(texts) == 1:
                        ranked = [self._system.rank(texts[0], most, watches[0])]
                    else:
                        ranked = self._system.rank_many(texts, most, watches)
                    found = [self._found(text, one, limit) for text, one in zip(texts, ranked, strict=True)]
                    return ranked, found, self.index.unreachable, [self.index.shards_asked(text) for text in texts]
            except LostShardError:
                if begun == _BEGUN_AGAIN:
                    raise
        raise AssertionError("the last search returns or raises")

    def _found(self, text: str, ranked: Ranked, limit: int) -> Found:
        """Return evidence and path of a search, and the passages that are read for an answer."""
        shown, read = ranked.first(limit), ranked.to_read(READ).tolist()
        on_the_path = [row for decision in ranked.decisions for row in decision.rows]
        passages = self._made.passages([*shown.rows.tolist(), *read, *on_the_path])
        return (
            self._made.evidence(text, shown, passages),
            tuple(self._made.step(decision, passages) for decision in ranked.decisions),
            [passages[row] for row in read],
        )

    def _written(
        self, texts: Sequence[str], evidence: Sequence[tuple[Evidence, ...]]
    ) -> Sequence[WrittenAnswer | None]:
        """Return what an endpoint answers from the evidence; None where none was given, or nothing was found."""
        writer = self._writer
        if writer is None:
            return [None] * len(texts)

        def write(text: str, found: tuple[Evidence, ...]) -> WrittenAnswer | None:
            return writer.write(text, [one.passage for one in found]) if found else None

        if len(texts) == 1:
            return [write(texts[0], evidence[0])]
        with ThreadPoolExecutor(WRITERS) as pool:
            return list(pool.map(write, texts, evidence))


def _check(limit: int, where: Where | None) -> None:
    """Refuse arguments that cannot be."""
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise QuestionsError(f"a limit of {limit!r} passages finds nothing: give a whole number, 1 or more")
    if where is not None and not isinstance(where, Where):
        raise QuestionsError(f"where={where!r} is no condition: give one, like Where(metadata={{'lang': 'en'}})")


def _readable(question: str) -> str:
    """Return the question in the form that passages are stored in.

    Raises:
        QuestionsError: when it is empty, too long, or has what no text has.
    """
    if not isinstance(question, str):
        raise QuestionsError(f"the question {question!r} is no text: ask in words")
    if len(question) > LONGEST_QUESTION:
        raise QuestionsError(
            f"the question has {len(question):,} characters, more than {LONGEST_QUESTION:,}: ask one thing at a time"
        )
    normalised = normalise(question)
    if normalised.nul_characters or normalised.lone_surrogates:
        raise QuestionsError(f"the question {question!r} has NUL characters or lone surrogates: give it as UTF-8 text")
    if not normalised.text.strip():
        raise QuestionsError("the question is empty: ask something")
    return normalised.text
