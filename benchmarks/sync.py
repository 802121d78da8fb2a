"""How long it takes to bring an index in step with a folder of which nothing changed, or little.

python benchmarks/sync.py --files 10000 --json sync.json

The command is started anew each time, as a user would, so that the start of Python is in the figures. Of a folder that
did not change no file of the index may be written: their numbers and times are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

LIMIT_S = 5.0


def write_notes(folder: Path, count: int) -> None:
    """Write as many small files, a hundred to a folder."""
    for number in range(count):
        path = folder / f"part-{number // 100}" / f"note-{number}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        place = f"bridge {number * 37 % 1009} of town {number % 91}"
        path.write_text(f"# Note {number}\n\nThe {place} was built in {1200 + number % 800} and burned down twice.\n")


def files_of(index: Path) -> dict[str, tuple[int, int]]:
    """Return number and time of change of every file and folder."""
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in [index, *index.rglob("*")]}


def timed(*arguments: str | Path) -> tuple[float, float, str]:
    """Run a command; returns its seconds by the clock and of the processor, and what it printed."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    command = [sys.executable, "-m", "trailhound", *map(str, arguments), "--quiet"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return perf_counter() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, printed


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10000)
    parser.add_argument("--json", type=Path)
    parsed = parser.parse_args()
    figures: dict[str, object] = {"machine": platform.processor(), "files": parsed.files}
    with tempfile.TemporaryDirectory() as temporary:
        docs, index = Path(temporary) / "docs", Path(temporary) / "docs.index"
        write_notes(docs, parsed.files)
        timed("index", docs, "--out", index)
        before = files_of(index)
        runs = [timed("update", index, docs, "--sync") for _ in range(3)]
        figures["unchanged"] = {"seconds": min(run[0] for run in runs), "cpu": min(run[1] for run in runs)}
        figures["files written"] = sum(before.get(name) != now for name, now in files_of(index).items())
        (docs / "part-0" / "note-0.md").unlink()
        (docs / "part-0" / "note-1.md").write_text("# Note 1\n\nThe bridge was never built.\n")
        (docs / "new.md").write_text("# New\n\nThe tower stands since 1950.\n")
        seconds, cpu, printed = timed("update", index, docs, "--sync", "--json")
        figures["three changed"] = {"seconds": seconds, "cpu": cpu}
        done = json.loads(printed)
        figures["done"] = {name: len(done[name]) for name in ("added", "replaced", "deleted")}
    print(json.dumps(figures, indent=1))
    if parsed.json:
        parsed.json.write_text(json.dumps(figures, indent=1))
    if min(run[0] for run in runs) > LIMIT_S or figures["files written"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
