"""Retrieval failure over chunks of long documents: plain chunks against contextualised ones.

    python benchmarks/contextual_chunks.py --data ../shared/data/hotpotqa --index hotpotqa.index --split dev \
        --passages 20000 --contexts none corpus --work runs/contextual-chunks --json runs/contextual-chunks.json

Documents: HotpotQA's passages in the order of their file (the first --passages of them) are joined into articles of 8
to 12. A passage drawn at random is the first and its title the article's; the passages nearest to it by the vectors
of --index (an ordinary index of the same corpus) that no article has yet are the rest. Labels play no part, and every
passage is in one article. In the article each is a section, "## title", an empty line, the text: so the first chunk of
a section begins with its title, and the later ones of a section longer than a chunk lack it. Every index, the plain one
too, embeds and indexes the article's title beside each chunk, as Trailhound always does.

Failure at k: the share of supporting passages of which none of the k chunks ranked first has a character of the text
(the heading does not count). Asked are the questions of the split all of whose supporting passages are there. hybrid is
reciprocal rank fusion of the lexical and the dense ranking, 100 chunks of each. The interval is the 95 % interval of a
paired bootstrap over questions (10,000 draws) of the relative change.

The contexts are built at one place one after the other, so that unchanged chunks are encoded once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from inputs import arguments, parse
from numpy.typing import NDArray
from table import markdown, report, show
from trailhound import Document, Index, IndexSettings, Passage
from trailhound.retrievers._fusion import reciprocal_rank_fusion
from trailhound.retrievers.questions._labelled import load_questions
from trailhound.retrievers.records import Hits

SIZES = (8, 12)
DEPTH = 100
SYSTEMS = ("lexical", "dense", "hybrid")


@dataclass(frozen=True)
class Articles:
    """Joined documents; ``spans`` says where the text of each passage stands: (document id, start, end)."""

    documents: list[Document]
    spans: dict[str, tuple[str, int, int]]


def joined(passages: Sequence[Passage], vectors: NDArray[np.float32], seed: int) -> Articles:
    """Join passages into articles: a random one, and those nearest to it that are free."""
    generator = np.random.default_rng(seed)
    free = np.ones(len(passages), np.bool_)
    documents, spans = [], {}
    for first in generator.permutation(len(passages)).tolist():
        if not free[first]:
            continue
        size = int(generator.integers(SIZES[0], SIZES[1] + 1))
        similarity = np.where(free, vectors @ vectors[first], -2.0)
        similarity[first] = 2.0
        members = [row for row in np.argsort(-similarity, kind="stable")[:size].tolist() if free[row]]
        free[members] = False
        identifier, text = f"article{len(documents)}", ""
        for passage in (passages[row] for row in members):
            text += f"## {passage.title}\n\n"
            spans[passage.id] = (identifier, len(text), len(text) + len(passage.text))
            text += f"{passage.text}\n\n"
        documents.append(Document(identifier, passages[first].title, text.rstrip("\n")))
    return Articles(documents, spans)


def failures(index: Index, asked: dict[str, tuple[str, list[str]]], articles: Articles, k: int) -> dict[str, list[int]]:
    """Return how many supporting passages of each question every system misses."""
    chunks = list(index.store)
    missed: dict[str, list[int]] = {system: [] for system in SYSTEMS}
    for text, supporting in asked.values():
        query = index.query(text)
        rankings: dict[str, Hits] = {name: index.sub_indexes[name].search(query, DEPTH) for name in SYSTEMS[:2]}
        rankings["hybrid"] = reciprocal_rank_fusion(list(rankings.values()), k)
        for system, hits in rankings.items():
            best = [chunks[row] for row in hits.rows[:k].tolist()]
            found = sum(any(_overlaps(chunk, articles.spans[name]) for chunk in best) for name in supporting)
            missed[system].append(len(supporting) - found)
    return missed


def _overlaps(chunk: Passage, span: tuple[str, int, int]) -> bool:
    document, start, end = span
    return chunk.document_id == document and chunk.start < end and start < chunk.end


def interval(before: Sequence[int], after: Sequence[int]) -> tuple[float, float]:
    """Return the 95 % interval of the relative change of the failures, resampling questions in pairs."""
    generator = np.random.default_rng(0)
    draws = generator.integers(len(before), size=(10_000, len(before)))
    first, second = np.array(before)[draws].sum(axis=1), np.array(after)[draws].sum(axis=1)
    change = np.where(first > 0, second / np.maximum(first, 1) - 1, 0.0)
    low, high = np.percentile(change, [2.5, 97.5])
    return float(low), float(high)


def main() -> None:
    """Join, index with every context, ask, and print the table."""
    parser = arguments(
        *(__doc__, "data", "index", "split", "work"),
        data=Path("../shared/data/hotpotqa"),
        work=Path("runs/contextual-chunks"),
    )
    parser.add_argument("--passages", type=int, default=None, help="from the beginning of the corpus (default: all)")
    parser.add_argument("--contexts", nargs="+", default=["none", "corpus"])
    parser.add_argument("--chunk-tokens", type=int, default=100)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=None)
    parsed = parse(parser)
    whole = Index.open(parsed.index)
    count = min(parsed.passages or len(whole), len(whole))
    articles = joined(whole.store.passages(range(count)), np.asarray(whole.dense.vectors[:count]), parsed.seed)
    questions, qrels = load_questions(parsed.data, parsed.split)
    asked = {
        question.id: (question.text, [name for name, relevance in qrels[question.id].items() if relevance > 0])
        for question in questions
        if all(name in articles.spans for name in qrels[question.id])
    }
    supporting = sum(len(names) for _, names in asked.values())
    figures: dict[str, object] = {"passages": count, "questions": len(asked), "supporting": supporting}
    baseline: dict[str, list[int]] = {}
    rows = []
    for context in parsed.contexts:
        started = time.process_time()
        settings = IndexSettings(chunk_tokens=parsed.chunk_tokens, context=context)
        index = Index.build(
            articles.documents, parsed.work / "articles.index", settings=settings, threads=parsed.threads
        )
        missed = failures(index, asked, articles, parsed.k)
        baseline = baseline or missed
        rates = {system: sum(missed[system]) / supporting for system in SYSTEMS}
        change = sum(missed["hybrid"]) / max(sum(baseline["hybrid"]), 1) - 1
        low, high = interval(baseline["hybrid"], missed["hybrid"])
        seconds = time.process_time() - started
        shown = [f"{100 * rates[system]:.2f}" for system in SYSTEMS]
        changed = f"{100 * change:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
        rows.append([context, f"{len(index):,}", *shown, changed, f"{seconds:.0f}"])
        figures[context] = {**rates, "chunks": len(index), "change": change, "interval": [low, high], "cpu_s": seconds}
        report(f"{context}: {figures[context]}", figures, parsed)
    title = (
        f"{count:,} passages in {len(articles.documents):,} articles; {len(asked):,} questions of {parsed.split} with"
        f" {supporting:,} supporting passages; failure at {parsed.k} in %, change against the first in %"
    )
    show(title, markdown(["context", "chunks", *SYSTEMS, "change of hybrid", "CPU s"], rows), parsed)


if __name__ == "__main__":
    main()
