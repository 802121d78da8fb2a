"""What words weigh in a corpus that is parted, so that every part scores as the whole would."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FILLER = "~"
"""A term that no passage and no question has: the analyser makes terms of letters and digits."""

_EXACT = 200_000
"""Passages of other parts up to which as many documents are written. Beyond that fewer do, with the same mean."""

_HEAP = 64_000_000

_REMEMBERED = 1 << 16
"""Frequencies whose idf is remembered: most words are in few passages, and the shards ask for the same ones."""


@dataclass(frozen=True)
class CorpusSize:
    """How many passages there are, and how many terms each field of them has."""

    passages: int
    terms: Mapping[str, int]

    @classmethod
    def total(cls, parts: Sequence[CorpusSize]) -> CorpusSize:
        """Return the size of all parts together."""
        terms = {field: sum(part.terms[field] for part in parts) for field in parts[0].terms}
        return cls(sum(part.passages for part in parts), terms)

    def missing_in(self, whole: CorpusSize) -> CorpusSize:
        """Return what to add to this part for it to have the mean lengths of the whole.

        Up to 200,000 passages that is all the rest. Beyond, it is the fewest that can bring the mean about, with
        whole terms: the mean then errs by less than one in the number of terms.
        """
        passages = whole.passages - self.passages
        means = {field: terms / max(whole.passages, 1) for field, terms in whole.terms.items()}
        if passages > _EXACT:
            longest = max(self.terms[field] / mean for field, mean in means.items() if mean)
            passages = min(passages, max(1, ceil(longest) - self.passages))
        size = self.passages + passages
        return CorpusSize(passages, {field: round(means[field] * size) - self.terms[field] for field in means})


FieldWord = tuple[str, str]
"""A field of the lexical index, and a term in it."""


@dataclass(frozen=True, eq=False)
class WordStatistics:
    """In how many passages of a corpus the terms of one question are, and in how many of a part of it.

    Attributes:
        passages: of the corpus.
        words: terms by field, each once.
        in_all: how many passages of the corpus have each, int64 [t].
        here: how many of the part, int64 [t].
    """

    passages: int
    words: Sequence[FieldWord]
    in_all: NDArray[np.int64]
    here: NDArray[np.int64]

    def shares_of_idf(self, passages: int) -> dict[FieldWord, float]:
        """Return what makes of the weight of a term in the part that in the corpus, as a factor, if the part has it.

        Args:
            passages: of the part, with those that were added for its means.
        """
        return {
            word: _idf(whole, self.passages) / _idf(here, passages)
            for word, whole, here in zip(self.words, self.in_all.tolist(), self.here.tolist(), strict=True)
            if here
        }


@lru_cache(_REMEMBERED)
def _idf(frequency: int, passages: int) -> float:
    """Return ln(1 + (N - n + 1/2) / (n + 1/2)) as tantivy rounds it."""
    ratio = np.float32(passages - frequency + np.float32(0.5)) / np.float32(frequency + np.float32(0.5))
    return float(np.log(np.float32(1) + ratio))


def size_of(opened: Any, searcher: Any, fields: Sequence[str]) -> CorpusSize:
    """Return the passages of an index of tantivy's, and the terms of these fields."""
    passages = int(searcher.num_docs)
    return CorpusSize(passages, {field: _terms_of(opened, searcher, field, passages) for field in fields})


def write_filler(folder: Path, schema: Any, missing: CorpusSize) -> None:
    """Write an index of documents that no question finds: so many, with so many terms in each field."""
    import tantivy

    writer = tantivy.Index(schema, path=str(folder)).writer(_HEAP, 1)
    for number in range(missing.passages):
        document = tantivy.Document()
        document.add_integer("row", number)
        for field, terms in missing.terms.items():
            here = terms * (number + 1) // missing.passages - terms * number // missing.passages
            document.add_text(field, f"{_FILLER} " * here)
        writer.add_document(document)
    writer.commit()
    writer.wait_merging_threads()


def _terms_of(opened: Any, searcher: Any, field: str, passages: int) -> int:
    """Return how many terms a field has: tantivy tells the mean length where it explains a score."""
    import tantivy

    first = searcher.terms_with_prefix(field, "", limit=1)
    if not first:
        return 0
    query = tantivy.Query.term_query(opened.schema, field, first[0][0])
    explained = query.explain(searcher, searcher.search(query, 1).hits[0][1])
    return round(_mean_length(json.loads(explained.to_json())) * passages)


def _mean_length(explained: Mapping[str, Any]) -> float:
    """Return the mean length of a field that an explanation names; 0 where it names none."""
    if str(explained["description"]).startswith("avgdl"):
        return float(explained["value"])
    return max((_mean_length(part) for part in explained.get("details", ())), default=0.0)
