"""What a policy is worth that nobody gave a question to: trained on each corpus alone, measured on people's questions.

    python benchmarks/no_questions.py --data ../shared/data --work runs/none --json runs/none.json
    python benchmarks/no_questions.py --sets 2wiki-train --split 2wiki-train=train --seeds 0 --indexes INDEXES

The first trains `--supervision none` over the corpus of each set and evaluates on its dev split; the second is how the
settings of the question maker were chosen, on splits that no table speaks of. Indexes (unless --indexes says where they
are), policies and their questions are kept in --work.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

RECIPES = {"2wiki": "2wiki", "2wiki-train": "2wiki", "hotpotqa": "hotpotqa", "musique": "hotpotqa"}

FIGURES = ("recall@2", "recall@5", "all_recall@5", "return_mean", "calls_mean")
FIGURES += ("confidence_mean", "complete_mean", "calibration_error", "brier_score")


def run(arguments: list[str]) -> None:
    """Run one trailhound command, on one thread."""
    command = [sys.executable, "-m", "trailhound", *arguments, "--threads", "1", "--quiet"]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def measure(data: Path, work: Path, indexes: Path, corpus: str, split: str, seeds: list[int]) -> list[dict[str, float]]:
    """Train one policy for each seed on a corpus alone, and evaluate it on a split of people's questions."""
    index = indexes / f"{corpus}.index"
    if not index.exists():
        run(["index", str(data / corpus), "--out", str(index)])
    results = []
    for seed in seeds:
        out = work / f"{corpus}-{seed}"
        recipe = ["--recipe", RECIPES[corpus], "--seed", str(seed)]
        run(["train", "--index", str(index), "--supervision", "none", *recipe, "--out", str(out)])
        figures, picture = work / f"{corpus}-{seed}-{split}.json", work / f"{corpus}-{seed}-{split}.svg"
        over = ["--index", str(index), "--questions", str(data / corpus), "--split", split, "--policy", str(out)]
        run(["evaluate", *over, "--json", str(figures), "--reliability", str(picture)])
        read = json.loads(figures.read_text())
        results.append({name: read[name] for name in FIGURES})
    return results


def row(label: str, results: list[dict[str, float]]) -> str:
    """Return mean and spread (standard deviation over seeds) as a row of a Markdown table."""
    cells = []
    for name in FIGURES:
        scale, digits = (100, 2) if "@" in name else (1, 3)
        values = [scale * figures[name] for figures in results]
        spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
        cells.append(f"{statistics.mean(values):.{digits}f}{spread}")
    return f"| {label} | {' | '.join(cells)} |"


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("runs/none"))
    parser.add_argument("--indexes", type=Path, default=None, help="where NAME.index lie (default: --work)")
    parser.add_argument("--sets", nargs="+", choices=tuple(RECIPES), default=["2wiki", "hotpotqa"])
    parser.add_argument("--split", action="append", default=[], metavar="SET=SPLIT", help="default: dev")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--json", type=Path, default=None)
    parsed = parser.parse_args()
    parsed.work.mkdir(parents=True, exist_ok=True)
    splits = dict(text.split("=", 1) for text in parsed.split)
    everything = {}
    print(f"| corpus | {' | '.join(FIGURES)} |\n{'|---' * (len(FIGURES) + 1)}|", flush=True)
    for corpus in parsed.sets:
        split = splits.get(corpus, "dev")
        where = parsed.indexes or parsed.work
        everything[corpus] = measure(parsed.data, parsed.work, where, corpus, split, parsed.seeds)
        print(row(f"{corpus} {split}", everything[corpus]), flush=True)
        if parsed.json:
            parsed.json.write_text(json.dumps(everything, indent=2) + "\n")


if __name__ == "__main__":
    main()
