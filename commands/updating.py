"""``trailhound update`` and ``compact``: an index follows its corpus."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..console import ProgressBar
from ..errors import QuestionsError
from ..retrievers._svg import printable
from .arguments import (
    WrongUseError,
    add_lock_timeout,
    add_mask_patterns,
    add_path,
    command_parser,
    going_on,
    mask_patterns,
    open_index,
)
from .sharded import add_ray, open_shards, refuse

if TYPE_CHECKING:
    from ..index._drift import Drift
    from ..index.index import Index
    from ..index.updates import SyncReport, UpdateReport

_NAMED = 3
"""Passages that are named of those that came back."""


def add_update(subcommands: Any) -> None:
    """Add ``update`` to the command line."""
    parser = command_parser(
        subcommands,
        "update",
        _update,
        "add documents to an index, replace or delete them, or keep a folder in step; searches see it at once",
        "  trailhound update my-docs.index my-docs/ --sync\n"
        "  trailhound update my-docs.index my-docs/guide --sync --dry-run\n"
        "  trailhound update my-docs.index new-docs/\n"
        "  trailhound update my-docs.index my-docs/changed.md --replace\n"
        "  trailhound update my-docs.index --delete old.md 2019/notes.txt\n"
        "  trailhound update my-docs.index new-docs/ --questions asked-last-week.txt\n"
        "  trailhound update my-docs.index --delete-never-retrieved last-month.trec\n"
        "The id of a file is its path from the folder that was indexed; the JSON of `trailhound search` tells every"
        " document_id.",
    )
    add_path(parser, "index", "INDEX")
    add_path(parser, "corpus", "CORPUS", "what `trailhound index` reads", nargs="*")
    about = "add what is new in CORPUS, replace what changed, delete what is gone; below a sub-folder only its own"
    parser.add_argument("--sync", action="store_true", help=about)
    about = "with --sync, only list what would be added (+), replaced (~) and deleted (-)"
    parser.add_argument("--dry-run", action="store_true", help=about)
    about = "documents take the place of others of their id; those that are the same stay as they are"
    parser.add_argument("--replace", action="store_true", help=about)
    about = "documents to delete, before any are added: ids, or paths of their files"
    parser.add_argument("--delete", nargs="+", default=[], metavar="ID", help=about)
    about = "delete the documents that none of these run files (`trailhound evaluate --run-file`) found anything of"
    add_path(parser, "--delete-never-retrieved", "RUN.trec", about, nargs="+", default=[])
    add_path(parser, "--questions", "FILE", "recent questions, one a line, to measure drift by")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_ray(parser, "change the shards of a sharded index by actors of the Ray cluster at ADDRESS, or auto, or local")
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
    from ..sharding._building import is_sharded

    _check_use(parsed)
    if is_sharded(parsed.index):
        _update_shards(parsed)
        return
    if parsed.ray is not None:
        raise WrongUseError(f"--ray changes a sharded index, and {parsed.index} is none: leave it out")
    questions = [] if parsed.questions is None else _question_lines(parsed.questions)
    patterns = mask_patterns(parsed)
    index = open_index(parsed.index, parsed.threads, lock_timeout=parsed.lock_timeout)
    with ProgressBar(parsed.quiet) as bar, going_on(index.path):
        given: dict[str, Any] = {"mask_patterns": patterns, "warn": bar.warn, "progress": bar.report}
        if parsed.sync:
            synced = index.sync(parsed.corpus, dry_run=parsed.dry_run, **given)
        else:
            updated = index.change(parsed.corpus, delete=_gone(index, parsed), replace=parsed.replace, **given)
    asked = [line for line in questions if line.strip()]
    _print(parsed, synced if parsed.sync else updated, lambda: measure_drift(index, asked))


def _update_shards(parsed: argparse.Namespace) -> None:
    """Change a sharded index and say what was done."""
    refuse(parsed, ("questions", "delete_never_retrieved", "mask_pattern"))
    with ProgressBar(parsed.quiet) as bar, open_shards(parsed, parsed.lock_timeout) as index:
        given: dict[str, Any] = {"warn": bar.warn, "progress": bar.report}
        if parsed.sync:
            report: SyncReport | UpdateReport = index.sync(parsed.corpus, dry_run=parsed.dry_run, **given)
        else:
            gone = list(map(index.id_of, parsed.delete))
            report = index.change(parsed.corpus, delete=gone, replace=parsed.replace, **given)
    _print(parsed, report)


def _print(
    parsed: argparse.Namespace, report: SyncReport | UpdateReport, drift: Callable[[], Drift] | None = None
) -> None:
    """Say what was done."""
    from ..index.updates import SyncReport

    if parsed.json:
        print(json.dumps(report.to_json(), ensure_ascii=False))
        return
    if isinstance(report, SyncReport):
        for line in _sync_lines(parsed.index, report):
            print(printable(line))
        if report.update is None or not (report.added or report.replaced or report.deleted):
            return
        report = report.update
    for line in _lines(parsed.index, report, drift):
        print(line)


def _check_use(parsed: argparse.Namespace) -> None:
    """Refuse what contradicts itself."""
    deletes = parsed.delete or parsed.delete_never_retrieved
    if not parsed.corpus and not deletes:
        raise WrongUseError("nothing to do: name a CORPUS to add, or documents to --delete")
    if parsed.sync and (deletes or parsed.replace or not parsed.corpus):
        raise WrongUseError("--sync adds, replaces and deletes by itself: give CORPUS, no --replace and no --delete")
    if parsed.dry_run and not parsed.sync:
        raise WrongUseError("--dry-run lists what --sync would do: give both")


def _gone(index: Index, parsed: argparse.Namespace) -> list[str]:
    """Return the ids of the documents that are to be deleted."""
    from ..measuring._metrics import documents_never_retrieved

    gone = [index.id_of(given) for given in parsed.delete]
    if parsed.delete_never_retrieved:
        gone += documents_never_retrieved(index, parsed.delete_never_retrieved)
    return list(dict.fromkeys(gone))


def _sync_lines(place: Path, report: SyncReport) -> Iterator[str]:
    """Say what was done to bring an index in step, or list what would be."""
    if report.dry_run:
        for sign, names in (("+", report.added), ("~", report.replaced), ("-", report.deleted)):
            yield from (f"{sign} {name}" for name in names)
    if report.moved is not None:
        yield f"{place}: the folder was {report.moved[0]} and is {report.moved[1]} from now on"
    for name in report.emptied:
        yield f"{name} has no text any more: it {'would be' if report.dry_run else 'was'} deleted from the index"
    if report.unread:
        first = next(iter(report.unread))
        yield f"{len(report.unread):,} could not be read, such as {first}: what the index holds of them stays"
    counts = [(len(report.added), "added"), (len(report.replaced), "replaced"), (len(report.deleted), "deleted")]
    done = ", ".join(f"{count:,} {name}" for count, name in counts if count)
    if report.dry_run:
        yield f"{place}: would be {done or 'left as it is'}; {report.unchanged:,} unchanged"
    elif not done:
        yield f"{place}: nothing to do; {report.unchanged:,} unchanged"


def _lines(place: Path, report: UpdateReport, measured: Callable[[], Drift] | None) -> Iterator[str]:
    """Say what was done, how long it took to be searchable, and what to do next."""
    counts = [(getattr(report, name), name) for name in ("added", "replaced", "deleted", "unchanged")]
    done = ", ".join(f"{count:,} {name}" for count, name in counts if count) or "nothing to add"
    yield f"{place}: documents: {done}; {report.passages:,} new passages"
    if report.dropped:
        yield f"{len(report.dropped):,} passages repeat another and were left out"
    if report.restored:
        more = f" and {len(report.restored) - _NAMED:,} more" if len(report.restored) > _NAMED else ""
        yield (
            f"{len(report.restored):,} passages came back that had been left out because they repeat one that is gone"
            f" now: {', '.join(report.restored[:_NAMED])}{more}"
        )
    if report.missing:
        count = len(report.missing)
        yield f"{count:,} documents stay whose files are gone, such as {report.missing[0]}: --sync deletes them"
    if not (report.added or report.replaced or report.deleted):
        return
    yield f"searchable after {report.milliseconds:,.0f} ms"
    if measured is not None:
        yield from _drift_lines(measured())
    if report.advice is not None:
        yield report.advice


def _drift_lines(drift: Drift) -> Iterator[str]:
    moved = {
        "unknown terms": drift.unknown_terms,
        "centroid shift": drift.centroid_shift,
        "outlying passages": drift.outlying,
        "unknown terms in questions": drift.question_unknown_terms,
        "unseen passages in their results": drift.unseen,
    }
    figures = ", ".join(f"{name} {value:.2f}" for name, value in moved.items() if value is not None)
    yield f"drift since the base was built (0 to 1): {figures}"


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
    with ProgressBar(parsed.quiet) as bar, going_on(index.path):
        folded = index.compact(progress=bar.report)
    if not folded:
        print(f"{parsed.index}: no changes to fold in")
        return
    links = len(index.graph.edges)
    print(f"{parsed.index}: {index.store.documents:,} documents, {len(index):,} passages, {links:,} links")
