"""The tuners: ``trailhound tune``, ``tune-query``, ``tune-reranker``, ``tune-router`` and ``refresh``.

Lists of choices stand here again because the modules that own them import torch: too slow for a command line's help.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable
from typing import Any

from ..console import ProgressBar
from .arguments import (
    WrongUseError,
    add_device,
    add_number,
    add_out,
    add_path,
    add_questions,
    add_sources,
    check_questions,
    command_parser,
    count,
    labelled,
    open_index,
    set_threads,
    shown,
)

_OBJECTIVES = ("contrastive", "pairwise", "margin", "listwise", "listnet", "likelihood", "expected-loss")
_OPERATORS = ("softmax", "relaxed-top-k", "straight-through", "gumbel-top-k")
_FIXED = ("lexical", "dense", "late", "hybrid", "hops", "ppr")


def add_tune(subcommands: Any) -> None:
    """Add ``tune``: the hop encoder."""
    parser = command_parser(
        subcommands,
        "tune",
        _tune,
        "tune the encoder of queries that hold evidence, on labelled questions; indexes stay as they are",
        "  trailhound tune --index w.index --questions data/w --split train --out runs/w-hop\n"
        "  trailhound tune --index w.index --questions data/w --split train --objective listwise --out runs/w-hop2\n"
        "  trailhound tune --index a.index --questions a --index b.index --questions b --split train --out runs/hop",
    )
    add_sources(parser, required=True)
    about = "what it is trained for, of every state's ranking of the passages (default: contrastive)"
    parser.add_argument("--objective", choices=_OBJECTIVES, default="contrastive", help=about)
    parser.add_argument(
        "--hard-negatives",
        type=count,
        metavar="N",
        help="score a batch against its own passages and the N that each question is nearest to, found anew before"
        " every epoch; 0: its own alone (default: against every passage; of a corpus above 100,000: 64)",
    )
    add_number(parser, "--epochs", 4)
    add_number(parser, "--rank", 8, "of the change of the weights")
    add_device(parser)
    add_out(parser, "DIR", "folder of the result; goes on if interrupted")


def _tune(parsed: argparse.Namespace) -> None:
    from ..learning.queries.hop_encoder import TuningSettings, tune

    chosen = {name: getattr(parsed, name) for name in ("objective", "epochs", "rank", "hard_negatives")}
    _run_tuner(parsed, tune, TuningSettings(**chosen))


def add_tune_query(subcommands: Any) -> None:
    """Add ``tune-query``: queries, moved by a downstream loss alone."""
    parser = command_parser(
        subcommands,
        "tune-query",
        _tune_query,
        "tune how questions are asked by their answers alone: query encoder, memory of mentions and fusion; no passage"
        " need be labelled, and indexes stay as they are",
        "  trailhound tune-query --index w.index --questions data/w --split train --out runs/w-q\n"
        "  trailhound evaluate --index w.index --questions data/w --split dev --system dense --query-encoder runs/w-q\n"
        "  trailhound train --index w.index --questions data/w --split train --hop-encoder runs/w-q --out runs/w",
    )
    add_sources(parser, required=True)
    add_number(parser, "--epochs", 2)
    add_number(parser, "--rank", 8, "of the encoder's change; 0: none", count)
    add_number(parser, "--memory", 20, "passages a question reads first; 0: none", count)
    about = "how these passages are chosen and weighed, in a way that learning passes through (default: softmax)"
    parser.add_argument("--operator", choices=_OPERATORS, default="softmax", help=about)
    parser.add_argument(
        "--reader",
        metavar="READER",
        help="judges how likely a set of passages makes the answer: builtin, or a folder (default: holding the"
        " answer is all that counts)",
    )
    add_device(parser)
    add_out(parser, "DIR", "folder of the result; goes on if interrupted")


def _tune_query(parsed: argparse.Namespace) -> None:
    from ..learning.queries.downstream_tuning import DownstreamSettings, tune_query

    chosen = {name: getattr(parsed, name) for name in ("epochs", "rank", "memory", "operator", "reader")}
    _run_tuner(parsed, tune_query, DownstreamSettings(**chosen))


def _run_tuner(parsed: argparse.Namespace, tuner: Callable[..., dict[str, float]], settings: Any) -> None:
    """Run one of the tuners that learn from several indexes."""
    set_threads(parsed.threads or os.cpu_count() or 1)
    _, sources = labelled(parsed, parsed.threads)
    how: dict[str, Any] = {"settings": settings, "seed": parsed.seed, "device": parsed.device}
    with ProgressBar(parsed.quiet) as bar:
        figures = tuner(sources, parsed.out, **how, warn=bar.warn, progress=bar.report)
    print(f"{parsed.out}: {shown(figures)}")


def add_tune_reranker(subcommands: Any) -> None:
    """Add ``tune-reranker``: a re-ranker of what a fixed system finds."""
    parser = command_parser(
        subcommands,
        "tune-reranker",
        _tune_reranker,
        "fit a re-ranker of what a fixed system finds, on labelled questions: a few weights, fitted in seconds",
        "  trailhound tune-reranker --index w.index --questions data/w --split train --out runs/w-graph\n"
        "  trailhound evaluate --index w.index --questions data/w --split dev --system hybrid --reranker runs/w-graph",
    )
    add_path(parser, "--index", "INDEX", required=True)
    add_questions(parser, "queries.jsonl with qrels/")
    about = "whose results it re-ranks (default: hybrid)"
    parser.add_argument("--system", choices=_FIXED, default="hybrid", help=about)
    about = "graph (default), which weighs links and titles named, or hybrid, which weighs words against vectors"
    parser.add_argument("--kind", choices=("graph", "hybrid"), default="graph", help=about)
    add_out(parser, "DIR", "folder of the result")


def _tune_reranker(parsed: argparse.Namespace) -> None:
    from ..agent._reranking import NAMES
    from ..learning.reranker import tune_reranker
    from ..learning.training_questions import TrainingSource

    set_threads(parsed.threads or 1)
    source = TrainingSource(open_index(parsed.index, parsed.threads), parsed.questions, parsed.split)
    how: dict[str, Any] = {"system": parsed.system, "seed": parsed.seed}
    with ProgressBar(parsed.quiet) as bar:
        figures = tune_reranker(source, parsed.kind, parsed.out, **how, warn=bar.warn, progress=bar.report)
    print(f"{parsed.out}: {shown(figures)}")
    if not any(figures[name] for name in NAMES[parsed.kind][1:]):
        print("it does not pay on the questions held out: every ranking stays as it is")


def add_tune_router(subcommands: Any) -> None:
    """Add ``tune-router``: the router of an index."""
    parser = command_parser(
        subcommands,
        "tune-router",
        _tune_router,
        "train the router of an index: which shards to search for a question, and docids",
        "  trailhound tune-router --index w.index --questions data/w --split train --out runs/w-router\n"
        "  trailhound tune-router --index docs.index --shards 16 --out runs/docs-router\n"
        "Routers that are tuned apart, each on the index of its own passages, are joined by lying in one folder:\n"
        "  trailhound tune-router --index a.index --out runs/peers/a\n"
        "  trailhound tune-router --index b.index --out runs/peers/b\n"
        "  trailhound index a b --out both.index\n"
        '  trailhound search both.index "Who ...?" --router runs/peers',
    )
    add_path(parser, "--index", "INDEX", required=True)
    about = "queries.jsonl with qrels/, or a native file (default: learn from pairs made of the passages alone)"
    add_questions(parser, about, required=False)
    add_number(parser, "--shards", 8)
    add_number(parser, "--made", 2000, "pairs made of the passages")
    about = "weight of how far the shards are from being asked in proportion to their sizes (default: 0.02)"
    parser.add_argument("--balance", type=_weight, default=0.02, metavar="W", help=about)
    add_out(parser, "RUN", "folder of the router; goes on if interrupted")


def _weight(text: str) -> float:
    """Read a weight, 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number from 0 on, not {text!r}")
    return value


def _tune_router(parsed: argparse.Namespace) -> None:
    from ..learning.router.router_tuning import RouterTuning, tune_router

    check_questions(parsed)
    set_threads(parsed.threads or 1)
    index = open_index(parsed.index, parsed.threads)
    tuning = RouterTuning(parsed.shards, parsed.made, parsed.balance, parsed.seed)
    learned_from: dict[str, Any] = {"questions": parsed.questions, "split": parsed.split}
    with ProgressBar(parsed.quiet) as bar:
        figures = tune_router(index, parsed.out, tuning, **learned_from, warn=bar.warn, progress=bar.report)
    print(f"{parsed.out}: {shown(figures)} on held-out pairs")


def add_refresh(subcommands: Any) -> None:
    """Add ``refresh``: a router learns what came into its index."""
    parser = command_parser(
        subcommands,
        "refresh",
        _refresh,
        "teach a router what came into its index since it was tuned, without forgetting the rest",
        "  trailhound refresh w.index --router runs/w-router --out runs/w-router-2\n"
        "  trailhound refresh w.index --router runs/w-router --questions data/w --split train --out runs/w-router-2\n"
        "Passages that stayed keep their docids and shards. Compact the index first (trailhound compact).",
    )
    add_path(parser, "index", "INDEX")
    add_path(parser, "--router", "RUN", "that `trailhound tune-router` made", required=True)
    add_questions(parser, "labelled questions, if there are", required=False)
    add_number(parser, "--made", 2000, "most pairs made of new passages")
    add_out(parser, "RUN", "folder of the new router")


def _refresh(parsed: argparse.Namespace) -> None:
    from ..learning.router.router_tuning import labelled_of, refresh_router

    check_questions(parsed)
    if parsed.out.resolve() == parsed.router.resolve():
        raise WrongUseError("--out is the router that is refreshed: name another folder, it stays as it is")
    set_threads(parsed.threads or 1)
    index = open_index(parsed.index, parsed.threads)
    with ProgressBar(parsed.quiet) as bar:
        pairs = labelled_of(index, parsed.questions, parsed.split, bar.warn) if parsed.questions is not None else []
        figures = refresh_router(index, parsed.router, parsed.out, pairs, parsed.made, parsed.seed, bar.report)
    print(f"{parsed.out}: {shown(figures)} on held-out pairs")
