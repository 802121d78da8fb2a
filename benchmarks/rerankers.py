"""What re-rankers add to hybrid search: SciFact (held-out part of its train questions) and HotpotQA dev.

    python benchmarks/rerankers.py --data ../shared/data --indexes runs/quality --ablate hybrid graph

Of each set, 500 train questions, drawn by seed 0, are learned from: three quarters of them fit the weights, a quarter
decides whether they are used. The cross-encoder sees at most --states questions in each of --epochs epochs. Measured on
HotpotQA's dev split and on the 309 train questions of SciFact that were not drawn. Re-ranks the first 20 of the fused
lexical and dense rankings. --ablate leaves out one feature after the other. Prints a table in Markdown; milliseconds
are the median processor time of a question, on one thread, so that a busy machine does not count. What was tuned is
kept in --work and used again.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from time import process_time

import numpy as np
import torch
from trailhound import Index, TrainingSource
from trailhound.agent.metrics import evaluate_run, mean
from trailhound.agent.reranker_states import questions_ranked_by
from trailhound.agent.reranker_tuning import RerankerSettings, tune_reranker
from trailhound.agent.reranking.features import NAMES, features_of
from trailhound.agent.reranking.fitting import fit, listed_questions, tune_linear
from trailhound.agent.systems import open_system
from trailhound.retrievers.questions import load_questions
from trailhound.retrievers.records import Query

FIGURES = ("recall@2", "recall@5", "ndcg@10")
LEARNED = 500
DEPTH = 20


def split(data: Path, folder: Path) -> None:
    """Write the splits ``fit`` and ``test`` of a data set into ``folder``."""
    lines = (data / "qrels" / "train.tsv").read_text().splitlines()
    header, labels = lines[0], [line for line in lines[1:] if line.strip()]
    questions = sorted({line.split("\t")[0] for line in labels})
    random.Random(0).shuffle(questions)
    chosen = set(questions[:LEARNED])
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    (folder / "queries.jsonl").write_bytes((data / "queries.jsonl").read_bytes())
    parts = {"fit": [line for line in labels if line.split("\t")[0] in chosen]}
    parts["test"] = [line for line in labels if line.split("\t")[0] not in chosen]
    if (data / "qrels" / "dev.tsv").exists():
        parts["test"] = (data / "qrels" / "dev.tsv").read_text().splitlines()[1:]
    for name, rows in parts.items():
        (folder / "qrels" / f"{name}.tsv").write_text("\n".join([header, *rows]) + "\n")


def tuned(index: Index, folder: Path, kind: str, parsed: argparse.Namespace) -> Path:
    """Return the folder of a tuned re-ranker."""
    out = folder.with_name(f"{folder.name}-{kind}")
    source = TrainingSource(index, folder, "fit")
    if kind == "cross-encoder":
        if not (out / "path_reranker.json").exists():
            settings = RerankerSettings(epochs=parsed.epochs, states=parsed.states, negatives=6, held_out=0.25)
            print(kind, tune_reranker([source], None, out, system="hybrid", settings=settings, seed=parsed.seed))
    elif not (out / "linear_reranker.json").exists():
        print(kind, tune_linear(source, kind, out, seed=parsed.seed))
    return out


def ablated(index: Index, folder: Path, kind: str) -> dict[str, dict[str, float]]:
    """Measure a linear re-ranker, fitted on all of ``fit``, without one of its features after the other."""
    learned = listed_questions(TrainingSource(index, folder, "fit"), kind, "hybrid")
    asked, qrels = load_questions(folder, "test")
    ranked = questions_ranked_by([TrainingSource(index, folder, "test")], "hybrid", None, None)
    features, names = features_of(kind, index), NAMES[kind]
    seen = [features(Query(one.view.text, one.view.vector), one.as_found()) for one in ranked]
    measured = {}
    for left_out in (None, *range(1, len(names))):
        kept = [k for k in range(len(names)) if k != left_out]
        weights = np.zeros(len(names))
        weights[kept] = fit([question.with_features(kept) for question in learned], len(kept))
        run = {}
        for question, one, values in zip(asked, ranked, seen, strict=True):
            order = np.argsort(-(values @ weights), kind="stable").tolist()
            ids = [passage.id for passage in one.candidates.values()]
            run[question.id] = {ids[place]: 1 / rank for rank, place in enumerate(order, start=1)}
        fitted = ", ".join(f"{name} {weight:.2f}" for name, weight in zip(names, weights, strict=True))
        what = "all features" if left_out is None else f"without {names[left_out]}"
        measured[f"{kind}, {what} ({fitted})"] = mean(evaluate_run(qrels, run))
    return measured


def measure(index: Index, folder: Path, reranker: Path | None, most: int) -> dict[str, float]:
    """Rank the first questions of ``test``, one at a time, and return the figures."""
    system = open_system(index, "hybrid", None, reranker)
    asked, qrels = load_questions(folder, "test")
    asked = asked[:most]
    system.rank(asked[0].text, DEPTH)
    run, spent = {}, []
    for question in asked:
        started = process_time()
        found = system.rank(question.text, DEPTH)
        spent.append(1000 * (process_time() - started))
        passages = index.store.passages(found.rows.tolist())
        run[question.id] = {p.id: float(score) for p, score in zip(passages, found.scores, strict=True)}
    qrels = {question.id: qrels[question.id] for question in asked}
    return mean(evaluate_run(qrels, run)) | {"cpu_ms_p50": float(np.median(spent))}


def row(name: str, system: str, figures: dict[str, float]) -> str:
    """Return one line of the table; shares in percent."""
    shares = " | ".join(f"{100 * figures[figure]:.2f}" for figure in FIGURES)
    milliseconds = f"{figures['cpu_ms_p50']:.0f}" if "cpu_ms_p50" in figures else ""
    return f"| {name} | {system} | {shares} | {milliseconds} |"


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--indexes", type=Path, default=Path("runs/quality"), help="folder of SET.index")
    parser.add_argument("--work", type=Path, default=Path("runs/rerankers"))
    parser.add_argument("--sets", nargs="+", default=["hotpotqa", "scifact"])
    parser.add_argument("--kinds", nargs="*", default=["hybrid", "graph", "cross-encoder"])
    parser.add_argument("--ablate", nargs="*", default=[], choices=sorted(NAMES))
    parser.add_argument("--most", type=int, default=10**6, help="questions to measure on, of each set")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--states", type=int, default=240)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=None)
    parsed = parser.parse_args()
    torch.set_num_threads(1)
    lines, measured = [], {}
    for name in parsed.sets:
        folder = parsed.work / name
        split(parsed.data / name, folder)
        index = Index.open(parsed.indexes / f"{name}.index", threads=1)
        folders: dict[str, Path | None] = {"hybrid search": None}
        folders |= {f"re-ranked: {kind}": tuned(index, folder, kind, parsed) for kind in parsed.kinds}
        results = {system: measure(index, folder, place, parsed.most) for system, place in folders.items()}
        for kind in parsed.ablate:
            results |= ablated(index, folder, kind)
        for system, figures in results.items():
            measured[f"{name}: {system}"] = figures
            lines.append(row(name, system, figures))
            print(lines[-1], flush=True)
    print("\n| set | system | R@2 | R@5 | nDCG@10 | CPU ms |\n|---|---|---|---|---|---|")
    print("\n".join(lines))
    if parsed.json:
        parsed.json.write_text(json.dumps(measured, indent=2) + "\n")


if __name__ == "__main__":
    main()
