"""SciFact by five-fold cross-validation over its train questions: does the policy lose where one passage answers?

    python benchmarks/scifact_folds.py --data ../shared/data --work runs/quality --json runs/scifact.json

Of each fold, an encoder and a policy learn from the other four; then both, and the fixed systems, are measured on it.
Indexes, encoders and policies are kept in --work and used again. Prints the mean over all questions, and per fold.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from pathlib import Path

from quality import SYSTEMS, index, run

FOLDS = 5
SHOWN = ("ndcg@10", "recall@5", "recall@10", "mrr", "calls_mean", "latency_ms_p50")


def split(data: Path, folder: Path, fold: int) -> None:
    """Write the questions with the splits ``train`` and ``test`` of a fold into ``folder``."""
    if (folder / "qrels" / "test.tsv").exists():
        return
    lines = (data / "scifact" / "qrels" / "train.tsv").read_text().splitlines()
    header, labels = lines[0], [line for line in lines[1:] if line.strip()]
    questions = sorted({line.split("\t")[0] for line in labels})
    random.Random(0).shuffle(questions)
    held_out = set(questions[fold::FOLDS])
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    (folder / "queries.jsonl").write_bytes((data / "scifact" / "queries.jsonl").read_bytes())
    for name, inside in (("train", False), ("test", True)):
        rows = [line for line in labels if (line.split("\t")[0] in held_out) == inside]
        (folder / "qrels" / f"{name}.tsv").write_text("\n".join([header, *rows]) + "\n")


def measure(data: Path, work: Path, fold: int, seed: int) -> dict[str, dict[str, float]]:
    """Return the figures of every system on one fold."""
    questions = work / f"scifact-fold-{fold}"
    split(data, questions, fold)
    source = ["--index", str(index(data, work, "scifact")), "--questions", str(questions)]
    hop, policy = work / f"scifact-hop-{fold}-{seed}", work / f"scifact-policy-{fold}-{seed}"
    run(["tune", *source, "--split", "train", "--epochs", "3", "--seed", str(seed), "--out", str(hop)])
    learn = ["--split", "train", "--recipe", "scifact", "--hop-encoder", str(hop), "--seed", str(seed)]
    run(["train", *source, *learn, "--out", str(policy)])
    results = {}
    for system in (*SYSTEMS, "policy"):
        figures = work / f"scifact-{system}-{fold}-{seed}.json"
        chosen = ["--policy", str(policy)] if system == "policy" else ["--system", system]
        run(["evaluate", *source, "--split", "test", "--json", str(figures), *chosen])
        results[system] = json.loads(figures.read_text())
    return results


def table(folds: list[dict[str, dict[str, float]]]) -> str:
    """Return means over all questions, and the spread over folds, as a Markdown table."""
    lines = [f"| system | {' | '.join(SHOWN)} |", "|---" * (len(SHOWN) + 1) + "|"]
    weights = [fold["policy"]["questions"] for fold in folds]
    for system in folds[0]:
        cells = []
        for name in SHOWN:
            values = [fold[system][name] * (100 if "@" in name or name == "mrr" else 1) for fold in folds]
            mean = sum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights)
            cells.append(f"{mean:.2f} ± {statistics.stdev(values):.2f}")
        lines.append(f"| {system} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("runs/quality"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=None)
    parsed = parser.parse_args()
    parsed.work.mkdir(parents=True, exist_ok=True)
    folds = [measure(parsed.data, parsed.work, fold, parsed.seed) for fold in range(FOLDS)]
    print(f"SciFact, {FOLDS} folds, seed {parsed.seed}\n\n{table(folds)}")
    if parsed.json:
        parsed.json.write_text(json.dumps(folds, indent=2) + "\n")


if __name__ == "__main__":
    main()
