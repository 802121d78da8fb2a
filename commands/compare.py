"""``trailhound compare``: two systems on the same questions, and whether chance could be behind it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..console import print_rows
from ..retrievers._svg import printable, printable_json
from .arguments import add_number, add_path, add_questions, check_questions, command_parser, count

if TYPE_CHECKING:
    from ..measuring.comparison import Comparison, Difference


def add_compare(subcommands: Any) -> None:
    """Add ``compare`` to the command line."""
    parser = command_parser(
        subcommands,
        "compare",
        _run,
        "compare the results of two systems on the same questions, with tests of significance",
        "  trailhound compare hybrid.json policy.json\n"
        "  trailhound compare hybrid.json policy.json --metric recall@5 --metric calls --json\n"
        "  trailhound compare bm25.trec policy.trec --questions data/w --split dev\n"
        "A and B are what `trailhound evaluate` writes: its JSON, or a run file in TREC's format.",
    )
    add_path(parser, "first", "A")
    add_path(parser, "second", "B")
    about = "of every question, may be repeated (default: nDCG@10, recall@5, all_recall@5 and MRR)"
    parser.add_argument("--metric", action="append", default=[], metavar="NAME", help=about)
    add_questions(parser, "labels, for run files", required=False)
    add_number(parser, "--resamples", 10_000, "of test and intervals")
    add_number(parser, "--seed", 0, kind=count)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _run(parsed: argparse.Namespace) -> None:
    from ..measuring.comparison import compare

    check_questions(parsed)
    comparison = compare(
        parsed.first,
        parsed.second,
        metrics=parsed.metric,
        questions=parsed.questions,
        split=parsed.split,
        resamples=parsed.resamples,
        seed=parsed.seed,
    )
    if parsed.json:
        print(printable_json(comparison.to_json()))
    else:
        _print(comparison)


def _print(comparison: Comparison) -> None:
    """Print the means, how far they are apart, and what chance has to do with it."""
    print(f"A: {printable(comparison.first)}")
    print(f"B: {printable(comparison.second)}")
    print(f"{comparison.questions} questions")
    _table(comparison.overall, ("metric",))
    if comparison.by_type:
        _table(comparison.by_type, ("metric", "type"))
    exact = any(one.exact for one in (*comparison.overall, *comparison.by_type))
    drawn = f"{comparison.resamples:,} resamples, seed {comparison.seed}"
    print(f"p: paired randomisation test, two-sided, {drawn}{'; = where every case was counted' if exact else ''}")
    print("95 %: interval of the difference, by paired bootstrap over the questions")
    print(f"p (Holm): corrected for all {len(comparison.overall)} p-values of the first table", end="")
    print(f", and all {len(comparison.by_type)} of the second" if comparison.by_type else "")
    print("better, equal, worse: questions on which B is better than A, as good, or worse")


def _table(differences: Sequence[Difference], words: Sequence[str]) -> None:
    figures = ["A", "B", "B - A", "95 %", "p", "p (Holm)", "better", "equal", "worse"]
    if "type" in words:
        figures.insert(0, "questions")
    rows = []
    for one in differences:
        cells = [one.metric] if one.type is None else [one.metric, printable(one.type), str(one.questions)]
        cells += [f"{one.first:.4f}", f"{one.second:.4f}", f"{one.difference:+.4f}"]
        cells += [f"{one.low:+.4f} to {one.high:+.4f}", f"{'=' * one.exact}{_p(one.p)}", _p(one.p_corrected)]
        rows.append([*cells, str(one.better), str(one.equal), str(one.worse)])
    print_rows(words, figures, rows)


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.00005 else f"{value:.0e}"
