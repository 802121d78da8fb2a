"""``trailhound search``: one question, with its path."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import SYSTEMS, WrongUseError, add_query_encoder, add_reranker, add_router, command_parser, positive
from .opening import open_index, set_threads

if TYPE_CHECKING:
    from ..agent.search_agent import SearchResult


def add(subcommands: Any) -> None:
    """Add the command to the command line."""
    parser = command_parser(
        subcommands,
        "search",
        run,
        "search an index and show the path",
        '  trailhound search w.index "Who is the mother of the director of Polish-Russian War?"\n'
        '  trailhound search w.index "..." --policy runs/w --json\n'
        '  trailhound search w.index "..." --picture path.svg\n'
        '  trailhound search w.index "..." --system hybrid --query-encoder runs/w-q\n'
        '  trailhound search umls.index "alga isa" --policy runs/umls',
    )
    parser.add_argument("index", type=Path, metavar="INDEX")
    parser.add_argument("question", metavar="QUESTION")
    parser.add_argument("--policy", type=Path, default=None, metavar="RUN", help="default: the one that ships")
    parser.add_argument("--system", choices=SYSTEMS, default=None, help="default: policy")
    add_reranker(parser)
    add_query_encoder(parser)
    add_router(parser)
    parser.add_argument(
        "--explain-router", action="store_true", help="with --router, say which shards and docids it leads to"
    )
    parser.add_argument("--limit", type=positive, default=5, metavar="N", help="passages to show (default: 5)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the result as JSON")
    form.add_argument("--context", type=positive, default=None, metavar="TOKENS", help="print a prompt context only")
    parser.add_argument("--picture", type=Path, default=None, metavar="FILE.svg", help="draw the path as a picture")


def run(parsed: argparse.Namespace) -> None:
    """Search an index and show the path."""
    from ..agent.drawing import draw_path, draw_svg
    from ..agent.search_agent import SearchAgent
    from ..retrievers.atomic_file import storing
    from ..retrievers.svg import printable, printable_json, printable_lines

    set_threads(parsed.threads or 1)
    index = open_index(parsed.index, parsed.threads or 1, parsed.router, parsed.shard_mass)
    if parsed.explain_router:
        if index.routing is None:
            raise WrongUseError("--explain-router needs a router to explain: give --router")
        for line in index.routing.explained(index.query(parsed.question)):
            print(printable(line))
        print()
    agent = SearchAgent(
        index,
        parsed.policy,
        system=parsed.system,
        reranker=parsed.reranker,
        query_encoder=parsed.query_encoder,
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
