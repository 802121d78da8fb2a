"""``trailhound update`` and ``compact``: an index follows its corpus."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..console import ProgressBar
from ..errors import QuestionsError
from .arguments import (
    WrongUseError,
    add_lock_timeout,
    add_mask_patterns,
    add_path,
    command_parser,
    mask_patterns,
    open_index,
)

if TYPE_CHECKING:
    from ..index._drift import Drift
    from ..index.updates import UpdateReport

_AT_ONCE = 1000
"""Documents that become searchable together: a bound on memory and on what a kill undoes."""

_NAMED = 3
"""Passages that are named of those that came back."""


def add_update(subcommands: Any) -> None:
    """Add ``update`` to the command line."""
    parser = command_parser(
        subcommands,
        "update",
        _update,
        "add documents to an index, replace or delete them; they are searched from the next query on",
        "  trailhound update my-docs.index new-docs/\n"
        "  trailhound update my-docs.index changed.md --replace\n"
        "  trailhound update my-docs.index --delete old.md 2019/notes.txt\n"
        "  trailhound update my-docs.index new-docs/ --questions asked-last-week.txt\n"
        "  trailhound update my-docs.index --delete-never-retrieved last-month.trec\n"
        "The id of a file is its path below CORPUS; the JSON of `trailhound search` tells every document_id.",
    )
    add_path(parser, "index", "INDEX")
    add_path(parser, "corpus", "CORPUS", "what `trailhound index` reads", nargs="*")
    parser.add_argument("--replace", action="store_true", help="documents take the place of others of their id")
    about = "documents to delete, before any are added"
    parser.add_argument("--delete", nargs="+", default=[], metavar="ID", help=about)
    about = "delete the documents that none of these run files (`trailhound evaluate --run-file`) found anything of"
    add_path(parser, "--delete-never-retrieved", "RUN.trec", about, nargs="+", default=[])
    add_path(parser, "--questions", "FILE", "recent questions, one a line, to measure drift by")
    add_lock_timeout(parser)
    add_mask_patterns(
        parser, "the patterns that the index was built with, every one again: it does not store them; may be repeated"
    )


def _question_lines(path: Path) -> list[str]:
    """Return the lines of a file of questions."""
    from ..retrievers.corpus._json_records import decode, read_file

    return decode(read_file(path, QuestionsError), path, QuestionsError).splitlines()


def _update(parsed: argparse.Namespace) -> None:
    from ..index._drift import measure_drift
    from ..measuring._metrics import documents_never_retrieved
    from ..retrievers.corpus._loading import CorpusReader

    if not parsed.corpus and not parsed.delete and not parsed.delete_never_retrieved:
        raise WrongUseError("nothing to do: name a CORPUS to add, or documents to --delete")
    questions = [] if parsed.questions is None else _question_lines(parsed.questions)
    patterns = mask_patterns(parsed)
    index = open_index(parsed.index, parsed.threads, lock_timeout=parsed.lock_timeout)
    reports = []
    with ProgressBar(parsed.quiet) as bar:
        gone = list(parsed.delete)
        if parsed.delete_never_retrieved:
            found_nothing_of = documents_never_retrieved(index, parsed.delete_never_retrieved)
            gone += [document for document in found_nothing_of if document not in parsed.delete]
        if gone:
            reports.append(index.delete(gone, progress=bar.report))
        done = 0
        rest = iter(CorpusReader(parsed.corpus, bar.warn) if parsed.corpus else ())
        while documents := list(islice(rest, _AT_ONCE)):
            reports.append(index.add(documents, parsed.replace, mask_patterns=patterns, progress=bar.report))
            done += len(documents)
            bar.report("adding documents", done, 0)
    for line in _lines(parsed.index, reports, measure_drift(index, [line for line in questions if line.strip()])):
        print(line)


def _lines(place: Path, reports: list[UpdateReport], drift: Drift) -> Iterator[str]:
    """Say what was done, how long it took to be searchable, and what to do next."""
    names = ("added", "replaced", "deleted")
    counts = {name: sum(getattr(report, name) for report in reports) for name in names}
    done = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "nothing to add"
    passages = sum(report.passages for report in reports)
    yield f"{place}: documents: {done}; {passages:,} new passages"
    left_out = sum(len(report.dropped) for report in reports)
    if left_out:
        yield f"{left_out:,} passages repeat another and were left out"
    restored = [identifier for report in reports for identifier in report.restored]
    if restored:
        more = f" and {len(restored) - _NAMED:,} more" if len(restored) > _NAMED else ""
        yield (
            f"{len(restored):,} passages came back that had been left out because they repeat one that is gone now:"
            f" {', '.join(restored[:_NAMED])}{more}"
        )
    times = [report.milliseconds for report in reports]
    if len(times) == 1:
        yield f"searchable after {times[0]:,.0f} ms"
    elif times:
        yield f"searchable in {len(times)} steps, each within {max(times):,.0f} ms, all after {sum(times):,.0f} ms"
    moved = {
        "unknown terms": drift.unknown_terms,
        "centroid shift": drift.centroid_shift,
        "outlying passages": drift.outlying,
        "unknown terms in questions": drift.question_unknown_terms,
        "unseen passages in their results": drift.unseen,
    }
    figures = ", ".join(f"{name} {value:.2f}" for name, value in moved.items() if value is not None)
    yield f"drift since the base was built (0 to 1): {figures}"
    if reports and reports[-1].advice is not None:
        yield reports[-1].advice


def add_compact(subcommands: Any) -> None:
    """Add ``compact`` to the command line."""
    parser = command_parser(
        subcommands,
        "compact",
        _compact,
        "fold what `trailhound update` changed into the index, which makes searches faster",
        "  trailhound compact my-docs.index",
    )
    add_path(parser, "index", "INDEX")
    add_lock_timeout(parser)


def _compact(parsed: argparse.Namespace) -> None:
    index = open_index(parsed.index, parsed.threads, lock_timeout=parsed.lock_timeout)
    with ProgressBar(parsed.quiet) as bar:
        folded = index.compact(progress=bar.report)
    if not folded:
        print(f"{parsed.index}: no changes to fold in")
        return
    links = len(index.graph.edges)
    print(f"{parsed.index}: {index.store.documents:,} documents, {len(index):,} passages, {links:,} links")
