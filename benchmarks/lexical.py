"""The lexical sub-index beside bm25s (English stemmer) on the same passages, and identifiers that must be found.

    python benchmarks/lexical.py --data ../shared/data
    python benchmarks/lexical.py --data ../shared/data --split train

Both rank passages of title and text; a document stands where its first passage stands. bm25s has its own defaults
(k1 = 1.5, b = 0.75, its English stop words).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from time import perf_counter

import bm25s
import numpy as np
import Stemmer
from trailhound.index.settings import IndexSettings
from trailhound.measuring._metrics import evaluate_run
from trailhound.retrievers.compiling._compiler import CorpusCompiler
from trailhound.retrievers.compiling._masking import Masker
from trailhound.retrievers.compiling._window import Window, text_with_lead
from trailhound.retrievers.corpus._loading import CorpusReader
from trailhound.retrievers.questions._labelled import load_questions
from trailhound.retrievers.records import Passage, Query, Run
from trailhound.retrievers.vectors._encoder import load_encoder
from trailhound.retrievers.words._lexical import LexicalIndex

SETS = (
    "techdocs", "medical", "tools", "finance-tables", "excerpts", "code-search", "bright-leetcode", "scifact",
    "entailmentbank", "musique", "hotpotqa", "2wiki", "2wiki-train",
)  # fmt: skip
DEEP = 50
METRICS = ("ndcg@10", "recall@5")


def main() -> None:
    """Print a row for every set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--split", default="dev", help="where a set has it; else the other one")
    parsed = parser.parse_args()
    rows = []
    print("| set, split | passages | bm25s nDCG@10 / R@5 | lexical | difference | ms a question |")
    print("|---|---|---|---|---|---|")
    for name in parsed.sets:
        folder = parsed.data / name
        splits = [path.stem for path in (folder / "qrels").glob("*.tsv")]
        split = parsed.split if parsed.split in splits else splits[0]
        passages = passages_of(folder)
        questions, qrels = load_questions(folder, split, lambda message: None)
        texts = {question.id: question.text for question in questions}
        excluded = folder / "excluded.json"
        left_out = json.loads(excluded.read_text()) if excluded.exists() else {}
        theirs = figures(qrels, by_document(passages, bm25s_rows(passages, texts.values()), texts, left_out))
        started = perf_counter()
        found = lexical_rows(passages, texts.values())
        milliseconds = 1000 * (perf_counter() - started - found[1]) / len(texts)
        ours = figures(qrels, by_document(passages, found[0], texts, left_out))
        rows.append([mine - other for mine, other in zip(ours, theirs, strict=True)])
        shown = ["{:.1f} / {:.1f}".format(*pair) for pair in (theirs, ours)] + ["{:+.1f} / {:+.1f}".format(*rows[-1])]
        print(f"| {name}, {split} | {len(passages):,} | {' | '.join(shown)} | {milliseconds:.2f} |", flush=True)
    print("| mean | | | | {:+.1f} / {:+.1f} | |".format(*np.mean(rows, axis=0)))


def passages_of(folder: Path) -> list[Passage]:
    """Return the passages that an index of the folder would have."""
    compiler = CorpusCompiler(Masker(), IndexSettings().chunk_tokens, Window(load_encoder()))
    for _ in compiler.compile(CorpusReader([folder], lambda message: None)):
        pass
    return compiler.passages


def bm25s_rows(passages: Sequence[Passage], questions: Iterable[str]) -> list[list[int]]:
    """Return the ranking of bm25s for every question."""
    tokens = [f"{passage.title} {text_with_lead(passage)}" for passage in passages]
    stemmer = Stemmer.Stemmer("english")
    index = bm25s.BM25()
    index.index(bm25s.tokenize(tokens, stopwords="en", stemmer=stemmer, show_progress=False), show_progress=False)
    asked = bm25s.tokenize(list(questions), stopwords="en", stemmer=stemmer, show_progress=False)
    rows, _ = index.retrieve(asked, k=min(DEEP, len(passages)), show_progress=False)
    return [list(map(int, ranking)) for ranking in rows]


def lexical_rows(passages: Sequence[Passage], questions: Iterable[str]) -> tuple[list[list[int]], float]:
    """Return the ranking of the lexical sub-index for every question, and the seconds that building took."""
    with tempfile.TemporaryDirectory() as folder:
        started = perf_counter()
        LexicalIndex.build(Path(folder) / "lexical", [(p.title, text_with_lead(p)) for p in passages], len(passages))
        index = LexicalIndex(Path(folder) / "lexical")
        seconds = perf_counter() - started
        return [index.search(Query(question), DEEP).rows.tolist() for question in questions], seconds


def by_document(
    passages: Sequence[Passage], rankings: Iterable[list[int]], questions: Iterable[str], left_out: dict[str, list[str]]
) -> Run:
    """Return a run of documents, each at the place of its first passage."""
    run: Run = {}
    for question, ranking in zip(questions, rankings, strict=True):
        documents = dict.fromkeys(passages[row].document_id for row in ranking)
        kept = [name for name in documents if name not in left_out.get(question, ())]
        run[question] = {name: float(-place) for place, name in enumerate(kept)}
    return run


def figures(qrels: dict[str, dict[str, int]], run: Run) -> list[float]:
    """Return nDCG@10 and recall@5 in percent."""
    measured = evaluate_run(qrels, run).values()
    return [100 * float(np.mean([figures[name] for figures in measured])) for name in METRICS]


if __name__ == "__main__":
    main()
