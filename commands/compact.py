"""``trailhound compact``: the changes of an index are folded into a new base."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..console import ProgressBar
from .arguments import add_lock_timeout, command_parser
from .opening import open_index


def add(subcommands: Any) -> None:
    """Add the command to the command line."""
    parser = command_parser(
        subcommands,
        "compact",
        run,
        "fold what `trailhound update` changed into the index, which makes searches faster",
        "  trailhound compact my-docs.index",
    )
    parser.add_argument("index", type=Path, metavar="INDEX")
    add_lock_timeout(parser)


def run(parsed: argparse.Namespace) -> None:
    """Compact an index."""
    index = open_index(parsed.index, parsed.threads, lock_timeout=parsed.lock_timeout)
    with ProgressBar(parsed.quiet) as bar:
        folded = index.compact(progress=bar.report)
    if not folded:
        print(f"{parsed.index}: no changes to fold in")
        return
    links = len(index.graph.edges)
    print(f"{parsed.index}: {index.store.documents:,} documents, {len(index):,} passages, {links:,} links")
