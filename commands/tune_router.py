"""``trailhound tune-router``: the router of an index."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from ..console import ProgressBar
from .arguments import WrongUseError, command_parser, positive
from .opening import open_index, set_threads


def add(subcommands: Any) -> None:
    """Add the command to the command line."""
    parser = command_parser(
        subcommands,
        "tune-router",
        run,
        "train the router of an index: which shards to search for a question, and docids",
        "  trailhound tune-router --index w.index --questions data/w --split train --out runs/w-router\n"
        "  trailhound tune-router --index docs.index --shards 16 --out runs/docs-router\n"
        "Routers that are tuned apart, each on the index of its own passages, are joined by lying in one folder:\n"
        "  trailhound tune-router --index a.index --out runs/peers/a\n"
        "  trailhound tune-router --index b.index --out runs/peers/b\n"
        "  trailhound index a b --out both.index\n"
        '  trailhound search both.index "Who ...?" --router runs/peers',
    )
    parser.add_argument("--index", type=Path, required=True, metavar="INDEX")
    parser.add_argument(
        "--questions",
        type=Path,
        default=None,
        metavar="DIR",
        help="queries.jsonl with qrels/, or a native file (default: learn from pairs made of the passages alone)",
    )
    parser.add_argument("--split", default=None, metavar="SPLIT", help="of the questions")
    parser.add_argument("--shards", type=positive, default=8, metavar="N", help="default: 8")
    parser.add_argument(
        "--made", type=positive, default=2000, metavar="N", help="pairs made of the passages (default: 2000)"
    )
    parser.add_argument(
        "--balance",
        type=weight,
        default=0.02,
        metavar="W",
        help="weight of how far the shards are from being asked in proportion to their sizes (default: 0.02)",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="RUN", help="folder of the router; goes on if interrupted"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")


def weight(text: str) -> float:
    """Read a weight, 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number from 0 on, not {text!r}")
    return value


def run(parsed: argparse.Namespace) -> None:
    """Train a router."""
    from ..learning.router.router_tuning import RouterTuning, tune_router

    if (parsed.questions is None) != (parsed.split is None):
        raise WrongUseError("--questions and --split belong together: give both, or neither")
    set_threads(parsed.threads or 1)
    index = open_index(parsed.index, parsed.threads)
    with ProgressBar(parsed.quiet) as bar:
        figures = tune_router(
            index,
            parsed.out,
            RouterTuning(parsed.shards, parsed.made, parsed.balance, parsed.seed),
            questions=parsed.questions,
            split=parsed.split,
            warn=bar.warn,
            progress=bar.report,
        )
    print(f"{parsed.out}: {', '.join(f'{name} {value:.3f}' for name, value in figures.items())} on held-out pairs")
