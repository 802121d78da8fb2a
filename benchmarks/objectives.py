"""Every objective of `tune`, and every operator of `tune-query`, side by side on one small budget.

    python benchmarks/objectives.py --index hotpotqa.index --questions ../shared/data/hotpotqa --work runs/objectives

Of the train questions, drawn by seed 0, `--learn` are learned from and `--validation` measured on; the dev split is not
read. Every row trains `--epochs` epochs with each seed and reports recall on the validation questions, mean and spread:
of an objective at 10, given the question and given one supporting passage besides; of an operator at 5 and 10, of the
dense search with the tuned queries. Rows of hard negatives train contrastively. Figures are kept in `--work` as they
come, so that a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from trailhound import Index, TrainingSource, evaluate
from trailhound.learning.queries.downstream_tuning import DownstreamSettings, tune_query
from trailhound.learning.queries.hop_encoder import TuningSettings, tune
from trailhound.retrievers.differentiable.objectives import OBJECTIVES
from trailhound.retrievers.differentiable.operators import OPERATORS

Row = Callable[[Path, int], dict[str, float]]
"""Trains into a folder with a seed; returns figures."""


def split(data: Path, folder: Path, learn: int, validation: int) -> None:
    """Write splits ``learn``, ``validation`` and ``both`` of the train questions of a data set into ``folder``."""
    lines = (data / "qrels" / "train.tsv").read_text().splitlines()
    header, labels = lines[0], [line for line in lines[1:] if line.strip()]
    questions = sorted({line.split("\t")[0] for line in labels})
    random.Random(0).shuffle(questions)
    parts = {"learn": questions[:learn], "validation": questions[learn : learn + validation]}
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    (folder / "queries.jsonl").write_bytes((data / "queries.jsonl").read_bytes())
    for name, chosen in parts.items():
        rows = [line for line in labels if line.split("\t")[0] in set(chosen)]
        (folder / "qrels" / f"{name}.tsv").write_text("\n".join([header, *rows]) + "\n")


def rows_of(index: Index, folder: Path, epochs: int) -> dict[str, Row]:
    """Return what is trained, by the name of its row."""
    source = TrainingSource(index, folder, "learn")

    def objective(**settings: object) -> Row:
        def trained(out: Path, seed: int) -> dict[str, float]:
            chosen = TuningSettings(epochs=epochs, learning_rate=3e-3, **settings)  # type: ignore[arg-type]
            tune([source], out, settings=chosen, seed=seed, device="cpu")
            return recall_given_evidence(index, folder, out)

        return trained

    def operator(name: str, most: int) -> Row:
        def trained(out: Path, seed: int) -> dict[str, float]:
            chosen = DownstreamSettings(epochs=epochs, learning_rate=3e-3, operator=name, memory=most, fusion=False)
            tune_query([source], out, settings=chosen, seed=seed, device="cpu")
            figures = evaluate(index, folder, "validation", system="dense", query_encoder=out).figures
            return {name: figures[name] for name in ("recall@5", "recall@10")}

        return trained

    rows = {f"objective: {name}": objective(objective=name) for name in OBJECTIVES}
    rows["negatives: of the batch alone"] = objective(hard_negatives=0)
    rows["negatives: of the batch, 16 mined"] = objective(hard_negatives=16)
    rows["negatives: of the batch, 64 mined"] = objective(hard_negatives=64)
    rows["operator: softmax, k = 20"] = operator("softmax", 20)
    rows |= {f"operator: {name}, k = 5": operator(name, 5) for name in OPERATORS}
    return rows


def recall_given_evidence(index: Index, folder: Path, out: Path) -> dict[str, float]:
    """Return recall at 10 of the validation questions' passages, given the question, and given one passage besides."""
    from trailhound.envs._question_set import QuestionSet
    from trailhound.envs.settings import EnvironmentSettings
    from trailhound.learning.queries.hop_encoder import TuningQuestion
    from trailhound.retrievers.vectors._encoder import MiniLMEncoder
    from trailhound.retrievers.vectors._minilm import load_adapter

    encoder = MiniLMEncoder(threads=1, adapter=load_adapter(out) if out.exists() else None)
    questions = QuestionSet.load(index, folder, "validation", EnvironmentSettings())
    vectors = index.dense.reconstruct(np.arange(len(index)))
    states = []
    for number, item in enumerate(questions.items):
        rows = tuple(sorted(item.gold))
        passages = tuple(index.store.passages(rows))
        one = TuningQuestion(0, questions.world(number).view, rows, passages, item.meets)
        states += [("question", one.holding(()))]
        states += [("given evidence", one.holding((k,))) for k in range(len(rows)) if len(rows) > 1]
    found: dict[str, list[float]] = {"question": [], "given evidence": []}
    for (kind, state), query in zip(states, encoder.encode([state.text for _, state in states]), strict=True):
        scores = vectors @ query
        scores[list(state.held)] = -1
        top = np.argsort(-scores, kind="stable")[:10]
        found[kind].append(float(np.isin(state.missing, top).mean()))
    return {name: float(np.mean(values)) for name, values in found.items()}


def shown(figures: list[dict[str, float]]) -> str:
    """Return every figure in percent, mean and standard deviation over the seeds."""
    cells = []
    for name in figures[0]:
        values = 100 * np.array([one[name] for one in figures])
        cells.append(f"{name} {values.mean():.1f} ± {values.std(ddof=1) if len(values) > 1 else 0:.1f}")
    return " | ".join(cells)


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--questions", type=Path, required=True, help="a data set with a train split")
    parser.add_argument("--work", type=Path, default=Path("runs/objectives"))
    parser.add_argument("--learn", type=int, default=240)
    parser.add_argument("--validation", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", default="", help="only rows whose name begins so")
    parsed = parser.parse_args()
    torch.set_num_threads(1)
    folder = parsed.work / "questions"
    split(parsed.questions, folder, parsed.learn, parsed.validation)
    index = Index.open(parsed.index, threads=1)
    path = parsed.work / "figures.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    rows = {name: row for name, row in rows_of(index, folder, parsed.epochs).items() if name.startswith(parsed.rows)}
    for seed in parsed.seeds:
        for name, row in rows.items():
            key = f"{name}, seed {seed}"
            if key not in known:
                out = parsed.work / key.replace(" ", "-").replace(":", "").replace(",", "")
                known[key] = row(out, seed)
                path.write_text(json.dumps(known, indent=2) + "\n")
                print(f"{key}: {shown([known[key]])}", flush=True)
    print("| row | figures |\n|---|---|")
    print(f"| untuned, tune | {shown([recall_given_evidence(index, folder, Path('none'))])} |")
    untuned = evaluate(index, folder, "validation", system="dense").figures
    print(f"| untuned, tune-query | {shown([{name: untuned[name] for name in ('recall@5', 'recall@10')}])} |")
    for name in rows:
        print(f"| {name} | {shown([known[f'{name}, seed {seed}'] for seed in parsed.seeds])} |")


if __name__ == "__main__":
    main()
