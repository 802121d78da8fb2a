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
    open_index,
    positive,
    set_threads,
)
from .sharded import add_asking, add_ray, add_replicas, open_shards, refuse, refuse_without_shards

if TYPE_CHECKING:
    from ..index._searchable import Searchable
    from ..index.index import Index


def add_search(subcommands: Any) -> None:
    """Add ``search`` to the command line."""
    parser = command_parser(
        subcommands,
        "search",
        _search,
        "answer a question from an index, with the passages that say so and how they were found",
        '  trailhound search w.index "Who is the mother of the director of Polish-Russian War?"\n'
        '  trailhound search w.index "..." --policy runs/w --json\n'
        '  trailhound search w.index "..." --path --picture path.svg\n'
        '  trailhound search w.index "..." --system hybrid --query-encoder runs/w-q\n'
        '  trailhound search w.index "..." --answer-with http://localhost:8000/v1#MODEL\n'
        '  trailhound search c.shards "..." --ask 0.25\n'
        '  trailhound search umls.index "alga isa" --policy runs/umls',
    )
    add_path(parser, "index", "INDEX")
    parser.add_argument("question", metavar="QUESTION")
    add_policy(parser)
    add_system(parser)
    about = "with --router, say which shards and docids it leads to"
    parser.add_argument("--explain-router", action="store_true", help=about)
    add_number(parser, "--limit", 5, "passages to show")
    about = "let a model write an answer from the passages, and check what it cites (OpenAI's chat completions)"
    parser.add_argument("--answer-with", metavar="URL#MODEL", help=about)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the result as JSON")
    form.add_argument("--context", type=positive, metavar="TOKENS", help="print a prompt context only")
    parser.add_argument("--path", action="store_true", help="show every step of the search, and why it was done")
    add_path(parser, "--picture", "FILE.svg", "draw the path as a picture")
    add_ray(parser, "search the shards of a sharded index as actors of the Ray cluster at ADDRESS, or auto, or local")
    add_replicas(parser, "with --ray: actors of each shard, of which a slow or lost one is not waited for")
    add_asking(parser)


def _search(parsed: argparse.Namespace) -> None:
    from ..agent._drawing import draw_svg
    from ..agent.search_agent import SearchAgent
    from ..retrievers._atomic_file import storing
    from ..retrievers._svg import printable_json, printable_lines
    from ..sharding._building import is_sharded
    from .result_page import print_result

    threads = parsed.threads or 1
    index: Searchable
    if is_sharded(parsed.index):
        refuse(parsed, ("router", "explain_router"))
        index = open_shards(parsed)
    else:
        refuse_without_shards(parsed)
        index = opened = open_index(parsed.index, threads, parsed.router, parsed.shard_mass)
        if parsed.explain_router:
            _explain_router(opened, parsed.question)
    agent = SearchAgent(
        index,
        parsed.policy,
        system=parsed.system,
        reranker=parsed.reranker,
        query_encoder=parsed.query_encoder,
        answer_with=parsed.answer_with,
        threads=threads,
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
    print_result(result, whole_path=parsed.path or index.facts is not None)  # over facts the walk is the reason


def _explain_router(index: Index, question: str) -> None:
    """Say in words where the router leads a question."""
    from ..retrievers._svg import printable

    if index.routing is None:
        raise WrongUseError("--explain-router needs a router to explain: give --router")
    for line in index.routing.explained(index.query(question)):
        print(printable(line))
    print()


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
    from ..agent._drawing import draw_path
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
