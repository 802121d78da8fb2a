"""``trailhound tune-reranker``: re-rankers of what a policy or a fixed system finds."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..console import ProgressBar
from .arguments import WrongUseError, add_tuning, command_parser, positive
from .opening import labelled, policy_or_shipped, set_threads

if TYPE_CHECKING:
    from ..learning.training_questions import TrainingSource

_FIXED = ("lexical", "dense", "late", "hybrid", "hops", "hops2", "ppr")
_KINDS = ("cross-encoder", "hybrid", "graph")


def add(subcommands: Any) -> None:
    """Add the command to the command line."""
    parser = command_parser(
        subcommands,
        "tune-reranker",
        run,
        "tune a re-ranker of what a policy or a fixed system finds, on labelled questions",
        "  trailhound tune-reranker --index w.index --questions data/w --split train --policy runs/w --out runs/w-rr\n"
        "  trailhound tune-reranker --index w.index --questions data/w --split train --system hybrid --out runs/w-ce\n"
        "  trailhound tune-reranker --index w.index --questions data/w --split train --system hybrid --kind graph \\\n"
        "      --out runs/w-graph",
    )
    parser.add_argument(
        "--policy", type=Path, default=None, metavar="RUN", help="whose results it re-ranks (default: the shipped one)"
    )
    parser.add_argument(
        "--system",
        choices=_FIXED,
        default=None,
        help="re-rank the results of this fixed system, reading each passage with the question alone",
    )
    parser.add_argument(
        "--kind",
        choices=_KINDS,
        default="cross-encoder",
        help="cross-encoder (default); with --system also hybrid, which weighs words against vectors, and graph, which"
        " weighs links: a few weights, fitted in seconds",
    )
    parser.add_argument(
        "--states", type=positive, default=2000, metavar="N", help="most questions of an epoch (default: 2000)"
    )
    add_tuning(parser, rank=16)


def run(parsed: argparse.Namespace) -> None:
    """Tune a re-ranker."""
    if parsed.system is not None and parsed.policy is not None:
        raise WrongUseError(f"--policy {parsed.policy} and --system {parsed.system} are both given: leave one out")
    if parsed.kind != "cross-encoder" and (parsed.system is None or len(parsed.index) > 1):
        raise WrongUseError(
            f"--kind {parsed.kind} re-ranks a fixed system over one index: give --system, and one --index"
        )
    set_threads(parsed.threads or os.cpu_count() or 1)
    _, sources = labelled(parsed, parsed.threads)
    with ProgressBar(parsed.quiet) as bar:
        figures = _tuned(parsed, sources, bar)
    print(f"{parsed.out}: {', '.join(f'{name} {value:.3f}' for name, value in figures.items())}")
    weights = [
        value
        for name, value in figures.items()
        if name in ("weight", "sparse", "dense", "named", "page_rank", "linked")
    ]
    if not any(weights):
        print("it does not pay on the questions held out: every ranking stays as it is")


def _tuned(parsed: argparse.Namespace, sources: list[TrainingSource], bar: ProgressBar) -> dict[str, float]:
    """Tune what is asked for; returns its figures."""
    from ..learning.reranker.fitting import tune_linear
    from ..learning.reranker.reranker_tuning import RerankerSettings, tune_reranker

    if parsed.kind != "cross-encoder":
        return tune_linear(
            sources[0],
            parsed.kind,
            parsed.out,
            system=parsed.system,
            seed=parsed.seed,
            warn=bar.warn,
            progress=bar.report,
        )
    return tune_reranker(
        sources,
        None if parsed.system is not None else policy_or_shipped(parsed.policy),
        parsed.out,
        system=parsed.system,
        settings=RerankerSettings(epochs=parsed.epochs, states=parsed.states, rank=parsed.rank),
        seed=parsed.seed,
        device=parsed.device,
        warn=bar.warn,
        progress=bar.report,
    )
