"""``trailhound tune``: the hop encoder."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from ..console import ProgressBar
from .arguments import add_device, add_sources, command_parser, count, positive
from .opening import labelled, set_threads

_OBJECTIVES = ("contrastive", "pairwise", "margin", "listwise", "listnet", "likelihood", "expected-loss")
"""Those of :mod:`..retrievers.differentiable.objectives`, which imports torch: too slow for a command line's help."""


def add(subcommands: Any) -> None:
    """Add the command to the command line."""
    parser = command_parser(
        subcommands,
        "tune",
        run,
        "tune the encoder of queries that hold evidence, on labelled questions; indexes stay as they are",
        "  trailhound tune --index w.index --questions data/w --split train --out runs/w-hop\n"
        "  trailhound tune --index w.index --questions data/w --split train --objective listwise --out runs/w-hop2\n"
        "  trailhound tune --index a.index --questions a --index b.index --questions b --split train --out runs/hop",
    )
    add_sources(parser, required=True)
    parser.add_argument(
        "--objective",
        choices=_OBJECTIVES,
        default="contrastive",
        help="what it is trained for, of every state's ranking of the passages (default: contrastive)",
    )
    parser.add_argument(
        "--hard-negatives",
        type=count,
        default=None,
        metavar="N",
        help="score a batch against its own passages and the N that each question is nearest to, found anew before"
        " every epoch; 0: its own alone (default: against every passage; of a corpus above 100,000: 64)",
    )
    parser.add_argument("--epochs", type=positive, default=4, metavar="N", help="default: 4")
    parser.add_argument(
        "--rank", type=positive, default=8, metavar="N", help="of the change of the weights (default: 8)"
    )
    add_device(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the result; goes on if interrupted"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")


def run(parsed: argparse.Namespace) -> None:
    """Tune the hop encoder."""
    from ..learning.queries.hop_encoder import TuningSettings, tune

    set_threads(parsed.threads or os.cpu_count() or 1)
    _, sources = labelled(parsed, parsed.threads)
    settings = TuningSettings(
        objective=parsed.objective, epochs=parsed.epochs, rank=parsed.rank, hard_negatives=parsed.hard_negatives
    )
    with ProgressBar(parsed.quiet) as bar:
        figures = tune(
            sources,
            parsed.out,
            settings=settings,
            seed=parsed.seed,
            device=parsed.device,
            warn=bar.warn,
            progress=bar.report,
        )
    print(f"{parsed.out}: {', '.join(f'{name} {value:.3f}' for name, value in figures.items())}")
