"""What changes in place cost, and how near they come: with late interaction, context, duplicates left out.

    python benchmarks/live_kinds.py --corpus ../shared/data/2wiki --index hotpotqa.index --passages 600 --added 60

late: passages of --corpus, the built-in encoder on one thread, 2 bits. All but the last --added are indexed, these are
added one by one, and the ten best passages for the questions of the corpus are compared with those of an index that is
built from all of them, whose codec has seen them. The same inserts without late interaction stand beside it.

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
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from time import process_time

import numpy as np
from contextual_chunks import joined
from live_fidelity import StandIn, found
from trailhound import Document, Index, IndexSettings
from trailhound.retrievers.chunking import chunk
from trailhound.retrievers.context import context_lines
from trailhound.retrievers.corpus.reading import read_corpus
from trailhound.retrievers.encoder import MiniLMEncoder
from trailhound.retrievers.live_context import CorpusKnowledge
from trailhound.retrievers.live_lexical import LiveLexical
from trailhound.retrievers.live_store import LiveStore
from trailhound.retrievers.live_terms import LiveTerms

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


def late(folder: Path, documents: list[Document], added: int, questions: Sequence[str]) -> dict[str, object]:
    """Return what late interaction adds to inserts and searches, and what is found."""
    encoder = MiniLMEncoder(threads=1)
    figures: dict[str, object] = {}
    for bits in (0, 2):
        settings, place = IndexSettings(late_interaction=bits), folder / f"late{bits}.index"
        live = Index.build(documents[:-added], place, settings=settings, encoder=encoder)
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
    anew = Index.build(documents, folder / "anew.index", settings=settings, encoder=encoder)
    pairs = [(found(live, "late", question), found(anew, "late", question)) for question in questions]
    new = {document.id for document in documents[-added:]}
    figures["late_top_10_in_common"] = share((set(one) & set(other), set(other)) for one, other in pairs)
    of_new = [({p for p in one if is_of(p, new)}, {p for p in other if is_of(p, new)}) for one, other in pairs]
    figures["late_added_in_top_10_live"] = sum(len(one) for one, _ in of_new)
    figures["late_added_in_top_10_anew"] = sum(len(other) for _, other in of_new)
    figures["late_best_in_common"] = share((set(one[:1]) & set(other[:1]), set(other[:1])) for one, other in pairs)
    return figures


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


def share(pairs: Iterable[tuple[set[str], set[str]]]) -> float:
    """Return the mean share of what is in the first of what is in the second."""
    parts = [len(one) / len(other) for one, other in pairs if other]
    return round(float(np.mean(parts)), 4)


if __name__ == "__main__":
    main()
