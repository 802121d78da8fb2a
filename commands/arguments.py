"""What several commands say on the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from ..errors import MaskingError

SYSTEMS = ("lexical", "dense", "late", "hybrid", "hops", "ppr", "exhaustive", "policy")


class WrongUseError(Exception):
    """The command line contradicts itself."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and where help is."""

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        sys.stderr.write(f"{self.prog}: {message} (see  {self.prog} --help)\n")
        raise SystemExit(2)


def command_parser(
    subcommands: Any, name: str, run: Callable[[argparse.Namespace], None], about: str, examples: str
) -> argparse.ArgumentParser:
    """Return the parser of a new command, with what every command takes."""
    parser: argparse.ArgumentParser = subcommands.add_parser(
        name,
        help=about,
        description=about[0].upper() + about[1:] + ".",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=run)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    parser.add_argument(
        "--threads",
        type=positive,
        default=None,
        metavar="N",
        help="CPU threads (default: all to encode a corpus, else 1)",
    )
    return parser


def add_lock_timeout(parser: argparse.ArgumentParser) -> None:
    """Let a command that changes an index say how long it waits for another."""
    parser.add_argument(
        "--lock-timeout",
        type=float,
        default=600.0,
        metavar="S",
        help="seconds to wait for another process that is changing the index (default: 600)",
    )


def positive(text: str) -> int:
    """Read a whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, not {text!r}")
    return int(text)


def count(text: str) -> int:
    """Read a whole number from 0 on."""
    return 0 if text == "0" else positive(text)


def share(text: str) -> float:
    """Read a number above 0, at most 1."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 1, not {text!r}")
    return value


def add_sources(parser: argparse.ArgumentParser, required: bool) -> None:
    """Add what the commands that learn learn from."""
    parser.add_argument("--index", type=Path, action="append", required=True, metavar="INDEX", help="may be repeated")
    parser.add_argument(
        "--questions",
        type=Path,
        action="append",
        default=None if required else [],
        required=required,
        metavar="DIR",
        help="one per --index: queries.jsonl with qrels/, a native file, or a folder of SPLIT.txt triples",
    )
    parser.add_argument("--split", required=required, metavar="SPLIT", help="of every questions folder")


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add where a network computes."""
    parser.add_argument(
        "--device", default="auto", metavar="NAME", help="cpu, cuda, or auto: a GPU where there is one (default: auto)"
    )


def add_router(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """Add the router of an index; with ``several`` one for each index."""
    parser.add_argument(
        "--router",
        type=Path,
        action="append" if several else "store",
        default=None,
        metavar="RUN",
        help="search in the shards that `trailhound tune-router` taught it to choose, and ask for docids; a folder of"
        " such RUNs, each tuned on the index of a part of the passages, is asked as one router"
        + (": one for each --index" if several else " (default: search everything)"),
    )
    parser.add_argument(
        "--shard-mass",
        type=share,
        default=0.9,
        metavar="P",
        help="with --router, search its likeliest shards until they hold so much of the probability, at most four;"
        " 1: all of them (default: 0.9)",
    )


def add_reranker(parser: argparse.ArgumentParser) -> None:
    """Add the optional last step of a search."""
    parser.add_argument(
        "--reranker",
        type=Path,
        default=None,
        metavar="DIR",
        help="re-rank the result with what `trailhound tune-reranker` made (default: leave it as it is)",
    )


def add_mask_patterns(parser: argparse.ArgumentParser, about: str) -> None:
    """Add patterns of the user's own that are masked."""
    parser.add_argument("--mask-pattern", action="append", default=[], type=_pattern, metavar="NAME=REGEX", help=about)


def mask_patterns(parsed: argparse.Namespace) -> dict[str, str]:
    """Return the patterns by name."""
    patterns = dict(parsed.mask_pattern)
    if len(patterns) < len(parsed.mask_pattern):
        raise WrongUseError("two --mask-pattern have one name: give each its own")
    return patterns


def _pattern(definition: str) -> tuple[str, str]:
    from ..retrievers.compiling.masking import pattern_of

    try:
        return pattern_of(definition)
    except MaskingError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_query_encoder(parser: argparse.ArgumentParser) -> None:
    """Add the tuned query side of a fixed system."""
    parser.add_argument(
        "--query-encoder",
        type=Path,
        default=None,
        metavar="DIR",
        help="ask --system dense or hybrid with what `trailhound tune-query` or `tune` made",
    )
