"""``trailhound tune-query``: queries, moved by a downstream loss alone."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from ..console import ProgressBar
from .arguments import add_device, add_sources, command_parser, count, positive
from .opening import labelled, set_threads

_OPERATORS = ("softmax", "relaxed-top-k", "straight-through", "gumbel-top-k")
"""Those of :mod:`..retrievers.differentiable.operators`, which imports torch: too slow for a command line's help."""


def add(subcommands: Any) -> None:
    """Add the command to the command line."""
    parser = command_parser(
        subcommands,
        "tune-query",
        run,
        "tune how questions are asked by their answers alone: query encoder, memory of mentions and fusion; no passage"
        " need be labelled, and indexes stay as they are",
        "  trailhound tune-query --index w.index --questions data/w --split train --out runs/w-q\n"
        "  trailhound evaluate --index w.index --questions data/w --split dev --system dense --query-encoder runs/w-q\n"
        "  trailhound train --index w.index --questions data/w --split train --hop-encoder runs/w-q --out runs/w",
    )
    add_sources(parser, required=True)
    parser.add_argument("--epochs", type=positive, default=2, metavar="N", help="default: 2")
    parser.add_argument(
        "--rank", type=count, default=8, metavar="N", help="of the encoder's change; 0: none (default: 8)"
    )
    parser.add_argument(
        "--memory", type=count, default=20, metavar="N", help="passages a question reads first; 0: none (default: 20)"
    )
    parser.add_argument(
        "--operator",
        choices=_OPERATORS,
        default="softmax",
        help="how these passages are chosen and weighed, in a way that learning passes through (default: softmax)",
    )
    parser.add_argument(
        "--reader",
        default=None,
        metavar="READER",
        help="judges how likely a set of passages makes the answer: builtin, a folder, or URL#MODEL (default: holding"
        " the answer is all that counts)",
    )
    add_device(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the result; goes on if interrupted"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")


def run(parsed: argparse.Namespace) -> None:
    """Tune queries."""
    from ..learning.queries.downstream_tuning import DownstreamSettings, tune_query

    set_threads(parsed.threads or os.cpu_count() or 1)
    _, sources = labelled(parsed, parsed.threads)
    settings = DownstreamSettings(
        epochs=parsed.epochs,
        rank=parsed.rank,
        memory=parsed.memory,
        operator=parsed.operator,
        reader=parsed.reader,
    )
    with ProgressBar(parsed.quiet) as bar:
        figures = tune_query(
            sources,
            parsed.out,
            settings=settings,
            seed=parsed.seed,
            device=parsed.device,
            warn=bar.warn,
            progress=bar.report,
        )
    print(f"{parsed.out}: {', '.join(f'{name} {value:.3f}' for name, value in figures.items())}")
