"""What changes in place cost, and how near they come: with late interaction, context, duplicates left out.

    python benchmarks/live_kinds.py --corpus ../shared/data/2wiki --index hotpotqa.index --passages 600 --added 60

late: passages of --corpus, the built-in encoder on one thread, 2 bits. All but the last --added are indexed, these are
added one by one, and the ten best passages for the questions of the corpus are compared with those of an index that is
built from all of them, whose codec has seen them, and with those by the vectors of the word pieces themselves. The same
inserts without late interaction stand beside it.

context: the first 2,000 passages of --index joined into long articles as benchmarks/contextual_chunks.py does, cut
into passages of 60 words; of the last tenth of the articles every line of the context "corpus" that the index gives is
compared with that of a walk over all of them. Vectors are those of a stand-in.

duplicates: inserts into an index that leaves duplicates out beside inserts into one that does not.

Times are of the processor, medians in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterable, Sequence, Sized
from functools import partial
from pathlib import Path
from random import Random
from time import process_time

import numpy as np
from contextual_chunks import joined
from live_fidelity import StandIn, found
from numpy.typing import NDArray
from trailhound import Document, Index, IndexSettings
from trailhound.retrievers.changing.live_context import CorpusKnowledge
from trailhound.retrievers.changing.live_lexical import LiveLexical
from trailhound.retrievers.changing.live_store import LiveStore
from trailhound.retrievers.changing.live_terms import LiveTerms
from trailhound.retrievers.compiling.chunking import chunk
from trailhound.retrievers.compiling.context import context_lines
from trailhound.retrievers.corpus.loading import read_corpus
from trailhound.retrievers.protocols import Progress
from trailhound.retrievers.records import Vectors
from trailhound.retrievers.vectors.encoder import MiniLMEncoder, embedding_text
from trailhound.retrievers.vectors.token_vectors import TokenVectors

WORDS = 60


def main() -> None:
    """Measure the three kinds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR", help="with queries.jsonl")
    parser.add_argument("--index", type=Path, required=True, metavar="INDEX", help="whose passages become articles")
    parser.add_argument("--passages", type=int, default=600)
    parser.add_argument("--added", type=int, default=60)
    parser.add_argument("--questions", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parsed = parser.parse_args()
    random = Random(parsed.seed)
    documents = random.sample(list(read_corpus([parsed.corpus], lambda message: None)), parsed.passages)
    lines = (parsed.corpus / "queries.jsonl").read_text("utf-8").splitlines()
    questions = [json.loads(line)["text"] for line in random.sample(lines, min(parsed.questions, len(lines)))]
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="trailhound-live-kinds-") as name:
        for part in (
            lambda folder: duplicates(folder, documents, parsed.added),
            lambda folder: context(folder, parsed.index, parsed.seed),
            lambda folder: late(folder, documents, parsed.added, questions),
        ):
            found_figures = part(Path(name))
            figures |= found_figures
            for key, value in found_figures.items():
                print(f"{key:<44}{value}", flush=True)
    if parsed.json is not None:
        parsed.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


class Remembering:
    """The built-in encoder on one thread; while indexes are built it encodes no text twice."""

    def __init__(self) -> None:
        self._encoder = MiniLMEncoder(threads=1)
        self.name, self.dimension = self._encoder.name, self._encoder.dimension
        self.building = True
        self._vectors: dict[str, Vectors] = {}
        self._pieces: dict[str, NDArray[np.float16]] = {}

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode ``texts``, float32 [n, d]."""
        if not self.building:
            return self._encoder.encode(texts)
        missing = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        self._vectors.update(zip(missing, self._encoder.encode(missing) if missing else (), strict=True))
        return np.array([self._vectors[text] for text in texts], np.float32).reshape(len(texts), self.dimension)

    def encode_tokens(self, texts: Sequence[str], progress: Progress | None = None) -> TokenVectors:
        """Encode word pieces."""
        if not self.building:
            return self._encoder.encode_tokens(texts)
        missing = [text for text in dict.fromkeys(texts) if text not in self._pieces]
        found = self._encoder.encode_tokens(missing)
        self._pieces.update((text, found.of(place)) for place, text in enumerate(missing))
        parts = [self._pieces[text] for text in texts]
        offsets = np.cumsum([0, *map(len, parts)]).astype(np.int64)
        return TokenVectors(offsets, np.concatenate([np.zeros((0, self.dimension), np.float16), *parts]))


def late(folder: Path, documents: list[Document], added: int, questions: Sequence[str]) -> dict[str, object]:
    """Return what late interaction adds to inserts and searches, and what is found."""
    encoder = Remembering()
    figures: dict[str, object] = {}
    for bits in (0, 2):
        settings, place = IndexSettings(late_interaction=bits), folder / f"late{bits}.index"
        encoder.building = True
        live = Index.build(documents[:-added], place, settings=settings, encoder=encoder)
        encoder.building = False
        if bits:
            before = [spent(partial(found_late, live, question)) for question in questions]
            figures["late_search_before_ms"] = middle(before)
        times = [spent(partial(live.add, [document])) for document in documents[-added:]]
        figures[f"insert_{'with_late' if bits else 'without_late'}_ms"] = middle(times[1:])
        journal = (place / "changes.journal").stat().st_size
        figures[f"journal_bytes_per_passage_{bits}_bits"] = round(journal / (len(live) - len(documents) + added))
        figures[f"open_with_journal_{bits}_bits_ms"] = middle(
            [spent(partial(Index.open, place, encoder=encoder, verify=False)) for _ in range(3)]
        )
    after = [spent(partial(found_late, live, question)) for question in questions]
    figures["late_search_after_ms"] = middle(after)
    encoder.building = True
    anew = Index.build(documents, folder / "anew.index", settings=settings, encoder=encoder)
    best = exact(anew, encoder, questions)
    lists = {
        "live": [found(live, "late", question) for question in questions],
        "anew": [found(anew, "late", question) for question in questions],
        "exact": best,
    }
    new = {document.id for document in documents[-added:]}
    for name, some in lists.items():
        figures[f"late_added_in_top_10_{name}"] = sum(is_of(passage, new) for one in some for passage in one)
    for one, other in (("live", "anew"), ("live", "exact"), ("anew", "exact")):
        pairs = list(zip(lists[one], lists[other], strict=True))
        figures[f"late_{one}_top_10_of_{other}"] = share((set(some) & set(rest), set(rest)) for some, rest in pairs)
        figures[f"late_{one}_best_of_{other}"] = share(
            (set(some[:1]) & set(rest[:1]), rest[:1]) for some, rest in pairs
        )
    return figures


def exact(index: Index, encoder: Remembering, questions: Sequence[str]) -> list[list[str]]:
    """Return the ids of the ten best passages for each question by the vectors of word pieces themselves."""
    passages = list(index.store)
    pieces = encoder.encode_tokens([embedding_text(passage.title, passage.text) for passage in passages])
    vectors, begins = pieces.vectors.astype(np.float32), pieces.offsets[:-1]
    found_passages = []
    for question in questions:
        asked = encoder.encode_tokens([question]).vectors.astype(np.float32)
        scores = np.maximum.reduceat(vectors @ asked.T, begins, axis=0).sum(axis=1)
        found_passages.append([passages[row].id for row in np.argsort(-scores, kind="stable")[:10].tolist()])
    return found_passages


def context(folder: Path, index_of_them: Path, seed: int) -> dict[str, object]:
    """Return how many lines are those of a walk over all articles."""
    with_vectors = Index.open(index_of_them, verify=False)
    rows = np.arange(min(2000, len(with_vectors)))
    long = joined(with_vectors.store.passages(rows.tolist()), with_vectors.dense.reconstruct(rows), seed).documents
    every = [(document, chunk(document, WORDS)) for document in long]
    count = max(1, len(long) // 10)
    new = every[-count:]
    passages = sum(len(some) for _, some in new)
    expected = context_lines(every, "corpus")[-passages:]
    index = Index.build(long[: -count - 1], folder / "c", settings=IndexSettings(chunk_words=WORDS), encoder=StandIn())
    index.add(long[-count - 1 : -count])
    store, lexical, terms = index.store, index.lexical, index.terms
    if not isinstance(store, LiveStore) or not isinstance(lexical, LiveLexical) or not isinstance(terms, LiveTerms):
        raise TypeError("the index was changed and has parts that were not")
    knowledge = CorpusKnowledge(store, lexical, terms, ())
    times = [spent(partial(knowledge.lines, [some])) for some in new]
    given = knowledge.lines(new)  # together, as they know of each other in a build
    equal = [one == other for one, other in zip(given, expected, strict=True)]
    named = [one == other for one, other in zip(given, expected, strict=True) if "," in other]
    return {
        "context_articles": len(long),
        "context_lines_of_added": passages,
        "context_lines_equal": round(float(np.mean(equal)), 4),
        "context_lines_with_several_names": len(named),
        "context_lines_with_several_names_equal": round(float(np.mean(named)), 4),
        "context_lines_ms_per_article": middle(times),
    }


def duplicates(folder: Path, documents: list[Document], added: int) -> dict[str, object]:
    """Return what looking for duplicates adds to an insert."""
    figures: dict[str, object] = {}
    for drop in (False, True):
        settings = IndexSettings(drop_duplicates=drop)
        live = Index.build(documents[:-added], folder / f"drop{drop}", settings=settings, encoder=StandIn())
        times = [spent(partial(live.add, [document])) for document in documents[-added:]]
        figures[f"insert_{'with' if drop else 'without'}_duplicates_looked_for_ms"] = middle(times[1:])
    return figures


def found_late(index: Index, question: str) -> None:
    """Ask the late-interaction sub-index."""
    found(index, "late", question)


def is_of(passage: str, documents: set[str]) -> bool:
    """Return whether a passage is of one of some documents."""
    return passage in documents or passage.rpartition("#")[0] in documents


def spent(work: Callable[[], object]) -> float:
    """Return the milliseconds of the processor that a call takes."""
    started = process_time()
    work()
    return 1000 * (process_time() - started)


def middle(times: Sequence[float]) -> float:
    """Return the median."""
    return round(float(np.median(times)), 2)


def share(pairs: Iterable[tuple[Sized, Sized]]) -> float:
    """Return the mean share of what is in the first of what is in the second."""
    parts = [len(one) / len(other) for one, other in pairs if other]
    return round(float(np.mean(parts)), 4)


if __name__ == "__main__":
    main()
