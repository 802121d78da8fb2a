"""SciFact by five-fold cross-validation over its train questions: does the policy lose where one passage answers?

    python benchmarks/scifact_folds.py --data ../shared/data --work runs/quality --json runs/scifact.json

Of each fold, an encoder and a policy learn from the other four; then both, and the fixed systems, are measured on it.
Indexes, encoders and policies are kept in --work and used again. Prints the mean over all questions, and per fold.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from inputs import anew, arguments, evaluated, folds, index_folder, label_lines, parse, run, write_split
from quality import SYSTEMS
from table import Column, column, markdown, show, write

FOLDS = 5
SHOWN = [column(name) for name in ("ndcg@10", "recall@5", "recall@10")]
SHOWN += [Column("mrr", scale=100), Column("calls_mean"), Column("latency_ms_p50")]


def split(parsed: argparse.Namespace, folder: Path, fold: int) -> None:
    """Write the questions with the splits ``train`` and ``test`` of a fold into ``folder``."""
    labels = label_lines(parsed.data / "scifact", "train")
    held_out = set(folds(list({line.split("\t")[0] for line in labels}), FOLDS)[fold])
    parts = {
        name: [line for line in labels if (line.split("\t")[0] in held_out) == inside]
        for name, inside in (("train", False), ("test", True))
    }
    write_split(parsed.data / "scifact", folder, parts)


def measure(parsed: argparse.Namespace, fold: int) -> dict[str, dict[str, float]]:
    """Return the figures of every system on one fold."""
    questions, seed = parsed.work / f"scifact-fold-{fold}", parsed.seed
    split(parsed, questions, fold)
    index = index_folder(parsed, "scifact")
    learn = ["--index", index, "--questions", questions, "--split", "train", "--seed", seed]
    hop, policy = parsed.work / f"scifact-hop-{fold}-{seed}", parsed.work / f"scifact-policy-{fold}-{seed}"
    run(["tune", *learn, "--epochs", 3, "--out", hop])
    run(["train", *learn, *anew("scifact"), "--hop-encoder", hop, "--out", policy])
    results = {}
    for system in (*SYSTEMS, "policy"):
        chosen = ["--policy", policy] if system == "policy" else ["--system", system]
        figures = parsed.work / f"scifact-{system}-{fold}-{seed}.json"
        results[system] = evaluated(figures, index, questions, "test", chosen)
    return results


def table(measured: list[dict[str, dict[str, float]]]) -> str:
    """Return means over all questions, with the spread over folds, as a Markdown table."""
    rows = []
    for system in measured[0]:
        runs = [fold[system] for fold in measured]
        counts = [figures["questions"] for figures in runs]
        cells = []
        for one in SHOWN:
            mean = sum(figures[one.name] * count for figures, count in zip(runs, counts, strict=True)) / sum(counts)
            deviation = one.cell(runs).partition(" ± ")[2]
            cells.append(f"{one.scale * mean:.2f} ± {deviation}")
        rows.append([system, *cells])
    return markdown(["system", *(one.name for one in SHOWN)], rows)


def main() -> None:
    """Measure what the command line names."""
    parser = arguments(__doc__, "data", "indexes", "work", work=Path("runs/quality"))
    parser.add_argument("--seed", type=int, default=0)
    parsed = parse(parser)
    measured = [measure(parsed, fold) for fold in range(FOLDS)]
    show(f"SciFact, {FOLDS} folds, seed {parsed.seed}", table(measured), parsed)
    write(measured, parsed)


if __name__ == "__main__":
    main()
