"""Tables that benchmarks print: aligned Markdown, means over seeds with their spread, and all figures as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

Figures = Mapping[str, float]

_LIBRARIES = ("trailhound", "torch", "numpy", "faiss-cpu", "tantivy", "transformers", "torch-geometric")


@dataclass(frozen=True)
class Column:
    """One figure as a column: its name in the results, its heading, decimals, and a factor."""

    name: str
    heading: str = ""
    digits: int = 2
    scale: float = 1.0

    def cell(self, runs: Sequence[Figures]) -> str:
        """Return the mean and spread of the figure over runs; empty where no run has it."""
        return spread([run[self.name] for run in runs if self.name in run], self.digits, self.scale)


def column(figure: str | Column) -> Column:
    """Return a figure as a column; shares (``recall@5``) are shown in percent."""
    if isinstance(figure, Column):
        return figure
    return Column(figure, scale=100.0 if "@" in figure else 1.0)


def spread(values: Sequence[float], digits: int = 2, scale: float = 1.0) -> str:
    """Return mean ± standard deviation (n - 1); the mean alone of one value; empty for none."""
    if not values:
        return ""
    mean = f"{scale * statistics.mean(values):,.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {scale * statistics.stdev(values):,.{digits}f}"


def markdown(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table whose columns are aligned: the first to the left, the others to the right."""
    cells = [[str(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(3, *(len(row[place]) for row in cells)) for place in range(len(headings))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(
        "| " + " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + " |"
        for row in (cells[0], rule, *cells[1:])
    )


def by_system(
    results: Mapping[Any, Sequence[Figures]], figures: Sequence[str | Column] = (), heading: str = "system"
) -> str:
    """Return a table with one row for each system, and the mean and spread of its figures over seeds.

    Args:
        results: system -> its figures, one mapping for each seed.
        figures: the columns; by default all figures of the first system.
        heading: of the first column.
    """
    columns = [column(figure) for figure in figures or next(iter(results.values()))[0]]
    rows = [[system, *(one.cell(runs) for one in columns)] for system, runs in results.items()]
    return markdown([heading, *(one.heading or one.name for one in columns)], rows)


def by_figure(runs: Sequence[Figures], digits: int = 4) -> str:
    """Return a table with one row for each figure: its mean and spread over seeds."""
    rows = [[name, spread([run[name] for run in runs], digits)] for name in runs[0]]
    return markdown(["figure", "mean ± spread" if len(runs) > 1 else "value"], rows)


def machine() -> dict[str, str]:
    """Return what the figures were measured with: commit, machine, Python and the versions of libraries."""
    describe = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(describe, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    names = [line.partition(":")[2].strip() for line in _cpu_lines() if line.startswith("model name")]
    return {
        "commit": commit.stdout.strip() or "unknown",
        "machine": f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores",
        "load": f"{os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
        **{library: version(library) for library in _LIBRARIES},
    }


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def show(title: str, table: str, parsed: argparse.Namespace) -> None:
    """Print a finished table under its title, with seeds, commit, machine and versions."""
    seeds = getattr(parsed, "seeds", None)
    measured = ", ".join(f"{name} {value}" for name, value in machine().items())
    print(f"\n{title}{f', seeds {seeds}' if seeds else ''}\n{measured}\n\n{table}\n", flush=True)


def write(results: Any, parsed: argparse.Namespace) -> None:
    """Write results into ``--json``, with the command's arguments and what they were measured with."""
    if parsed.json is not None:
        arguments = {name: value for name, value in vars(parsed).items() if name != "json"}
        report = {"measured with": machine(), "arguments": arguments, "results": results}
        parsed.json.write_text(json.dumps(report, indent=2, default=str) + "\n")


def report(label: str, results: Any, parsed: argparse.Namespace) -> None:
    """Print how far a long benchmark has come, and write everything so far into ``--json``."""
    print(label, flush=True)
    write(results, parsed)
