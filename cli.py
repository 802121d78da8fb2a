"""The command line: arguments and exit codes; ``commands`` does what they say."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from . import __version__
from .commands import compare, evaluate, graph, indexing, mcp, report, search, serve, sweep, train, tuning, updating
from .commands.arguments import Parser, WrongUseError
from .errors import TrailhoundError
from .retrievers._svg import printable

_COMMANDS = (
    search.add_demo,
    indexing.add_index,
    updating.add_update,
    updating.add_compact,
    tuning.add_tune,
    tuning.add_tune_query,
    train.add_train,
    sweep.add_sweep,
    tuning.add_tune_reranker,
    tuning.add_tune_router,
    tuning.add_refresh,
    evaluate.add_evaluate,
    compare.add_compare,
    report.add_report,
    evaluate.add_explain_misses,
    graph.add_graph,
    search.add_search,
    serve.add_serve,
    mcp.add_mcp,
)
"""In the order of the help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 failed, 2 wrong use, 130 after Ctrl-C, 143 after SIGTERM."""
    parsed = build_parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    ended_by: list[int] = []
    try:
        _quieten()
        command: Callable[[argparse.Namespace], None] = parsed.command
        with _terminated_like_interrupted(ended_by):
            command(parsed)
        sys.stdout.flush()  # here, where a reader that has gone away can still be answered for
    except WrongUseError as error:
        sys.stderr.write(f"trailhound: {printable(str(error))}\n")
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (TrailhoundError, OSError) as error:
        if parsed.debug:
            raise
        sys.stderr.write(f"trailhound: {printable(' '.join(str(error).split()))}\n")
        return 1
    except KeyboardInterrupt as stopped:
        about = str(stopped) or "index, update, train, sweep and demo go on from here when they are called again"
        sys.stderr.write(f"trailhound: {'terminated' if ended_by else 'interrupted'}; {printable(about)}\n")
        return 128 + (ended_by[0] if ended_by else signal.SIGINT)
    return 0


@contextmanager
def _terminated_like_interrupted(ended_by: list[int]) -> Iterator[None]:
    """Let SIGTERM end a command as Ctrl-C does, and put its number into ``ended_by``."""

    def end(number: int, frame: FrameType | None) -> None:
        ended_by.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # no other may say what a signal does
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _quieten() -> None:
    """Keep libraries from talking over the progress bar."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line, with every command."""
    parser = Parser(
        prog="trailhound",
        description="Finds the evidence for questions that no single passage answers.",
        epilog="examples:\n  trailhound demo\n  trailhound index my-docs/ --out my-docs.index\n"
        '  trailhound search my-docs.index "Who founded the company that makes the Model 7?"',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"trailhound {__version__}")
    subcommands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=Parser)
    for add in _COMMANDS:
        add(subcommands)
    return parser
