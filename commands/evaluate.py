"""``trailhound evaluate``: measuring a policy or a fixed system."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..console import ProgressBar, print_table
from ..retrievers.svg import printable
from .arguments import SYSTEMS, add_query_encoder, add_reranker, add_router, command_parser
from .opening import open_index, set_threads


def add(subcommands: Any) -> None:
    """Add the command to the command line."""
    parser = command_parser(
        subcommands,
        "evaluate",
        run,
        "measure a policy or a fixed system on labelled questions",
        "  trailhound evaluate --index w.index --questions data/w --split dev --policy runs/w --run-file w.trec\n"
        "  trailhound evaluate --index w.index --questions data/w --split dev --system hybrid --json hybrid.json\n"
        "  trailhound evaluate --index w.index --questions data/w --split dev --system dense --query-encoder runs/w-q\n"
        "  trailhound evaluate --index w.index --questions data/w --split dev --reranker runs/w-reranker\n"
        "  trailhound evaluate --index umls.index --questions data/kg/umls --split dev --policy runs/umls",
    )
    parser.add_argument("--index", type=Path, required=True, metavar="INDEX")
    parser.add_argument(
        "--questions",
        type=Path,
        required=True,
        metavar="DIR",
        help="queries.jsonl and qrels/, a native file, or triples",
    )
    parser.add_argument("--split", required=True, metavar="SPLIT")
    parser.add_argument("--policy", type=Path, default=None, metavar="RUN", help="default: the one that ships")
    parser.add_argument("--system", choices=SYSTEMS, default=None, help="default: policy")
    add_reranker(parser)
    add_router(parser)
    add_query_encoder(parser)
    parser.add_argument(
        "--run-file", type=Path, default=None, metavar="FILE", help="write the rankings in TREC's format"
    )
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write the figures as one flat object")
    parser.add_argument(
        "--reliability", type=Path, default=None, metavar="FILE.svg", help="draw how far its confidence can be trusted"
    )


def run(parsed: argparse.Namespace) -> None:
    """Measure a system."""
    from ..measuring.evaluation import evaluate

    set_threads(parsed.threads or 1)
    index = open_index(parsed.index, parsed.threads or 1, parsed.router, parsed.shard_mass)
    with ProgressBar(parsed.quiet) as bar:
        evaluation = evaluate(
            index,
            parsed.questions,
            parsed.split,
            policy=parsed.policy,
            system=parsed.system,
            reranker=parsed.reranker,
            query_encoder=parsed.query_encoder,
            run_file=parsed.run_file,
            json_file=parsed.json,
            reliability_file=parsed.reliability,
            warn=bar.warn,
            progress=bar.report,
        )
    print_table([evaluation])
    if "answer_f1" in evaluation.figures:
        exact, f1 = (100 * evaluation.figures[name] for name in ("answer_exact_match", "answer_f1"))
        print(f"  answers: exact match {exact:.1f}, F1 {f1:.1f}")
    for kind, figures in evaluation.by_type.items():
        share, count = 100 * figures["recall@5"], figures["questions"]
        print(f"  {printable(kind)}: recall@5 {share:.1f} over {count:.0f} questions")
