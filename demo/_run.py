"""The whole main job on a corpus that the program makes itself: index, train, compare, search."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ..agent.search_agent import SearchAgent
from ..agent.search_result import SearchResult
from ..errors import PolicyError
from ..index.index import Index
from ..learning.policy.recipe import load_recipe
from ..learning.policy.training import TrainingReport, train
from ..learning.training_questions import TrainingSource
from ..measuring.evaluation import Evaluation, evaluate
from ..retrievers._atomic_file import write_json
from ..retrievers.protocols import Progress
from ..retrievers.questions._labelled import load_questions
from ._encyclopedia import generate, write_beir


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What the demo shows: the training run, every system on questions that training never saw, and one search.

    The folder holds ``corpus``, ``index`` and ``policy``.
    """

    folder: Path
    passages: int
    training: TrainingReport
    evaluations: list[Evaluation]
    example: SearchResult


def run_demo(
    folder: Path, *, articles: int = 1000, questions: int = 500, seed: int = 0, progress: Progress | None = None
) -> DemoReport:
    """Make a fictional encyclopedia in ``folder``, index it, train a policy, and compare it with fixed systems.

    Args:
        folder: is made, or used again.
        articles, questions: how large the encyclopedia is.
        seed: of the encyclopedia and of training.
        progress: called with (stage, done, total).

    Raises:
        PolicyError: when ``folder`` holds a demo of other settings.
    """
    _claim(folder, {"articles": articles, "questions": questions, "seed": seed})
    corpus = folder / "corpus"
    write_beir(generate(articles, questions, seed), corpus)
    index = Index.build([corpus], folder / "index", progress=progress)
    training = train(
        [TrainingSource(index, corpus, "train")],
        folder / "policy",
        validation=[TrainingSource(index, corpus, "validation")],
        recipe=load_recipe("demo"),
        seed=seed,
        progress=progress,
    )
    policies = {"exhaustive": folder / "policy", "policy": folder / "policy"}
    evaluations = [
        evaluate(index, corpus, "dev", system=system, policy=policies.get(system), progress=progress)
        for system in ("lexical", "dense", "hybrid", "ppr", "exhaustive", "policy")
    ]
    asked, _ = load_questions(corpus, "dev")
    longest = max(asked, key=lambda question: (question.type == "compositional", len(question.text)))
    example = SearchAgent(index, folder / "policy").search(longest.text, limit=5)
    return DemoReport(folder, len(index), training, evaluations, example)


def _claim(folder: Path, settings: dict[str, int]) -> None:
    """Refuse a folder that holds a demo of other settings, before anything in it is replaced."""
    path = folder / "demo.json"
    if path.exists() and json.loads(path.read_text("utf-8")) != settings:
        raise PolicyError(f"{folder} holds a demo of other settings: choose another folder with --out, or delete it")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, settings)
