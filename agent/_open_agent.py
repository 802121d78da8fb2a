"""An agent that is open: its index, its system, its reader; what is loaded for it, and let go of again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import PolicyError
from ..index.index import Index
from ..retrievers._thread_limits import computing_on
from ..retrievers.records import Passage
from ._evidence import EvidenceMaker
from ._later import Later
from ._systems import open_system
from .reader._protocol import Answer

if TYPE_CHECKING:
    from .reader._extractive import ExtractiveReader

A = TypeVar("A", bound="OpenAgent")


class OpenAgent:
    """What :class:`SearchAgent` searches with; its base class, which says what the arguments are."""

    def __init__(
        self,
        index: Index | Path | str,
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
        self.index = index if isinstance(index, Index) else Index.open(index, threads=threads)
        self._threads = threads
        folders = [None if place is None else Path(place) for place in (policy, reranker, query_encoder)]
        self._policy = folders[0]
        self._system = open_system(self.index, system, *folders)
        absolute = [None if folder is None else folder.absolute() for folder in folders]
        names = ("policy", "reranker", "query_encoder")
        self._arguments: dict[str, Any] = dict(zip(names, absolute, strict=True))
        self._arguments |= {"system": system, "answer_with": answer_with, "threads": threads}
        self.answered_by = self._system.name
        self._made = EvidenceMaker(self.index, self._system, threads, compares=system != "lexical")
        self._reader = Later(self._load_reader)
        self._writer = None
        if answer_with is not None:
            from .reader._endpoint import AnsweringEndpoint

            self._writer = AnsweringEndpoint(answer_with)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as the index and the arguments: whoever unpickles opens them."""
        return partial(type(self), self.index, **self._arguments), ()

    def __deepcopy__(self: A, memo: dict[int, object]) -> A:
        """Return itself: threads share an agent."""
        return self

    def _load_reader(self) -> ExtractiveReader | None:
        from .reader._language_models import answering_reader

        if self.index.facts is not None:  # the entity that was taken is the answer
            return None
        return answering_reader(self._policy)

    def _answer(self, question: str, passages: Sequence[Passage]) -> Answer | None:
        with computing_on(self._threads):
            reader = self._reader.value()
            return None if reader is None else reader.answer(question, passages)
