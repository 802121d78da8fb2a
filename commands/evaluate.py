"""``trailhound evaluate`` and ``explain-misses``: measuring a policy or a fixed system, and saying what it misses."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ..console import ProgressBar, print_rows, print_table
from ..retrievers._svg import printable
from .arguments import (
    LABELS,
    add_number,
    add_path,
    add_policy,
    add_questions,
    add_system,
    command_parser,
    open_searched,
    set_threads,
)
from .sharded import add_asking, add_ray, add_replicas, open_shards, refuse, refuse_without_shards

if TYPE_CHECKING:
    from ..index._searchable import Searchable
    from ..measuring.misses import Miss, MissReport


def add_evaluate(subcommands: Any) -> None:
    """Add ``evaluate`` to the command line."""
    parser = command_parser(
        subcommands,
        "evaluate",
        _evaluate,
        "measure a policy or a fixed system on labelled questions",
        "  trailhound evaluate --index w.index --questions data/w --split dev --policy runs/w --run-file w.trec\n"
        "  trailhound evaluate --index w.index --questions data/w --split dev --system hybrid --json hybrid.json\n"
        "  trailhound evaluate --index w.index --questions data/w --split dev --system dense --query-encoder runs/w-q\n"
        "  trailhound evaluate --index w.index --questions data/w --split dev --reranker runs/w-reranker\n"
        "  trailhound evaluate --index umls.index --questions data/kg/umls --split dev --policy runs/umls\n"
        f"{LABELS} A document is found with any of its passages.\nDIR/excluded.json, where it is there, says what"
        ' does not count for a question: {"q1": ["guide/index.md"]}.',
    )
    add_path(parser, "--index", "INDEX", required=True)
    add_questions(parser, "queries.jsonl and qrels/, a native file, or triples")
    add_policy(parser)
    add_system(parser)
    add_ray(parser, "ask the shards of a sharded index as actors of the Ray cluster at ADDRESS, or auto, or local")
    add_replicas(parser, "with --ray: actors of each shard")
    add_asking(parser)
    add_path(parser, "--run-file", "FILE", "write the rankings in TREC's format")
    add_path(parser, "--json", "FILE", "write the figures, and how each question went")
    add_path(parser, "--reliability", "FILE.svg", "draw how far its confidence can be trusted")


def _evaluate(parsed: argparse.Namespace) -> None:
    from ..measuring.evaluation import evaluate
    from ..sharding._building import is_sharded

    index: Searchable
    if is_sharded(parsed.index):
        set_threads(parsed.threads or 1)
        refuse(parsed, ("router",))
        index = open_shards(parsed)
    else:
        refuse_without_shards(parsed)
        index = open_searched(parsed)
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
    for note in evaluation.notes:
        print(f"  {printable(note)}")
    if "answer_f1" in evaluation.figures:
        exact, f1 = (100 * evaluation.figures[name] for name in ("answer_exact_match", "answer_f1"))
        stated, precision = (evaluation.figures.get(f"answer_stated{name}", 0.0) for name in ("", "_precision"))
        print(f"  answers: exact match {exact:.1f}, F1 {f1:.1f}")
        print(f"  stated: {100 * stated:.1f} % of the answers, {100 * precision:.1f} % of them right")
    for kind, figures in evaluation.by_type.items():
        share, count = 100 * figures["recall@5"], figures["questions"]
        print(f"  {printable(kind)}: recall@5 {share:.1f} over {count:.0f} questions")


def add_explain_misses(subcommands: Any) -> None:
    """Add ``explain-misses`` to the command line."""
    parser = command_parser(
        subcommands,
        "explain-misses",
        _explain_misses,
        "say at which stage each supporting passage that is not among the first five was lost, and each answer",
        "  trailhound explain-misses --index w.index --questions data/w --split dev\n"
        "  trailhound explain-misses --index w.index --questions data/w --split dev --policy runs/w --svg misses.svg\n"
        "  trailhound explain-misses --index w.index --questions data/w --split dev --json misses.json --examples 3",
    )
    add_path(parser, "--index", "INDEX", required=True)
    add_questions(parser, "queries.jsonl and qrels/, or a native file")
    add_policy(parser)
    add_path(parser, "--json", "FILE", "write every miss")
    add_path(parser, "--svg", "FILE", "draw the stages as bars")
    add_number(parser, "--examples", 2, "misses of each stage to tell of")


def _explain_misses(parsed: argparse.Namespace) -> None:
    from ..measuring.evaluation import check_folders
    from ..measuring.misses import explain_misses, write_misses
    from ..retrievers._atomic_file import write_json

    check_folders(parsed.json, parsed.svg)
    index = open_searched(parsed)
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
    _print_stages(report)
    for miss in report.examples(parsed.examples):
        print(_described(miss))


def _print_stages(report: MissReport) -> None:
    """Print a row for every cause of every stage."""
    passages = sum(bool(miss.passage) for miss in report.misses)
    total = len(report.misses)
    print(f"{printable(report.system)}: {report.questions} questions")
    print(f"  {passages} of {report.supporting} supporting passages are not among the first five")
    print(f"  {total - passages} of {report.judged_answers} answers are wrong though all the evidence is there")
    rows = [
        (stage, cause, str(count), f"{100 * count / total:.1f}" if total else "0.0")
        for stage, causes in report.counts().items()
        for cause, count in (causes or {"": 0}).items()
    ]
    print_rows(("stage", "cause"), ("count", "share"), [*rows, ("all", "", str(total), "100.0" if total else "0.0")])


def _described(miss: Miss) -> str:
    """Describe a miss in a few lines."""
    what = f"missing: “{miss.title}” ({miss.passage})" if miss.passage else f"the answer: {miss.title}"
    lines = (f"{miss.stage}, {miss.cause}: {miss.question}", f"  {what}", f"  {miss.happened}")
    return "\n" + "\n".join(printable(line) for line in lines)
