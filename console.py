"""What the command line draws: progress on stderr, tables of figures on stdout."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .retrievers._svg import printable
from .retrievers.protocols import READING

if TYPE_CHECKING:
    from .measuring.evaluation import Evaluation

_SHOWN = ("recall@2", "recall@5", "all_recall@5", "ndcg@10", "failure_rate@5", "calls_mean", "latency_ms_p50")

_SHOWN_OF_FACTS = ("hits@1", "hits@3", "hits@10", "mrr", "calls_mean", "latency_ms_p50")


def print_table(evaluations: Sequence[Evaluation]) -> None:
    """Print one row of figures for each system; shares in percent."""
    names = _SHOWN_OF_FACTS if all("hits@1" in evaluation.figures for evaluation in evaluations) else _SHOWN
    rows = []
    for evaluation in evaluations:
        figures = [(name, evaluation.figures[name]) for name in names]
        cells = [f"{100 * f:.1f}" if "@" in name or name == "mrr" else f"{f:.2f}" for name, f in figures]
        rows.append((printable(evaluation.system), *cells))
    print_rows(("system",), names, rows)


def print_rows(words: Sequence[str], figures: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table with columns of words, and then of figures, which are set to the right."""
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for name in (*words, *figures):
        table.add_column(name, justify="left" if name in words else "right")
    for row in rows:
        table.add_row(*row)
    wide = None if sys.stdout.isatty() else 1000
    Console(width=wide, markup=False, emoji=False).print(table)


class ProgressBar:
    """Draws progress on stderr: a bar on a terminal, one line for each stage elsewhere."""

    def __init__(self, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console(stderr=True)
        self._drawn = not quiet and self._console.is_terminal
        self._lines = not quiet and not self._drawn
        self._stage = ""
        self._begun = perf_counter()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._drawn,
            transient=True,
        )
        self._task: Any = None

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._progress.stop()

    def report(self, stage: str, done: int, total: int) -> None:
        """Show how far a stage has come; 0 for a total that is not known."""
        if stage != self._stage:
            self._stage = stage
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._task = self._progress.add_task(stage, rate="")
            self._begun = perf_counter()
            if self._lines:
                sys.stderr.write(f"{stage} ...\n")
        seconds = max(1e-3, perf_counter() - self._begun)
        rate = f"{done / seconds:,.0f}/s"
        if self._lines and stage == READING and done == total:
            sys.stderr.write(f"{stage}: {done:,} in {seconds:.1f} s, {rate}\n")
        self._progress.update(self._task, completed=done, total=total or None, rate=rate)

    def warn(self, message: str) -> None:
        """Show a warning above the bar."""
        self._console.print(f"warning: {printable(message)}", highlight=False, markup=False, soft_wrap=True)
