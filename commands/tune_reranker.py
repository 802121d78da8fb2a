"""``trailhound tune-reranker``: a re-ranker of what a fixed system finds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..console import ProgressBar
from .arguments import command_parser
from .opening import open_index, set_threads

_FIXED = ("lexical", "dense", "late", "hybrid", "hops", "ppr")
_KINDS = ("graph", "hybrid")


def add(subcommands: Any) -> None:
    """Add the command to the command line."""
    parser = command_parser(
        subcommands,
        "tune-reranker",
        run,
        "fit a re-ranker of what a fixed system finds, on labelled questions: a few weights, fitted in seconds",
        "  trailhound tune-reranker --index w.index --questions data/w --split train --out runs/w-graph\n"
        "  trailhound evaluate --index w.index --questions data/w --split dev --system hybrid --reranker runs/w-graph",
    )
    parser.add_argument("--index", type=Path, required=True, metavar="INDEX")
    parser.add_argument("--questions", type=Path, required=True, metavar="DIR", help="queries.jsonl with qrels/")
    parser.add_argument("--split", required=True, metavar="SPLIT", help="of the questions")
    parser.add_argument(
        "--system", choices=_FIXED, default="hybrid", help="whose results it re-ranks (default: hybrid)"
    )
    parser.add_argument(
        "--kind",
        choices=_KINDS,
        default="graph",
        help="graph (default), which weighs links and titles named, or hybrid, which weighs words against vectors",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the result")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")


def run(parsed: argparse.Namespace) -> None:
    """Tune a re-ranker."""
    from ..agent.reranking import NAMES
    from ..learning.reranker import tune_reranker
    from ..learning.training_questions import TrainingSource

    set_threads(parsed.threads or 1)
    source = TrainingSource(open_index(parsed.index, parsed.threads), parsed.questions, parsed.split)
    with ProgressBar(parsed.quiet) as bar:
        figures = tune_reranker(
            source,
            parsed.kind,
            parsed.out,
            system=parsed.system,
            seed=parsed.seed,
            warn=bar.warn,
            progress=bar.report,
        )
    print(f"{parsed.out}: {', '.join(f'{name} {value:.3f}' for name, value in figures.items())}")
    if not any(figures[name] for name in NAMES[parsed.kind][1:]):
        print("it does not pay on the questions held out: every ranking stays as it is")
