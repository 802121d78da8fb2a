"""What each command of the command line does: calls the package, shows progress, prints the result."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .console import ProgressBar, print_table
from .errors import EncoderError, PolicyError, QuestionsError

if TYPE_CHECKING:
    from .agent.recipe import Recipe
    from .agent.search_agent import SearchResult
    from .agent.training import TrainingReport
    from .agent.training_questions import TrainingSource
    from .agent.workers import Team
    from .graph.index import Index


class WrongUseError(Exception):
    """The command line contradicts itself."""


def demo(parsed: argparse.Namespace) -> None:
    """Run the main job on an invented corpus."""
    from .agent.demo import run_demo
    from .agent.drawing import draw_path

    _set_threads(parsed.threads or 1)
    folder = parsed.out or Path("runs") / "demo"
    with ProgressBar(parsed.quiet) as bar:
        report = run_demo(
            folder, articles=parsed.articles, questions=parsed.questions, seed=parsed.seed, progress=bar.report
        )
    print(f"{report.passages:,} invented articles, a policy trained in {report.training.seconds:.0f} s: {folder}\n")
    print_table(report.evaluations)
    print("\nA search of the policy:\n")
    print(draw_path(report.example))
    print(
        "\nNow your own documents:\n"
        "  trailhound index my-docs/ --out my-docs.index\n"
        '  trailhound search my-docs.index "your question"'
    )


def index(parsed: argparse.Namespace) -> None:
    """Index a corpus."""
    from .graph.index import Index, IndexSettings

    settings = IndexSettings(parsed.encoder, parsed.dense, parsed.chunk_words)
    with ProgressBar(parsed.quiet) as bar:
        index = Index.build(
            parsed.corpus,
            parsed.out,
            settings=settings,
            threads=parsed.threads,
            warn=bar.warn,
            progress=bar.report,
        )
    if index.facts is not None:
        relations = len(index.facts.relations)
        print(f"{parsed.out}: {len(index):,} entities, {relations:,} relations, {len(index.facts):,} facts")
        return
    print(
        f"{parsed.out}: {index.store.documents:,} documents, {len(index):,} passages, {len(index.graph.edges):,} links"
    )


def tune(parsed: argparse.Namespace) -> None:
    """Tune the hop encoder."""
    from .agent.tuning import TuningSettings, tune

    _set_threads(parsed.threads or os.cpu_count() or 1)
    _, sources = _sources(parsed, parsed.threads)
    settings = TuningSettings(epochs=parsed.epochs, rank=parsed.rank)
    with ProgressBar(parsed.quiet) as bar:
        figures = tune(
            sources,
            parsed.out,
            settings=settings,
            seed=parsed.seed,
            device=parsed.device,
            warn=bar.warn,
            progress=bar.report,
        )
    print(f"{parsed.out}: {', '.join(f'{name} {value:.3f}' for name, value in figures.items())}")


def tune_reranker(parsed: argparse.Namespace) -> None:
    """Tune a path re-ranker."""
    from .agent.reranker_tuning import RerankerSettings, tune_reranker

    _set_threads(parsed.threads or os.cpu_count() or 1)
    _, sources = _sources(parsed, parsed.threads)
    with ProgressBar(parsed.quiet) as bar:
        figures = tune_reranker(
            sources,
            _policy_or_shipped(parsed.policy),
            parsed.out,
            settings=RerankerSettings(epochs=parsed.epochs, states=parsed.states, rank=parsed.rank),
            seed=parsed.seed,
            device=parsed.device,
            warn=bar.warn,
            progress=bar.report,
        )
    print(f"{parsed.out}: {', '.join(f'{name} {value:.3f}' for name, value in figures.items())}")
    if not figures["weight"]:
        print("it does not pay on the questions held out: with the weight 0 every ranking stays as it is")


def _policy_or_shipped(chosen: Path | None) -> Path:
    from .agent.systems import shipped_policy

    folder = chosen or shipped_policy()
    if folder is None:
        raise PolicyError("no policy comes with this copy of the package: give --policy, a folder that was trained")
    return folder


def _sources(parsed: argparse.Namespace, threads: int | None) -> tuple[list[Index], list[TrainingSource]]:
    """Open what ``tune`` and ``train`` learn from."""
    from .agent.training_questions import TrainingSource

    if len(parsed.index) != len(parsed.questions):
        raise WrongUseError(
            f"{len(parsed.index)} --index and {len(parsed.questions)} --questions: give one of each for every corpus"
        )
    indexes = [_open(path, threads) for path in parsed.index]
    pairs = zip(indexes, parsed.questions, strict=True)
    return indexes, [TrainingSource(index, folder, parsed.split) for index, folder in pairs]


def train(parsed: argparse.Namespace) -> None:
    """Train a policy."""
    from .agent.workers import run_team

    _hold_supervision(parsed)
    report = run_team(parsed.workers, _train, parsed)
    figures = ", ".join(f"{name} {value:.3f}" for name, value in report.metrics.items() if name != "kept_round")
    print(f"{parsed.out}: {figures} on validation, {report.seconds:.0f} s")


def _train(team: Team, parsed: argparse.Namespace) -> TrainingReport:
    """Be a worker of a training, or the only one."""
    from .agent.recipe import load_recipe
    from .agent.training import train

    overrides = dict(_setting(text) for text in parsed.set)
    held_out = [_folder_and_split(text) for text in parsed.validation]
    recipe = load_recipe(parsed.recipe, overrides)
    _set_threads(parsed.threads or 1)
    with ProgressBar(parsed.quiet or team.rank > 0) as bar:
        if parsed.supervision == "none":
            sources, validation = team.in_turn(lambda: _made_sources(parsed, recipe, bar, team))
        else:
            sources, validation = _labelled_sources(parsed, held_out, team)
            if parsed.recipe is None and all(source.index.facts is not None for source in sources):
                recipe = load_recipe("kg", overrides)
        return train(
            sources,
            parsed.out,
            validation=validation,
            hop_encoder=_hop_encoder(parsed.hop_encoder),
            recipe=recipe,
            seed=parsed.seed,
            supervision="passages" if parsed.supervision == "none" else parsed.supervision,  # made with labels
            reader=parsed.reader,
            device=parsed.device,
            team=team,
            warn=bar.warn,
            progress=bar.report,
        )


def _hop_encoder(chosen: Path | None) -> Path | None:
    """Return the folder of the chosen encoder; ``shipped`` is the one that comes with the package."""
    from .agent.systems import shipped_policy

    if chosen != Path("shipped"):
        return chosen
    folder = shipped_policy()
    if folder is None:
        raise EncoderError("no encoder comes with this copy of the package: give a folder that `trailhound tune` wrote")
    return folder


def _hold_supervision(parsed: argparse.Namespace) -> None:
    """Refuse questions where none are wanted, and none where some are."""
    given = bool(parsed.questions or parsed.split or parsed.validation)
    if parsed.supervision == "none" and given:
        raise WrongUseError(
            "--supervision none makes its own questions: leave --questions, --split and --validation out"
        )
    if parsed.supervision != "none" and not (parsed.questions and parsed.split):
        raise WrongUseError("--questions and --split are missing: give both, or train without by --supervision none")


def _labelled_sources(
    parsed: argparse.Namespace, held_out: list[tuple[Path, str]], team: Team
) -> tuple[list[TrainingSource], list[TrainingSource]]:
    """Return what to learn from and what to validate on, where there are questions."""
    from .agent.training_questions import TrainingSource

    indexes, sources = _sources(parsed, parsed.threads or team.threads)
    validation = [
        TrainingSource(_index_of(folder, parsed.questions, indexes), folder, split) for folder, split in held_out
    ]
    return sources, validation


def _made_sources(
    parsed: argparse.Namespace, recipe: Recipe, bar: ProgressBar, team: Team
) -> tuple[list[TrainingSource], list[TrainingSource]]:
    """Return what to learn from and what to validate on, where there are none."""
    from .agent.self_supervision import made_sources

    indexes = [_open(path, parsed.threads or team.threads) for path in parsed.index]
    return made_sources(indexes, parsed.out, recipe, parsed.seed, bar.report)


def evaluate(parsed: argparse.Namespace) -> None:
    """Measure a system."""
    from .agent.evaluation import evaluate

    _set_threads(parsed.threads or 1)
    index = _open(parsed.index, parsed.threads or 1)
    with ProgressBar(parsed.quiet) as bar:
        evaluation = evaluate(
            index,
            parsed.questions,
            parsed.split,
            policy=parsed.policy,
            system=parsed.system,
            path_reranker=parsed.path_reranker,
            run_file=parsed.run_file,
            json_file=parsed.json,
            reliability_file=parsed.reliability,
            warn=bar.warn,
            progress=bar.report,
        )
    print_table([evaluation])
    if "answer_f1" in evaluation.figures:
        exact, f1 = (100 * evaluation.figures[name] for name in ("answer_exact_match", "answer_f1"))
        print(f"  answers: exact match {exact:.1f}, F1 {f1:.1f}")
    for kind, figures in evaluation.by_type.items():
        print(f"  {kind}: recall@5 {100 * figures['recall@5']:.1f} over {figures['questions']:.0f} questions")


def search(parsed: argparse.Namespace) -> None:
    """Search an index and show the path."""
    from .agent.drawing import draw_path, draw_svg, printable
    from .agent.search_agent import SearchAgent

    _set_threads(parsed.threads or 1)
    index = _open(parsed.index, parsed.threads or 1)
    agent = SearchAgent(index, parsed.policy, system=parsed.system, path_reranker=parsed.path_reranker)
    result = agent.search(parsed.question, parsed.limit)
    if parsed.picture is not None:
        parsed.picture.write_text(draw_svg(result), "utf-8")
    if parsed.json:
        escaped = (sys.stdout.encoding or "").lower() != "utf-8"  # else letters that it lacks would become "?"
        print(json.dumps(result.to_json(), ensure_ascii=escaped, indent=2))
        return
    if parsed.context is not None:
        print(result.context(parsed.context))
        return
    print(draw_path(result))
    print()
    if result.answer is not None:
        print(printable(_answer_line(result)))
        print()
    for evidence in result.evidence:
        passage = evidence.passage
        mark = "✓" if evidence.taken else " "
        place = f"{passage.source}, {passage.start}-{passage.end}"
        print(printable(f"{mark} [{evidence.rank}] {passage.title or passage.id}  ({place})"))
        print(f"      {printable(_shortened(passage.text))}")
    print(f"\nanswered by the {result.answered_by} in {result.milliseconds:.0f} ms, {result.calls} calls")
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


def _open(path: Path, threads: int | None) -> Index:
    from .graph.index import Index

    return Index.open(path, threads=threads)


def _set_threads(threads: int) -> None:
    """Torch's own default is slower: the policy's tensors are too small to be worth splitting."""
    import torch

    torch.set_num_threads(threads)


def _folder_and_split(text: str) -> tuple[Path, str]:
    folder, separator, split = text.rpartition(":")
    if not separator or not folder or not split:
        raise WrongUseError(f"--validation {text!r} is not DIR:SPLIT, such as data/2wiki-train:validation")
    return Path(folder), split


def _setting(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise WrongUseError(f"--set {text!r} is not NAME=VALUE, such as ppo_iterations=20")
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


def _shortened(text: str, width: int = 160) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"
