"""An agent that is open: its index, its system, its reader; what is loaded for it, and let go of again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import ClosedError, PolicyError
from ..index._searchable import Searchable
from ..retrievers._thread_limits import computing_on
from ..retrievers.records import Passage
from ..sharding._opening import open_searchable
from ._evidence import EvidenceMaker
from ._later import Later
from ._systems import open_system
from ._watch import UNWATCHED
from .reader._protocol import Answer

if TYPE_CHECKING:
    from .reader._extractive import ExtractiveReader

A = TypeVar("A", bound="OpenAgent")

READ = 5
"""Passages that are read for an answer at most: those that a policy took, or the first ones where none took any."""


class OpenAgent:
    """What :class:`SearchAgent` searches with; its base class, which says what the arguments are."""

    def __init__(
        self,
        index: Searchable | Path | str,
        policy: Path | str | None = None,
        *,
        system: str | None = None,
        reranker: Path | str | None = None,
        query_encoder: Path | str | None = None,
        answer_with: str | None = None,
        threads: int = 1,
    ) -> None:
        if not isinstance(threads, int) or threads < 1:
            raise PolicyError(f"a search cannot compute on {threads!r} threads: give a whole number, 1 or more")
        self._opened_here = isinstance(index, Path | str)
        self.index: Searchable = open_searchable(index, threads) if isinstance(index, Path | str) else index
        self._threads = threads
        self._closed = False
        folders = [None if place is None else Path(place) for place in (policy, reranker, query_encoder)]
        self._policy = folders[0]
        self._system = open_system(self.index, system, *folders)
        absolute = [None if folder is None else folder.absolute() for folder in folders]
        names = ("policy", "reranker", "query_encoder")
        self._arguments: dict[str, Any] = dict(zip(names, absolute, strict=True))
        self._arguments |= {"system": system, "answer_with": answer_with, "threads": threads}
        self.answered_by = self._system.name
        self._made = EvidenceMaker(self.index, self._system, threads)
        self._over_facts = self.index.facts is not None
        self._reader = Later(self._load_reader)
        self._writer = None
        if answer_with is not None:
            from .reader._endpoint import AnsweringEndpoint

            self._writer = AnsweringEndpoint(answer_with)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as the index and the arguments: whoever unpickles opens them."""
        return partial(type(self), self.index, **self._arguments), ()

    def __enter__(self: A) -> A:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let go of files, connections and memory; whoever searches after that is refused. A second call does nothing.

        An index that was opened before is left open. Results keep what they have.
        """
        self._closed = True
        if self._opened_here:
            self.index.close()

    def warm_up(self) -> None:
        """Load all that the first search and its answer would load, so that they take no longer than others."""
        with computing_on(self._threads):
            facts = self.index.facts
            if facts is not None:
                question = f"{facts.entities[facts.heads[0]]} {facts.relations[facts.kinds[0]]}"
            else:
                question = "What is known?"
            ranked = self._system.rank(question, READ, UNWATCHED)
            read, shown = ranked.to_read(READ).tolist(), ranked.first(READ)
            passages = self._made.passages([*read, *shown.rows.tolist()])
            for evidence in self._made.evidence(question, shown, passages):
                _ = evidence.sentence
            self._answer(question, [passages[row] for row in read])

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(f"the agent over {self.index.path} was closed: make another one")

    def __deepcopy__(self: A, memo: dict[int, object]) -> A:
        """Return itself: threads share an agent."""
        return self

    def _load_reader(self) -> ExtractiveReader | None:
        from .reader._language_models import answering_reader

        if self._over_facts:  # the entity that was taken is the answer
            return None
        return answering_reader(self._policy)

    def _answer(self, question: str, passages: Sequence[Passage]) -> Answer | None:
        with computing_on(self._threads):
            reader = self._reader.value()
            return None if reader is None else reader.answer(question, passages)
