"""``trailhound report``: a page about training runs and evaluations."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .arguments import add_path, command_parser


def add_report(subcommands: Any) -> None:
    """Add ``report`` to the command line."""
    parser = command_parser(
        subcommands,
        "report",
        _run,
        "make a page about training runs and evaluations: curves, runs side by side, confidence, costs, misses, paths",
        "  trailhound report runs/w\n"
        "  trailhound report runs/w-0 runs/w-1 runs/w-2 w-0.json w-1.json w-2.json hybrid.json --out w.html\n"
        "A RUN is the folder of a training, or a file that `trailhound evaluate --json` wrote. Runs that differ in\n"
        "the seed alone are told together: mean ± standard deviation.",
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder of a training, or JSON of evaluate")
    about = "the page, one HTML file (default: report.html)"
    add_path(parser, "--out", "FILE.html", about, default=Path("report.html"))


def _run(parsed: argparse.Namespace) -> None:
    from ..measuring.evaluation import check_folders
    from ..measuring.report import write_report

    check_folders(parsed.out)
    write_report(parsed.runs, parsed.out)
    print(f"{parsed.out}: a page about {len(parsed.runs)} run{'s' if len(parsed.runs) > 1 else ''}")
