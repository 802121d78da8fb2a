"""``trailhound demo``: the main job once, on an invented corpus."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..console import ProgressBar, print_table
from .arguments import command_parser, positive
from .opening import set_threads


def add(subcommands: Any) -> None:
    """Add the command to the command line."""
    parser = command_parser(
        subcommands,
        "demo",
        run,
        "run the whole main job once, on a corpus that the program makes itself",
        "  trailhound demo\n  trailhound demo --articles 5000 --out /tmp/demo",
    )
    parser.add_argument(
        "--out", type=Path, default=None, metavar="DIR", help="keep everything here (default: runs/demo)"
    )
    parser.add_argument("--articles", type=positive, default=1000, metavar="N", help="default: 1000")
    parser.add_argument("--questions", type=positive, default=500, metavar="N", help="default: 500")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")


def run(parsed: argparse.Namespace) -> None:
    """Run the main job on an invented corpus."""
    from ..agent.drawing import draw_path
    from ..demo.run import run_demo

    set_threads(parsed.threads or 1)
    folder = parsed.out or Path("runs") / "demo"
    with ProgressBar(parsed.quiet) as bar:
        report = run_demo(
            folder, articles=parsed.articles, questions=parsed.questions, seed=parsed.seed, progress=bar.report
        )
    print(f"{report.passages:,} invented articles, a policy trained in {report.training.seconds:.0f} s: {folder}\n")
    print_table(report.evaluations)
    print("\nA search of the policy:\n")
    print(draw_path(report.example))
    print(
        "\nNow your own documents:\n"
        "  trailhound index my-docs/ --out my-docs.index\n"
        '  trailhound search my-docs.index "your question"'
    )
