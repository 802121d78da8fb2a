"""``trailhound tune``: the hop encoder."""

from __future__ import annotations

import argparse
import os
from typing import Any

from ..console import ProgressBar
from .arguments import add_tuning, command_parser
from .opening import labelled, set_threads


def add(subcommands: Any) -> None:
    """Add the command to the command line."""
    parser = command_parser(
        subcommands,
        "tune",
        run,
        "tune the encoder of queries that hold evidence, on labelled questions; indexes stay as they are",
        "  trailhound tune --index w.index --questions data/w --split train --out runs/w-hop\n"
        "  trailhound tune --index a.index --questions a --index b.index --questions b --split train --out runs/hop",
    )
    add_tuning(parser, rank=8)


def run(parsed: argparse.Namespace) -> None:
    """Tune the hop encoder."""
    from ..learning.queries.hop_encoder import TuningSettings, tune

    set_threads(parsed.threads or os.cpu_count() or 1)
    _, sources = labelled(parsed, parsed.threads)
    settings = TuningSettings(epochs=parsed.epochs, rank=parsed.rank)
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
