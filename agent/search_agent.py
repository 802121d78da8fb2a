"""What an application embeds: an agent that searches an index and says how it found what it hands over."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import QuestionsError
from ..index.index import Index
from ..retrievers._places import in_full, place_of
from ..retrievers.corpus._normalise import normalise
from ..retrievers.records import LONGEST_QUESTION, Passage, SupportingSentence
from ._fixed_systems import Ranked
from ._later import Later, LaterField
from ._rollout import Decision
from ._sentences import SupportingSentences
from ._systems import RerankedSystem, open_system
from .reader._citations import WrittenAnswer
from .reader._protocol import Answer, cited_numbers, cited_passage

if TYPE_CHECKING:
    from .reader._extractive import ExtractiveReader

T = TypeVar("T")

READ = 5
"""Passages that are read for an answer at most: those that a policy took, or the first ones where none took any."""


@dataclass(frozen=True)
class Evidence:
    """A passage that was found.

    Attributes:
        rank: from 1.
        passage: with its document, its span there, and its source.
        score: strictly decreasing with the rank.
        taken: the policy chose it; the others are what else was seen.
        how: what brought it into view, in words; or that it was only listed, below what did.
        sentence: the one that supports the question best, by the re-ranker where there is one; None for a passage
            without sentences, and for entities. The sentences of a result are sought when the first is looked at.
        page: that this sentence stands on, counted from 1, where the document has pages.
    """

    rank: int
    passage: Passage
    score: float
    taken: bool
    how: str
    sentence: LaterField[SupportingSentence | None] = LaterField(None)  # noqa: RUF009 - a descriptor
    page: LaterField[int | None] = LaterField(None)  # noqa: RUF009 - a descriptor


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


@dataclass(frozen=True)
class SearchResult:
    """The answer to one search.

    Attributes:
        question: as it was asked.
        evidence: best first.
        path: what was asked, followed and kept, and why it stopped.
        answered_by: which policy or fixed system this is from.
        milliseconds: that the search took.
        calls: sub-index calls and hops.
        confidence: the probability that the first five passages of the ranking hold all the evidence there is; None for
            a policy whose training did not come to its end.
        unanswered: whether the corpus probably does not answer the question: nineteen of twenty that were answered
            looked better.
        answer: what the reader makes of the evidence, ``stated`` or a guess; None when there is no reader, or nothing
            to read. It is read when it is first looked at, which the milliseconds do not hold.
        written: what a language model answered from the evidence, its citations checked: ``[1]`` is the evidence of
            rank 1. None where none was asked, or where it found that the passages do not say.
    """

    question: str
    evidence: tuple[Evidence, ...]
    path: tuple[Step, ...]
    answered_by: str
    milliseconds: float
    calls: int
    confidence: float | None = None
    answer: LaterField[Answer | None] = LaterField(None)  # noqa: RUF009 - a descriptor
    written: WrittenAnswer | None = None
    unanswered: bool = False

    def context(self, token_budget: int, count_tokens: Callable[[str], int] | None = None) -> str:
        """Pack the evidence into a prompt: ``[rank] title (file, page)``, then its text, best passages first.

        Sentences stay whole. A ``[`` before a number in a passage's own title or text is written ``\\[``, so no passage
        can pose as another: every ``[rank]`` is a marker, and :meth:`cited` finds what a model's answer cites.

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
            passage = evidence.passage
            ends = [end for _, end in passage.sentences]
            while ends and count(_joined(packed, _cited(evidence, ends[-1]))) > token_budget:
                ends.pop()
            if not ends:
                break
            packed = _joined(packed, _cited(evidence, ends[-1]))
            if ends[-1] < len(passage.text.rstrip()):
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
        answer_with: ``URL#MODEL`` of an endpoint that speaks OpenAI's chat completions; it writes an answer beside.

    The policy's own reader answers, or the one that ships with the package. It is loaded with the first answer that is
    looked at.

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
        answer_with: str | None = None,
    ) -> None:
        self.index = index if isinstance(index, Index) else Index.open(index)
        folders = (None if place is None else Path(place) for place in (policy, reranker, query_encoder))
        self._system = open_system(self.index, system, *folders)
        self.answered_by = self._system.name
        self._compares = system != "lexical"  # which loads no encoder
        self._policy = None if policy is None else Path(policy)
        self._reader = Later(self._load_reader)
        self._writer = None
        if answer_with is not None:
            from .reader._endpoint import AnsweringEndpoint

            self._writer = AnsweringEndpoint(answer_with)

    def search(self, question: str, limit: int = 10) -> SearchResult:
        """Find the evidence for a question, in the index as it is when the search begins.

        Args:
            question: in words.
            limit: passages to return at most.

        Raises:
            QuestionsError: when the question is empty, too long or not text, or the limit below 1.
            PolicyError: when an endpoint is to answer and cannot be reached, or its reply is no answer.
        """
        text = _readable(question)
        if limit < 1:
            raise QuestionsError(f"a limit of {limit} passages finds nothing: give 1 or more")
        started = perf_counter()
        if self.index.facts is None:
            self.index.refresh()
        with self.index.snapshot():
            ranked = self._system.rank(text, max(limit, READ))  # what is read does not depend on what is shown
            read = self.index.store.passages(ranked.to_read(READ).tolist())
            evidence = self._evidence(text, ranked.first(limit))
            path = tuple(self._step(decision) for decision in ranked.decisions)
        milliseconds = (perf_counter() - started) * 1000
        written = None
        if self._writer is not None and evidence:
            written = self._writer.write(text, [one.passage for one in evidence])
        return SearchResult(
            question,
            evidence,
            path,
            self.answered_by,
            milliseconds,
            ranked.calls,
            ranked.confidence,
            Later(lambda: self._answer(text, read)),
            written,
            unanswered=ranked.unanswered,
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

    def _load_reader(self) -> ExtractiveReader | None:
        from .reader._language_models import answering_reader

        if self.index.facts is not None:  # the entity that was taken is the answer
            return None
        return answering_reader(self._policy)

    def _answer(self, question: str, passages: Sequence[Passage]) -> Answer | None:
        reader = self._reader.value()
        return None if reader is None else reader.answer(question, passages)

    def _evidence(self, question: str, ranked: Ranked) -> tuple[Evidence, ...]:
        brought: dict[int, str] = {}
        for decision in ranked.decisions:
            if decision.kind != "take":
                for row in decision.rows:
                    brought.setdefault(row, decision.detail)
        listed = brought and self.index.facts is None
        elsewhere = "listed below what came into view" if listed else "everything was asked"
        rows = ranked.rows.tolist()
        passages = self.index.store.passages(rows)
        sentences = self._sentences(question, passages)
        return tuple(
            Evidence(
                rank,
                passage,
                float(score),
                row in ranked.taken,
                brought.get(row, elsewhere),
                sentence,
                self._page(passage, sentence),
            )
            for rank, (row, passage, score, sentence) in enumerate(
                zip(rows, passages, ranked.scores, sentences, strict=True), start=1
            )
        )

    def _sentences(self, question: str, passages: Sequence[Passage]) -> list[Later[SupportingSentence | None]]:
        """Return the sentence of every passage that supports the question best, all sought with the first."""
        system = self._system
        found: Later[Sequence[SupportingSentence | None]]
        if isinstance(system, RerankedSystem):
            found = Later(lambda: system.sentences(question, passages))
        elif self.index.facts is not None:
            found = Later(lambda: [None] * len(passages))
        else:
            sentences = SupportingSentences(self.index, question)
            found = Later(lambda: sentences.best(passages, self._compares))
        return [Later(partial(_one_of, found, place)) for place in range(len(passages))]

    def _page(self, passage: Passage, sentence: Later[SupportingSentence | None]) -> int | Later[int | None] | None:
        """Return the page that a sentence stands on; None where the document has none."""
        page, last = passage.metadata.get("page"), passage.metadata.get("last_page")
        if not isinstance(page, int) or page == last:
            return page if isinstance(page, int) else None
        starts = self.index.store.document(passage.document_id).metadata.get("page_starts", [])
        return Later(lambda: _page_of(sentence.value(), page, starts))

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
        QuestionsError: when it is empty, too long, or has what no text has.
    """
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


def _one_of(found: Later[Sequence[T]], place: int) -> T:
    return found.value()[place]


def _page_of(sentence: SupportingSentence | None, first: int, starts: Sequence[int]) -> int:
    """Return the page that a sentence stands on, the passage's first without one."""
    return first if sentence is None else max(1, bisect_right(starts, sentence.document_start))


def _cited(evidence: Evidence, end: int) -> str:
    """Return a passage up to the sentence that ends at ``end``, as it stands in a prompt."""
    passage = evidence.passage
    cut = replace(passage, text=passage.text[:end])
    return cited_passage(evidence.rank, passage.title, in_full(cut), place_of(passage))


def _joined(before: str, part: str) -> str:
    return f"{before}\n\n{part}" if before else part


def _guess_tokens(text: str) -> int:
    return -(-len(text) // 3)
