"""``trailhound tune-reranker``: the path re-ranker."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from ..console import ProgressBar
from .arguments import add_tuning, command_parser, positive
from .opening import labelled, policy_or_shipped, set_threads


def add(subcommands: Any) -> None:
    """Add the command to the command line."""
    parser = command_parser(
        subcommands,
        "tune-reranker",
        run,
        "tune a cross-encoder that re-ranks what a policy finds, on labelled questions",
        "  trailhound tune-reranker --index w.index --questions data/w --split train --policy runs/w --out runs/w-rr",
    )
    parser.add_argument(
        "--policy", type=Path, default=None, metavar="RUN", help="whose results it re-ranks (default: the shipped one)"
    )
    parser.add_argument(
        "--states", type=positive, default=2000, metavar="N", help="most questions of an epoch (default: 2000)"
    )
    add_tuning(parser, rank=16)


def run(parsed: argparse.Namespace) -> None:
    """Tune a path re-ranker."""
    from ..agent.reranker_tuning import RerankerSettings, tune_reranker

    set_threads(parsed.threads or os.cpu_count() or 1)
    _, sources = labelled(parsed, parsed.threads)
    with ProgressBar(parsed.quiet) as bar:
        figures = tune_reranker(
            sources,
            policy_or_shipped(parsed.policy),
            parsed.out,
            settings=RerankerSettings(epochs=parsed.epochs, states=parsed.states, rank=parsed.rank),
            seed=parsed.seed,
            device=parsed.device,
            warn=bar.warn,
            progress=bar.report,
        )
    print(f"{parsed.out}: {', '.join(f'{name} {value:.3f}' for name, value in figures.items())}")
    if not figures["weight"]:
        print("it does not pay on the questions held out: with the weight 0 every ranking stays as it is")
