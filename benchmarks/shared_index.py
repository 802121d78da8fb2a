"""Threads and processes search one index while others write to it: is anything stale, torn or refused?

python benchmarks/shared_index.py --seconds 90 --json shared.json

Two writers replace a pair of twins each, again and again: both documents of a pair always carry one number. A writer
says a number in a shared file once the change was acknowledged. Every search notes the number that was acknowledged
before it began, and must find both twins with one number that is not smaller.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from kill_index import HashedWords
from trailhound import Document, Index
from trailhound.retrievers.records import Query


def twins(pair: int, number: int) -> list[Document]:
    """Return both documents of a pair with a number."""
    return [Document(f"{pair}{name}", f"Twin {name}", f"pair{pair} has {number} gates") for name in "ab"]


def write(place: Path, pair: int, until: float) -> None:
    """Replace a pair until it is time."""
    index, number = Index.open(place, encoder=HashedWords()), 0
    while time.time() < until:
        number += 1
        index.add(twins(pair, number), replace=True)
        told = place.parent / f"told-{pair}"
        told.with_suffix(".new").write_text(str(number))
        told.with_suffix(".new").replace(told)


def search(place: Path, index: Index, until: float, counts: Counter[str]) -> None:
    """Search until it is time, and count what was wrong."""
    while time.time() < until:
        pair = counts["searches"] % 2
        counts["searches"] += 1
        acknowledged = int((place.parent / f"told-{pair}").read_text())
        try:
            index.refresh()
            with index.snapshot():
                rows = index.lexical.search(Query(f"pair{pair} gates"), 2).rows.tolist()
                numbers = {int(passage.text.split()[2]) for passage in index.store.passages(rows)}
            counts["torn"] += len(rows) != 2 or len(numbers) != 1
            counts["stale"] += min(numbers) < acknowledged
        except Exception as error:
            counts["errors"] += 1
            print(f"error: {error!r}", file=sys.stderr)


def search_alone(place: Path, until: float, found: multiprocessing.Queue[Counter[str]]) -> None:
    """Search in a process of its own."""
    counts: Counter[str] = Counter()
    search(place, Index.open(place, encoder=HashedWords()), until, counts)
    found.put(counts)


def main() -> None:
    """Run everything at once; exits with 1 when something was stale, torn or refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parsed = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="trailhound-shared-") as folder:
        place = Path(folder) / "x.index"
        others = [Document(f"o{number}", f"Note {number}", f"note {number} of a mill") for number in range(500)]
        Index.build([*others, *twins(0, 0), *twins(1, 0)], place, encoder=HashedWords())
        for pair in (0, 1):
            (place.parent / f"told-{pair}").write_text("0")
        until = time.time() + parsed.seconds
        found: multiprocessing.Queue[Counter[str]] = context.Queue()
        workers = [context.Process(target=write, args=(place, pair, until)) for pair in (0, 1)]
        workers += [context.Process(target=search_alone, args=(place, until, found)) for _ in range(4)]
        for worker in workers:
            worker.start()
        index = Index.open(place, encoder=HashedWords())
        mine: list[Counter[str]] = [Counter() for _ in range(8)]
        threads = [threading.Thread(target=search, args=(place, index, until, counts)) for counts in mine]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        total = sum([*mine, *(found.get() for _ in range(4))], Counter())
        for worker in workers:
            worker.join()
        writes = sum(int((place.parent / f"told-{pair}").read_text()) for pair in (0, 1))
    figures: dict[str, object] = {name: total[name] for name in ("searches", "stale", "torn", "errors")}
    figures |= {"changes": writes, "seconds": parsed.seconds, "machine": platform.platform()}
    for name, value in figures.items():
        print(f"{name:<20}{value}")
    if parsed.json is not None:
        parsed.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    raise SystemExit(bool(total["stale"] or total["torn"] or total["errors"]) or any(w.exitcode for w in workers))


if __name__ == "__main__":
    main()
