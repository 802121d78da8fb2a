"""``trailhound refresh``: a router learns what came into its index."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..console import ProgressBar
from .arguments import WrongUseError, command_parser, positive
from .opening import open_index, set_threads


def add(subcommands: Any) -> None:
    """Add the command to the command line."""
    parser = command_parser(
        subcommands,
        "refresh",
        run,
        "teach a router what came into its index since it was tuned, without forgetting the rest",
        "  trailhound refresh w.index --router runs/w-router --out runs/w-router-2\n"
        "  trailhound refresh w.index --router runs/w-router --questions data/w --split train --out runs/w-router-2\n"
        "Passages that stayed keep their docids and shards. Compact the index first (trailhound compact).",
    )
    parser.add_argument("index", type=Path, metavar="INDEX")
    parser.add_argument("--router", type=Path, required=True, metavar="RUN", help="that `trailhound tune-router` made")
    parser.add_argument("--questions", type=Path, default=None, metavar="DIR", help="labelled questions, if there are")
    parser.add_argument("--split", default=None, metavar="SPLIT", help="of the questions")
    parser.add_argument(
        "--made", type=positive, default=2000, metavar="N", help="most pairs made of new passages (default: 2000)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of the new router")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")


def run(parsed: argparse.Namespace) -> None:
    """Refresh a router."""
    from ..learning.router.router_folder import refresh_router
    from ..learning.router.router_tuning import labelled_of

    if (parsed.questions is None) != (parsed.split is None):
        raise WrongUseError("--questions and --split belong together: give both, or neither")
    if parsed.out.resolve() == parsed.router.resolve():
        raise WrongUseError("--out is the router that is refreshed: name another folder, it stays as it is")
    set_threads(parsed.threads or 1)
    index = open_index(parsed.index, parsed.threads)
    with ProgressBar(parsed.quiet) as bar:
        pairs = labelled_of(index, parsed.questions, parsed.split, bar.warn) if parsed.questions is not None else []
        figures = refresh_router(index, parsed.router, parsed.out, pairs, parsed.made, parsed.seed, bar.report)
    print(f"{parsed.out}: {', '.join(f'{name} {value:.3f}' for name, value in figures.items())} on held-out pairs")
