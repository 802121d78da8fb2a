"""The corpus compiler: documents become what is indexed, stage by stage, each with a record of what it did.

normalise (the readers do it) -> mask -> chunk -> contextualise -> index. Each stage is a function of its own, in
``corpus/normalise.py``, ``masking.py``, ``chunking.py`` and ``context.py``; here they are put in order and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ...errors import EncoderError
from ..protocols import Encoder, TokenCounter
from ..records import Document, Passage
from ._chunking import CountTokens, chunk
from ._context import Chunked, ContextFunction, ContextName, context_lines, name_of
from ._masking import Masker, unique_ids
from ._pruning import DuplicateFilter


@dataclass(frozen=True, slots=True)
class StageRecord:
    """What a stage of the compiler did, with its settings and counts by kind; never what it found."""

    stage: str
    settings: Mapping[str, Any]
    counts: Mapping[str, int]


class CorpusCompiler:
    """Compiles one corpus, document by document.

    Args:
        words, tokens, count_tokens: the budget of a passage, see :func:`chunk`.
        context: the line before a passage's text, by name or by a user's function.
        warn: called with a warning where ids were changed.
        duplicates: takes out passages that repeat another.
    """

    def __init__(
        self,
        masker: Masker,
        words: int = 120,
        tokens: int | None = None,
        count_tokens: CountTokens | None = None,
        context: ContextName | ContextFunction = "none",
        warn: Callable[[str], None] | None = None,
        duplicates: DuplicateFilter | None = None,
    ) -> None:
        self._masker = masker
        self._words = words
        self._tokens = tokens
        self._count_tokens = count_tokens
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
            passages = chunk(document, self._words, tokens=self._tokens, count_tokens=self._count_tokens)
            if self.duplicates is not None:
                passages = self.duplicates.pass_through(passages)
            self.documents += 1
            self.passages += passages
            self._tally["atomic documents"] += document.atomic
            if self._context != "none":
                self._chunked.append((document, passages))
            yield document, passages
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
        budget = {"words": self._words} if self._tokens is None else {"tokens": self._tokens}
        kinds, tally = list(self._masker.kinds), self._tally
        masked = {name: self._masked[name] for name in self._masker.names}
        mask = {"kinds": kinds, "patterns": list(self._masker.names[len(kinds) :])}
        chunks = {"passages": len(self.passages), "atomic documents": tally["atomic documents"]}
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


def token_counter(encoder: Encoder, tokens: int, warn: Callable[[str], None]) -> CountTokens:
    """Return what counts the encoder's tokens; warns where a passage of ``tokens`` is more than it reads."""
    if not isinstance(encoder, TokenCounter):
        raise EncoderError(f"{encoder.name} has no count_tokens and max_tokens: give a budget in words instead")
    if tokens > encoder.max_tokens - 2:
        warn(f"{encoder.name} reads {encoder.max_tokens} tokens, title included: the end of {tokens} is not embedded")
    return encoder.count_tokens
