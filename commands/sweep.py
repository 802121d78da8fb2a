"""``trailhound sweep``: the settings that a search policy is best trained with."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ..console import ProgressBar, print_rows
from ..retrievers._svg import printable
from .arguments import WrongUseError, add_number, add_out, command_parser, set_threads
from .train import add_learning, check_supervision, learning, setting

if TYPE_CHECKING:
    from ..learning.policy.sweeping import SweepReport

_OUTCOMES = {"trained": "trained to its end", "stopped": "stopped early", "failed": "failed: {error}"}


def add_sweep(subcommands: Any) -> None:
    """Add ``sweep`` to the command line."""
    parser = command_parser(
        subcommands,
        "sweep",
        _run,
        "train with several settings on a Ray cluster, end the worse ones early, and keep the best policy",
        "  trailhound sweep --index w.index --questions data/w --split train --from none \\\n"
        "      --try ppo_learning_rate=1e-4..1e-2 --try entropy_weight=0,0.01,0.03 --out runs/w-sweep\n"
        "  trailhound sweep --index w.index --questions data/w --split train --set ppo_iterations=8 \\\n"
        "      --try ppo_learning_rate=3e-5..3e-3 --trials 16 --ray auto --out runs/w-sweep",
        "CPU threads that encode texts in each trial (default: 1)",
    )
    add_learning(parser)
    parser.add_argument(
        "--try",
        dest="tried",
        action="append",
        required=True,
        metavar="NAME=VALUES",
        help="one setting of the recipe with a range, as 1e-4..1e-2, or with values, as 32,64; may be repeated. A range"
        " whose end is ten times its beginning or more is drawn from by its logarithm",
    )
    add_number(parser, "--trials", 8, "trainings at most; the first has the settings as they stand")
    about = "train every trial to its end, however far it falls behind"
    parser.add_argument("--no-early-stopping", action="store_true", help=about)
    about = "the Ray cluster that trials run on, of a CPU each: ADDRESS, or auto, or local (default: local)"
    parser.add_argument("--ray", metavar="ADDRESS", default="local", help=about)
    add_out(parser, "RUN", "folder of the best run, and of all trials; goes on if interrupted")


def _run(parsed: argparse.Namespace) -> None:
    """Sweep."""
    from ..learning.policy._workers import ALONE
    from ..learning.policy.sweeping import sweep

    check_supervision(parsed)
    pairs = [setting(text, "--try", "ppo_learning_rate=1e-4..1e-2") for text in parsed.tried]
    tried = dict(pairs)
    if len(tried) < len(pairs):
        raise WrongUseError("two --try have one name: name each setting once, with all its values")
    set_threads(1)
    with ProgressBar(parsed.quiet) as bar:
        sources, how = learning(parsed, ALONE, bar, parsed.threads or 1)
        how |= {"trials": parsed.trials, "stop_early": not parsed.no_early_stopping, "cluster": parsed.ray}
        report = sweep(sources, parsed.out, tried, **how, warn=bar.warn, progress=bar.report)
    _print(report)
    about = f"the policy of trial {report.best.number}, score {report.best.score:.4f} on validation"
    print(printable(f"{parsed.out}: {about}"))


def _print(report: SweepReport) -> None:
    """Print a row for each trial, the best first; what was stopped stands behind what came to its end."""
    order = {"trained": 0, "stopped": 1, "failed": 2}
    ranked = sorted(report.trials, key=lambda trial: (order[trial.outcome], -(trial.score or 0.0)))
    names = list(report.best.settings)
    rows = [
        (
            str(trial.number),
            _OUTCOMES[trial.outcome].format(error=printable(trial.error or "")),
            *(f"{trial.settings[name]:g}" for name in names),
            "" if trial.score is None else f"{trial.score:.4f}",
            str(trial.rounds),
        )
        for trial in ranked
    ]
    print_rows(("trial", "outcome"), (*names, "score", "rounds of training"), rows)
