"""``trailhound explain-misses``: what a policy misses, and at which stage."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..console import ProgressBar
from ..retrievers.svg import printable
from .arguments import add_reranker, add_router, command_parser, positive
from .opening import open_index, set_threads

if TYPE_CHECKING:
    from ..measuring.misses import Miss, MissReport


def add(subcommands: Any) -> None:
    """Add the command to the command line."""
    parser = command_parser(
        subcommands,
        "explain-misses",
        run,
        "say at which stage each supporting passage that is not among the first five was lost, and each answer",
        "  trailhound explain-misses --index w.index --questions data/w --split dev\n"
        "  trailhound explain-misses --index w.index --questions data/w --split dev --policy runs/w --svg misses.svg\n"
        "  trailhound explain-misses --index w.index --questions data/w --split dev --json misses.json --examples 3",
    )
    parser.add_argument("--index", type=Path, required=True, metavar="INDEX")
    parser.add_argument(
        "--questions", type=Path, required=True, metavar="DIR", help="queries.jsonl and qrels/, or a native file"
    )
    parser.add_argument("--split", required=True, metavar="SPLIT")
    parser.add_argument("--policy", type=Path, default=None, metavar="RUN", help="default: the one that ships")
    add_reranker(parser)
    add_router(parser)
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write every miss")
    parser.add_argument("--svg", type=Path, default=None, metavar="FILE", help="draw the stages as bars")
    parser.add_argument(
        "--examples", type=positive, default=2, metavar="N", help="misses of each stage to tell of (default: 2)"
    )


def run(parsed: argparse.Namespace) -> None:
    """Explain what is missed."""
    from ..measuring.evaluation import check_folders
    from ..measuring.misses import explain_misses, write_misses
    from ..retrievers.atomic_file import write_json

    check_folders(parsed.json, parsed.svg)
    set_threads(parsed.threads or 1)
    index = open_index(parsed.index, parsed.threads or 1, parsed.router, parsed.shard_mass)
    with ProgressBar(parsed.quiet) as bar:
        report = explain_misses(
            index,
            parsed.questions,
            parsed.split,
            policy=parsed.policy,
            reranker=parsed.reranker,
            warn=bar.warn,
            progress=bar.report,
        )
    if parsed.json is not None:
        write_json(parsed.json, report.to_json())
    if parsed.svg is not None:
        write_misses(parsed.svg, report)
    _print_table(report)
    for miss in report.examples(parsed.examples):
        print(_described(miss))


def _print_table(report: MissReport) -> None:
    """Print a row for every cause of every stage."""
    from rich.console import Console
    from rich.table import Table

    passages = sum(bool(miss.passage) for miss in report.misses)
    total = len(report.misses)
    print(f"{printable(report.system)}: {report.questions} questions")
    print(f"  {passages} of {report.supporting} supporting passages are not among the first five")
    print(f"  {total - passages} of {report.judged_answers} answers are wrong though all the evidence is there")
    table = Table()
    table.add_column("stage")
    table.add_column("cause")
    table.add_column("count", justify="right")
    table.add_column("share", justify="right")
    for stage, causes in report.counts().items():
        for cause, count in (causes or {"": 0}).items():
            table.add_row(stage, cause, str(count), f"{100 * count / total:.1f}" if total else "0.0")
    table.add_row("all", "", str(total), "100.0" if total else "0.0", style="bold")
    wide = None if sys.stdout.isatty() else 1000
    Console(width=wide, markup=False, emoji=False).print(table)


def _described(miss: Miss) -> str:
    """Describe a miss in a few lines."""
    what = f"missing: “{miss.title}” ({miss.passage})" if miss.passage else f"the answer: {miss.title}"
    lines = (f"{miss.stage}, {miss.cause}: {miss.question}", f"  {what}", f"  {miss.happened}")
    return "\n" + "\n".join(printable(line) for line in lines)
