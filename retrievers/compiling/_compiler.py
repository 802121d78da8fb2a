"""The corpus compiler: documents become what is indexed, stage by stage, each with a record of what it did.

normalise (the readers do it) -> mask -> chunk -> contextualise -> index. Each stage is a function of its own, in
``corpus/normalise.py``, ``masking.py``, ``chunking.py`` and ``context.py``; here they are put in order and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..protocols import Encoder, TokenCounter
from ..records import Document, Passage
from ._chunking import chunk, is_atomic
from ._context import Chunked, ContextFunction, ContextName, context_lines, name_of
from ._masking import Masker, unique_ids
from ._pruning import DuplicateFilter
from ._window import Window

LINE_TOKENS = 32
"""Tokens of the window that passages leave free for the line before them, where there is one."""


@dataclass(frozen=True, slots=True)
class StageRecord:
    """What a stage of the compiler did, with its settings and counts by kind; never what it found."""

    stage: str
    settings: Mapping[str, Any]
    counts: Mapping[str, int]


class CorpusCompiler:
    """Compiles one corpus, document by document.

    Args:
        tokens: most tokens of a passage, see :func:`chunk`.
        window: what the encoder reads at once.
        context: the line before a passage's text, by name or by a user's function.
        warn: called with a warning where ids were changed.
        duplicates: takes out passages that repeat another.
    """

    def __init__(
        self,
        masker: Masker,
        tokens: int = 120,
        window: Window | None = None,
        context: ContextName | ContextFunction = "none",
        warn: Callable[[str], None] | None = None,
        duplicates: DuplicateFilter | None = None,
    ) -> None:
        self._masker = masker
        self._tokens = tokens
        self.window = window or Window()
        self._context = context
        self._warn = warn
        self.duplicates = duplicates
        self.passages: list[Passage] = []
        self.documents = 0
        self._chunked: list[Chunked] = []
        self._tally: Counter[str] = Counter()
        self._masked: Counter[str] = Counter()
        self._records: list[StageRecord] = []

    def compile(self, documents: Iterable[Document]) -> Iterator[Chunked]:
        """Mask and chunk; yields every document with its passages.

        Raises:
            CorpusError: a document cannot be chunked.
            MaskingError: a user's pattern matched no character.
        """
        unused = unique_ids()
        for document in documents:
            self._tally["characters"] += len(document.title) + len(document.text)
            if self._masker:
                document = self._without_private_data(document, unused)
            passages = chunk(document, self._tokens, self.window, 0 if self._context == "none" else LINE_TOKENS)
            self._tally["cut atomic documents"] += document.atomic and not is_atomic(document, passages)
            if self.duplicates is not None:
                passages = self.duplicates.pass_through(passages)
            self.documents += 1
            self.passages += passages
            self._tally["atomic documents"] += document.atomic
            if self._context != "none":
                self._chunked.append((document, passages))
            yield document, passages
        if self._tally["cut atomic documents"] and self._warn is not None:
            self._warn(
                f"passages of the corpus that are longer than the {self.window.limit} tokens that the encoder reads:"
                f" {self._tally['cut atomic documents']:,}; each was cut into '<id>#0', '<id>#1' and so on, and"
                " labels may go on naming it"
            )
        if self._tally["renamed"] and self._warn is not None:
            self._warn(
                f"{self._tally['renamed']:,} document ids held private data and were masked, with a number behind"
                " where two became alike: labels that name these documents no longer fit"
            )

    def lines(self) -> list[str]:
        """Return the line before each passage, "" for none."""
        plain = self._context == "none"  # then no document was kept to make a line from
        lines = [""] * len(self.passages) if plain else context_lines(self._chunked, self._context)
        counts = {"passages": sum(map(bool, lines)), "words": sum(len(line.split()) for line in lines)}
        self._records.append(StageRecord("contextualise", {"context": name_of(self._context)}, counts))
        return lines

    def records(self, index: StageRecord) -> list[dict[str, Any]]:
        """Return the records of all stages as JSON values; the last is that of the indexing itself."""
        budget = {"tokens": self._tokens, "window": self.window.limit}
        kinds, tally = list(self._masker.kinds), self._tally
        masked = {name: self._masked[name] for name in self._masker.names}
        mask = {"kinds": kinds, "patterns": list(self._masker.names[len(kinds) :])}
        chunks = {name: tally[name] for name in ("atomic documents", "cut atomic documents")}
        chunks = {"passages": len(self.passages), **chunks}
        stages = [
            StageRecord("normalise", {"form": "NFC"}, {"documents": self.documents, "characters": tally["characters"]}),
            StageRecord("mask", mask, {**masked, "documents": tally["masked"], "document ids": tally["renamed"]}),
            StageRecord("chunk", budget, chunks),
            *self._records,
            index,
        ]
        return [asdict(stage) for stage in stages]

    def _without_private_data(self, document: Document, unused: Callable[[str], str]) -> Document:
        counts: Counter[str] = Counter()
        masked = self._masker.document(document, unused, counts)
        self._masked.update(counts)
        self._tally["masked"] += bool(counts)
        self._tally["renamed"] += masked.id != document.id
        return masked


def window_of(encoder: Encoder, tokens: int, warn: Callable[[str], None]) -> Window:
    """Return what the encoder reads at once; warns where that is not known, or less than a passage is to have."""
    window = Window(encoder)
    if not isinstance(encoder, TokenCounter):
        warn(
            f"{encoder.name} has no count_tokens and max_tokens: passages are cut by words, and whether it reads them"
            " whole is not known"
        )
    elif window.limit is not None and tokens > window.limit:
        warn(f"{encoder.name} reads {window.limit} tokens: no passage is longer, though {tokens} were asked for")
    return window
