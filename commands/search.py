"""``trailhound search``: one question, with its path; and ``demo``: the main job once, on an invented corpus."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..console import ProgressBar, print_table
from .arguments import (
    WrongUseError,
    add_number,
    add_path,
    add_policy,
    add_system,
    command_parser,
    open_searched,
    positive,
    set_threads,
)

if TYPE_CHECKING:
    from ..agent.search_agent import SearchResult


def add_search(subcommands: Any) -> None:
    """Add ``search`` to the command line."""
    parser = command_parser(
        subcommands,
        "search",
        _search,
        "search an index and show the path",
        '  trailhound search w.index "Who is the mother of the director of Polish-Russian War?"\n'
        '  trailhound search w.index "..." --policy runs/w --json\n'
        '  trailhound search w.index "..." --picture path.svg\n'
        '  trailhound search w.index "..." --system hybrid --query-encoder runs/w-q\n'
        '  trailhound search umls.index "alga isa" --policy runs/umls',
    )
    add_path(parser, "index", "INDEX")
    parser.add_argument("question", metavar="QUESTION")
    add_policy(parser)
    add_system(parser)
    about = "with --router, say which shards and docids it leads to"
    parser.add_argument("--explain-router", action="store_true", help=about)
    add_number(parser, "--limit", 5, "passages to show")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the result as JSON")
    form.add_argument("--context", type=positive, metavar="TOKENS", help="print a prompt context only")
    add_path(parser, "--picture", "FILE.svg", "draw the path as a picture")


def _search(parsed: argparse.Namespace) -> None:
    from ..agent.search_agent import SearchAgent, draw_path, draw_svg
    from ..retrievers._atomic_file import storing
    from ..retrievers._svg import printable, printable_json, printable_lines

    index = open_searched(parsed)
    if parsed.explain_router:
        if index.routing is None:
            raise WrongUseError("--explain-router needs a router to explain: give --router")
        for line in index.routing.explained(index.query(parsed.question)):
            print(printable(line))
        print()
    agent = SearchAgent(
        index, parsed.policy, system=parsed.system, reranker=parsed.reranker, query_encoder=parsed.query_encoder
    )
    result = agent.search(parsed.question, parsed.limit)
    if parsed.picture is not None:
        with storing(parsed.picture):
            parsed.picture.write_text(draw_svg(result), "utf-8")
    if parsed.json:
        lacking = (sys.stdout.encoding or "").lower() != "utf-8"  # letters that it lacks would become "?"
        print(printable_json(result.to_json(), ascii_only=lacking))
        return
    if parsed.context is not None:
        print(printable_lines(result.context(parsed.context)))
        return
    print(draw_path(result))
    print()
    if result.answer is not None:
        print(printable(_answer_line(result)))
        print()
    for evidence in result.evidence:
        passage, sentence = evidence.passage, evidence.sentence
        mark = "✓" if evidence.taken else " "
        place = f"{passage.source}, {passage.start}-{passage.end}"
        print(printable(f"{mark} [{evidence.rank}] {passage.title or passage.id}  ({place})"))
        print(f"      {printable(_shortened(passage.text))}")
        if sentence is not None:
            shown = _shortened(passage.text[sentence.start : sentence.end])
            print(printable(f"      above all: {shown} ({sentence.document_start}-{sentence.document_end})"))
    print(f"\nanswered by the {printable(result.answered_by)} in {result.milliseconds:.0f} ms, {result.calls} calls")
    if result.confidence is not None:
        print(f"confidence that the evidence is complete: {result.confidence:.2f}")


def _answer_line(result: SearchResult) -> str:
    """Say the answer, how sure the reader is, and where it stands."""
    answer = result.answer
    assert answer is not None
    line = f"answer: {answer.text} ({answer.probability:.2f})"
    found = [evidence for evidence in result.evidence if evidence.passage.id == answer.passage]
    if not found:
        return line
    passage = found[0].passage
    place = f"{passage.start + answer.start}-{passage.start + answer.end}"
    return f"{line}, read in [{found[0].rank}] {passage.title or passage.id} ({passage.source}, {place})"


def _shortened(text: str, width: int = 160) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def add_demo(subcommands: Any) -> None:
    """Add ``demo`` to the command line."""
    parser = command_parser(
        subcommands,
        "demo",
        _demo,
        "run the whole main job once, on a corpus that the program makes itself",
        "  trailhound demo\n  trailhound demo --articles 5000 --out /tmp/demo",
    )
    add_path(parser, "--out", "DIR", "keep everything here (default: runs/demo)")
    add_number(parser, "--articles", 1000)
    add_number(parser, "--questions", 500)
    add_number(parser, "--seed", 0, kind=int)


def _demo(parsed: argparse.Namespace) -> None:
    from ..agent.search_agent import draw_path
    from ..demo._run import run_demo

    set_threads(parsed.threads or 1)
    folder = parsed.out or Path("runs") / "demo"
    with ProgressBar(parsed.quiet) as bar:
        made = {"articles": parsed.articles, "questions": parsed.questions, "seed": parsed.seed}
        report = run_demo(folder, **made, progress=bar.report)
    print(f"{report.passages:,} invented articles, a policy trained in {report.training.seconds:.0f} s: {folder}\n")
    print_table(report.evaluations)
    print("\nA search of the policy:\n")
    print(draw_path(report.example))
    print(
        "\nNow your own documents:\n"
        "  trailhound index my-docs/ --out my-docs.index\n"
        '  trailhound search my-docs.index "your question"'
    )
