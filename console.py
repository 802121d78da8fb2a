"""What the command line draws: progress on stderr, tables of figures on stdout."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .retrievers.svg import printable

if TYPE_CHECKING:
    from .measuring.evaluation import Evaluation

_SHOWN = ("recall@2", "recall@5", "all_recall@5", "ndcg@10", "failure_rate@5", "calls_mean", "latency_ms_p50")

_SHOWN_OF_FACTS = ("hits@1", "hits@3", "hits@10", "mrr", "calls_mean", "latency_ms_p50")


def print_table(evaluations: Sequence[Evaluation]) -> None:
    """Print one row of figures for each system; shares in percent."""
    from rich.console import Console
    from rich.table import Table

    table = Table()
    table.add_column("system")
    shown = _SHOWN_OF_FACTS if all("hits@1" in evaluation.figures for evaluation in evaluations) else _SHOWN
    for name in shown:
        table.add_column(name, justify="right")
    for evaluation in evaluations:
        shares = {name for name in shown if "@" in name or name == "mrr"}
        cells = [
            f"{100 * evaluation.figures[name]:.1f}" if name in shares else f"{evaluation.figures[name]:.2f}"
            for name in shown
        ]
        table.add_row(printable(evaluation.system), *cells)
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
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
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
            self._task = self._progress.add_task(stage)
            if self._lines:
                sys.stderr.write(f"{stage} ...\n")
        self._progress.update(self._task, completed=done, total=total or None)

    def warn(self, message: str) -> None:
        """Show a warning above the bar."""
        self._console.print(f"warning: {printable(message)}", highlight=False, markup=False, soft_wrap=True)
