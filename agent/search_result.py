"""What a search hands over: the evidence, the path that led to it, and how sure it all is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from ..errors import QuestionsError
from ..retrievers.records import Passage, SupportingSentence
from ._later import LaterField, changed
from ._packing import most_tokens, packed
from ._watch import BY_ITSELF
from .reader._citations import Claim, WrittenAnswer
from .reader._protocol import Answer, cited_numbers

T = TypeVar("T")


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
        probability: that it supports the question; None where the system does not say.
        bm25: the lexical index's score of it for the question; None where that did not list it, or was not asked.
        cosine: of its vector with the question's; None where the question was not encoded.
        index: name of the index that it is from, where several are searched as one; else "".
    """

    rank: int
    passage: Passage
    score: float
    taken: bool
    how: str
    sentence: LaterField[SupportingSentence | None] = LaterField(None)  # noqa: RUF009 - a descriptor
    page: LaterField[int | None] = LaterField(None)  # noqa: RUF009 - a descriptor
    probability: float | None = None
    bm25: float | None = None
    cosine: float | None = None
    index: str = ""


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
        ended_by: ``policy`` where the system itself ended the search; ``seconds`` or ``steps`` where it was given
            no more.
        written: what a language model answered from the evidence, its citations checked: ``[1]`` is the evidence of
            rank 1. None where none was asked, or where it found that the passages do not say.
        unreachable: shards of a sharded index that did not answer, whose passages are not among the evidence.
        shards: that were asked what they find for the question; none where it is one index.
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
    ended_by: str = BY_ITSELF
    unreachable: tuple[str, ...] = ()
    shards: tuple[str, ...] = ()

    def context(self, token_budget: int, count_tokens: Callable[[str], int] | None = None) -> str:
        """Pack the evidence into a prompt: ``[rank] title (file, page)``, then its text, best passages first.

        Sentences stay whole; a passage that does not fit is cut at one, or left out, and those after it are tried. A
        ``[`` before a number in a passage's own title or text is written ``\\[``, so no passage can pose as another:
        every ``[rank]`` is a marker, and :meth:`cited` finds what a model's answer cites.

        Args:
            token_budget: never exceeded, by ``count_tokens``, which is called about as often as there are passages.
            count_tokens: your model's; without it a bound that no tokenizer over bytes or word pieces is known to pass,
                about twice what English takes.

        Raises:
            QuestionsError: when the budget is negative or no number.
        """
        if not isinstance(token_budget, int) or isinstance(token_budget, bool) or token_budget < 0:
            raise QuestionsError(f"a budget of {token_budget!r} tokens cannot be kept: give a whole number, 0 or more")
        return packed([(one.rank, one.passage) for one in self.evidence], token_budget, count_tokens or most_tokens)

    def likely(self, at_least: float) -> SearchResult:
        """Return the result with those passages alone that support the question with so much probability.

        Raises:
            QuestionsError: when that is no probability, or the system does not say how probable a passage is.
        """
        if not isinstance(at_least, int | float) or not 0 <= at_least <= 1:
            raise QuestionsError(f"at_least={at_least!r} is no probability: give a number from 0 to 1")
        if at_least == 0:
            return self
        if any(one.probability is None for one in self.evidence):
            raise QuestionsError(f"{self.answered_by} does not say how probable a passage is: leave at_least out")
        kept = tuple(one for one in self.evidence if (one.probability or 0) >= at_least)
        return changed(self, evidence=kept)

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

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> SearchResult:
        """Return the result that :meth:`to_json` wrote.

        Raises:
            QuestionsError: when it is none.
        """
        try:
            return _result_of(found)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise QuestionsError(
                f"this is no result of a search ({type(error).__name__}: {error}): give what to_json() returned"
            ) from error


def _result_of(found: Mapping[str, Any]) -> SearchResult:
    answer, written = found["answer"], found["written"]
    parts = {
        "evidence": tuple(map(_evidence_of, found["evidence"])),
        "path": tuple(_made(Step, {**one, **_tuples(one, "passages", "titles")}) for one in found["path"]),
        "answer": None if answer is None else _made(Answer, answer),
        "written": None if written is None else _written_of(written),
        **_tuples(found, "unreachable", "shards"),
    }
    return _made(SearchResult, {**found, **parts})


def _evidence_of(found: Mapping[str, Any]) -> Evidence:
    passage, sentence = found["passage"], found["sentence"]
    spans = tuple((int(start), int(end)) for start, end in passage["sentences"])
    parts = {
        "passage": _made(Passage, {**passage, "sentences": spans}),
        "sentence": None if sentence is None else _made(SupportingSentence, sentence),
    }
    return _made(Evidence, {**found, **parts})


def _written_of(found: Mapping[str, Any]) -> WrittenAnswer:
    claims = tuple(_made(Claim, {**one, **_tuples(one, "cites")}) for one in found["claims"])
    return _made(WrittenAnswer, {**found, "claims": claims})


def _tuples(found: Mapping[str, Any], *names: str) -> dict[str, tuple[Any, ...]]:
    return {name: tuple(found[name]) for name in names}


def _made(kind: type[T], values: Mapping[str, Any]) -> T:
    """Return a dataclass made of exactly its fields."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if values.keys() != names:
        wrong = sorted(names.symmetric_difference(values))
        raise ValueError(f"{kind.__name__} has other fields: {', '.join(wrong)}")
    return kind(**values)
