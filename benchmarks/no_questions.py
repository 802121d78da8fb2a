"""What a policy is worth that nobody gave a question to: trained on each corpus alone, measured on people's questions.

    python benchmarks/no_questions.py --data ../shared/data --work runs/none --json runs/none.json
    python benchmarks/no_questions.py --sets 2wiki-train --split 2wiki-train=train --seeds 0 --indexes INDEXES

The first trains `--supervision none` over the corpus of each set and evaluates on its dev split; the second is how the
settings of the question maker were chosen, on splits that no table speaks of. Indexes (unless --indexes says where they
are), policies and their questions are kept in --work.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from inputs import anew, arguments, evaluated, index_folder, parse, run
from table import Column, by_system, show, write

RECIPES = {"2wiki": "2wiki", "2wiki-train": "2wiki", "hotpotqa": "hotpotqa", "musique": "hotpotqa"}

FIGURES = ("recall@2", "recall@5", "all_recall@5", Column("return_mean", digits=3), Column("calls_mean", digits=3))
FIGURES += tuple(
    Column(name, digits=3) for name in ("confidence_mean", "complete_mean", "calibration_error", "brier_score")
)


def measure(parsed: argparse.Namespace, corpus: str, split: str) -> list[dict[str, float]]:
    """Train one policy for each seed on a corpus alone, and evaluate it on a split of people's questions."""
    index = index_folder(parsed, corpus)
    results = []
    for seed in parsed.seeds:
        out = parsed.work / f"{corpus}-{seed}"
        recipe = [*anew(RECIPES[corpus]), "--seed", seed]
        run(["train", "--index", index, "--supervision", "none", *recipe, "--out", out])
        figures = parsed.work / f"{corpus}-{seed}-{split}.json"
        options = ["--policy", out, "--reliability", figures.with_suffix(".svg")]
        results.append(evaluated(figures, index, parsed.data / corpus, split, options))
    return results


def main() -> None:
    """Measure what the command line names."""
    parser = arguments(__doc__, "data", "indexes", "work", "seeds", work=Path("runs/none"))
    parser.add_argument("--sets", nargs="+", choices=tuple(RECIPES), default=["2wiki", "hotpotqa"])
    parser.add_argument("--split", action="append", default=[], metavar="SET=SPLIT", help="default: dev")
    parsed = parse(parser)
    splits = dict(text.split("=", 1) for text in parsed.split)
    everything = {}
    for corpus in parsed.sets:
        split = splits.get(corpus, "dev")
        everything[f"{corpus} {split}"] = measure(parsed, corpus, split)
        write(everything, parsed)
    show("trained without questions", by_system(everything, FIGURES, "corpus"), parsed)


if __name__ == "__main__":
    main()
