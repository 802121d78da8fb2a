"""``trailhound train``: a search policy."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..console import ProgressBar
from ..errors import EncoderError, QuestionsError
from .arguments import (
    LABELS,
    WrongUseError,
    add_device,
    add_out,
    add_path,
    add_router,
    add_sources,
    command_parser,
    labelled,
    open_index,
    positive,
    set_threads,
    shown,
)
from .sharded import add_ray

if TYPE_CHECKING:
    from ..index.index import Index
    from ..learning.policy._workers import Team, Voice
    from ..learning.policy.recipe import Recipe
    from ..learning.policy.training import TrainingReport
    from ..learning.training_questions import TrainingSource

_SUPERVISIONS = ("passages", "answers", "none")


def add_train(subcommands: Any) -> None:
    """Add ``train`` to the command line."""
    parser = command_parser(
        subcommands,
        "train",
        _run,
        "train a search policy on labelled questions, or on none",
        "  trailhound train --index w.index --questions data/2wiki-train --split train \\\n"
        "      --validation data/2wiki-train:validation --out runs/2wiki --seed 0\n"
        "  trailhound train --index a.index --questions a --index b.index --questions b --split train --out runs/both\n"
        "  trailhound train --index w.index --questions data/w --split train --out runs/w --set ppo_iterations=20\n"
        "  trailhound train --index w.index --supervision none --out runs/w\n"
        "  trailhound train --index umls.index --questions data/kg/umls --split train --recipe kg --out runs/umls\n"
        f"{LABELS}",
    )
    add_learning(parser)
    about = "processes that train together (default: 1); a run is reproducible for a given seed AND number of workers"
    parser.add_argument("--workers", type=positive, default=1, metavar="N", help=about)
    add_ray(parser, "let workers be actors of the Ray cluster at ADDRESS, or auto, or local: the policy is the same")
    add_device(parser)
    add_out(parser, "RUN", "folder of the run; goes on if interrupted")


def add_learning(parser: argparse.ArgumentParser) -> None:
    """Add what a policy learns from, and how."""
    add_sources(parser, required=False)
    parser.add_argument(
        "--supervision",
        choices=_SUPERVISIONS,
        default="passages",
        help="what is known: the supporting passages (default), the answers alone, or none: questions are made from"
        " the corpus itself",
    )
    parser.add_argument(
        "--from",
        dest="start",
        metavar="RUN|shipped|none",
        help="the policy to go on from: the one that ships (default, but with answers alone), the folder of another, or"
        " none. It is adapted as far as questions that are set aside say that it pays",
    )
    about = "decides which policy is kept (default: a tenth of the questions)"
    parser.add_argument("--validation", action="append", default=[], metavar="DIR:SPLIT", help=about)
    add_path(
        parser,
        "--hop-encoder",
        "DIR|shipped",
        "encoder that `trailhound tune` made, or the one that ships, for queries that hold evidence (default: the"
        " index's)",
    )
    add_router(parser, several=True)
    parser.add_argument(
        "--reader",
        metavar="READER",
        help="judges paths: coverage, builtin, or a folder of a reader or of a transformers model"
        " (default: coverage with passages, readers trained in the run with answers)",
    )
    parser.add_argument("--recipe", metavar="NAME|FILE", help="settings: a name of runs/recipes or a .toml")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="one setting of the recipe")


def _run(parsed: argparse.Namespace) -> None:
    """Train a policy."""
    check_supervision(parsed)
    report = _report(parsed)
    figures = {name: value for name, value in report.metrics.items() if name != "kept_round"}
    print(f"{parsed.out}: {shown(figures)} on validation, {report.seconds:.0f} s")


def _report(parsed: argparse.Namespace) -> TrainingReport:
    """Train with workers of this machine, or of a cluster."""
    from ..learning.policy._workers import run_team

    if parsed.ray is None:
        return run_team(parsed.workers, _train, parsed)
    from ..learning.policy._ray_workers import run_team_on_ray
    from ..retrievers._ray_cluster import connect

    if parsed.device not in ("auto", "cpu"):
        raise WrongUseError(f"--ray trains on CPUs: leave --device {parsed.device} out")
    parsed.device = "cpu"
    connect(parsed.ray)
    checkpoint = parsed.out / "checkpoint.safetensors"

    def reached() -> int | None:
        return checkpoint.stat().st_mtime_ns if checkpoint.exists() else None

    with ProgressBar(parsed.quiet) as bar:
        return run_team_on_ray(parsed.workers, _train, parsed, reached, bar.warn, bar.report)


def _train(team: Team, parsed: argparse.Namespace) -> TrainingReport:
    """Be a worker of a training, or the only one."""
    from ..learning.policy.training import train

    set_threads(parsed.threads or 1)
    with ProgressBar(parsed.quiet or team.rank > 0 or team.voice is not None) as bar:
        voice = team.voice or bar
        sources, how = learning(parsed, team, voice, parsed.threads or team.threads)
        how |= {"device": parsed.device, "team": team, "warn": voice.warn, "progress": voice.report}
        return train(sources, parsed.out, **how)


def learning(
    parsed: argparse.Namespace, team: Team, voice: Voice, threads: int | None
) -> tuple[list[TrainingSource], dict[str, Any]]:
    """Return what a policy learns from, and further arguments of ``train``; ``threads`` encode."""
    from ..agent._policy_file import load_policy
    from ..learning.policy.recipe import load_recipe

    overrides = dict(setting(text, "--set", "ppo_iterations=20") for text in parsed.set)
    held_out = [_folder_and_split(text) for text in parsed.validation]
    start = _start(parsed)
    begun = None if start is None else load_policy(start)
    recipe = load_recipe(parsed.recipe, overrides, begun)
    if parsed.supervision == "none":
        sources, validation = team.in_turn(lambda: _made_sources(parsed, recipe, voice, threads))
    else:
        sources, validation = _labelled_sources(parsed, held_out, threads)
        if all(source.index.facts is not None for source in sources):
            start = start if parsed.start else None
            recipe = load_recipe(parsed.recipe or "kg", overrides) if start is None else recipe
    return sources, {
        "validation": validation,
        "start": start,
        "hop_encoder": _hop_encoder(parsed.hop_encoder),
        "recipe": recipe,
        "seed": parsed.seed,
        "supervision": "passages" if parsed.supervision == "none" else parsed.supervision,  # made with labels
        "reader": parsed.reader,
    }


def _start(parsed: argparse.Namespace) -> Path | None:
    """Return the folder of the policy to go on from; None to begin anew."""
    from ..agent._systems import shipped_policy

    chosen = parsed.start or ("none" if parsed.supervision == "answers" else "shipped")
    if chosen == "shipped":
        return shipped_policy()
    return None if chosen == "none" else Path(chosen)


def _hop_encoder(chosen: Path | None) -> Path | None:
    """Return the folder of the chosen encoder; ``shipped`` is the one that comes with the package."""
    from ..agent._systems import shipped_policy

    if chosen != Path("shipped"):
        return chosen
    folder = shipped_policy()
    if folder is None:
        raise EncoderError("no encoder comes with this copy of the package: give a folder that `trailhound tune` wrote")
    return folder


def check_supervision(parsed: argparse.Namespace) -> None:
    """Refuse questions where none are wanted, and none where some are."""
    given = bool(parsed.questions or parsed.split or parsed.validation)
    if parsed.supervision == "none" and given:
        raise WrongUseError(
            "--supervision none makes its own questions: leave --questions, --split and --validation out"
        )
    if parsed.supervision != "none" and not (parsed.questions and parsed.split):
        raise WrongUseError("--questions and --split are missing: give both, or train without by --supervision none")


def _labelled_sources(
    parsed: argparse.Namespace, held_out: list[tuple[Path, str]], threads: int | None
) -> tuple[list[TrainingSource], list[TrainingSource]]:
    """Return what to learn from and what to validate on, where there are questions."""
    from ..learning.training_questions import TrainingSource

    indexes, sources = labelled(parsed, threads)
    validation = [
        TrainingSource(_index_of(folder, parsed.questions, indexes), folder, split) for folder, split in held_out
    ]
    return sources, validation


def _made_sources(
    parsed: argparse.Namespace, recipe: Recipe, voice: Voice, threads: int | None
) -> tuple[list[TrainingSource], list[TrainingSource]]:
    """Return what to learn from and what to validate on, where there are none."""
    from ..learning.policy._supervision import made_sources

    indexes = [open_index(path, threads) for path in parsed.index]
    return made_sources(indexes, parsed.out, recipe, parsed.seed, voice.report)


def _folder_and_split(text: str) -> tuple[Path, str]:
    folder, separator, split = text.rpartition(":")
    if not separator or not folder or not split:
        raise WrongUseError(f"--validation {text!r} is not DIR:SPLIT, such as data/2wiki-train:validation")
    return Path(folder), split


def setting(text: str, option: str, example: str) -> tuple[str, str]:
    """Read the name of a setting, and what stands behind it."""
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise WrongUseError(f"{option} {text!r} is not NAME=VALUE, such as {example}")
    return name, value


def _index_of(folder: Path, questions: Sequence[Path], indexes: Sequence[Index]) -> Index:
    """Return the index that belongs to the questions in ``folder``."""
    for index, other in zip(indexes, questions, strict=True):
        if other.resolve() == folder.resolve():
            return index
    if len(indexes) == 1:
        return indexes[0]
    raise QuestionsError(
        "with several indexes, validation questions must lie in a folder that --questions names", folder
    )
