"""Learning from answers alone: the evidence of a question is latent, and a reader says what some evidence is worth.

Expectation maximisation (Dempster, Laird and Rubin 1977) over the sets of :mod:`.latent_evidence`: the reader is
trained on sets drawn from their posterior, ``p(S | y, q) ~ p(S | q) p(y | S, q)``, and the posterior is taken anew from
the reader. Every question is judged by a reader that was trained on other questions (two folds): one that had learned
an answer by heart would find it in any evidence. No label of a supporting passage is looked at anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...agent.reader.extractive import ExtractiveReader, load_reader, save_reader
from ...agent.reader.passage_analysis import PassageAnalyser
from ...agent.reader.protocol import Reader
from ...envs.world import QuestionWorld
from ...errors import PolicyError
from ...retrievers.atomic_file import write_json
from ...retrievers.protocols import Progress
from ..queries.evidence_kinds import shared_posteriors
from ..queries.latent_evidence import EvidenceSet, evidence_sets
from ..reader.examples import reading_example
from ..reader.judge import ReaderJudge
from ..reader.reader_training import ReadingExample, calibrate, train_reader

ROUNDS = 1
"""Rounds of expectation maximisation."""

FOLDS = 2
_FILE = "evidence_sets.json"


@dataclass(frozen=True, slots=True)
class LatentEvidence:
    """The sets of rows that could be the evidence of a question, and their posterior float64 [s], which sums to 1."""

    sets: tuple[tuple[int, ...], ...]
    posterior: NDArray[np.float64]

    def draw(self, generator: np.random.Generator) -> tuple[int, ...]:
        """Draw a set from the posterior."""
        return self.sets[int(generator.choice(len(self.sets), p=self.posterior))]

    def best(self, count: int) -> list[tuple[int, ...]]:
        """Return the most probable sets."""
        return [self.sets[k] for k in np.argsort(-self.posterior, kind="stable")[:count].tolist()]


class AnswerSupervision:
    """Evidence sets and judges for the questions of a run, made once and kept in its folder.

    Args:
        folder: of the run; what is there already is used again.
        epochs: of every training of the reader.
        seed: of everything random.
        reader: judges instead of readers trained here, where it is given.
    """

    def __init__(self, folder: Path, epochs: int, seed: int, reader: Reader | None = None) -> None:
        self._folder = folder
        self._epochs = epochs
        self._seed = seed
        self._given = reader
        self._latent: dict[int, LatentEvidence] = {}

    def prepare(
        self,
        worlds: Sequence[QuestionWorld],
        held_out: Sequence[QuestionWorld],
        progress: Progress | None = None,
    ) -> None:
        """Give every world its judge, and every training world its sets.

        Raises:
            PolicyError: when the folder holds what belongs to other questions.
        """
        sets = [evidence_sets(world) for world in worlds]
        if (self._folder / _FILE).exists():
            posteriors = self._load(sets)
            judges = self._load_judges()
        else:
            judges, posteriors = self._learn(worlds, sets, progress)
            write_json(self._folder / _FILE, {"posteriors": [posterior.tolist() for posterior in posteriors]})
        for number, (world, candidates, posterior) in enumerate(zip(worlds, sets, posteriors, strict=True)):
            world.judge = ReaderJudge(judges[number % FOLDS], world)
            if candidates:
                self._latent[id(world)] = LatentEvidence(tuple(s.rows for s in candidates), posterior)
        for world in held_out:
            world.judge = ReaderJudge(judges[-1], world)

    def of(self, world: QuestionWorld) -> LatentEvidence | None:
        """Return the sets of a training question; None when no passage in reach holds its answer."""
        return self._latent.get(id(world))

    def draw(self, worlds: Sequence[QuestionWorld], generator: np.random.Generator) -> list[QuestionWorld]:
        """Let a set drawn from the posterior count as the evidence of each world; returns the worlds that have one."""
        drawn = []
        for world in worlds:
            latent = self.of(world)
            if latent is not None:
                world.set_gold(frozenset(latent.draw(generator)))
                drawn.append(world)
        return drawn

    def _learn(
        self,
        worlds: Sequence[QuestionWorld],
        sets: Sequence[Sequence[EvidenceSet]],
        progress: Progress | None,
    ) -> tuple[list[Reader], list[NDArray[np.float64]]]:
        """Return the judges of the folds and then that of other questions, and the posterior of every world's sets."""
        generator = np.random.default_rng([self._seed, 11])
        posteriors = shared_posteriors(worlds, sets, [np.zeros(len(candidates)) for candidates in sets])
        if self._given is not None:
            judges: list[Reader] = [self._given] * (FOLDS + 1)
            return judges, self._posteriors(worlds, sets, judges)
        analyser = PassageAnalyser()
        for round_ in range(ROUNDS):
            examples = [
                _example(world, candidates, posterior, generator)
                for world, candidates, posterior in zip(worlds, sets, posteriors, strict=True)
            ]
            folds: list[ExtractiveReader] = []
            temperatures: list[float] = []
            for fold in range(FOLDS):
                others = [e for number, e in enumerate(examples) if number % FOLDS != fold and e is not None]
                folds.append(self._train(others, 10 * round_ + fold, analyser))
                kept = [e for number, e in enumerate(examples) if number % FOLDS == fold and e is not None]
                temperatures.append(calibrate(folds[-1], kept, self._seed))
            posteriors = self._posteriors(worlds, sets, folds)
            if progress is not None:
                progress("reading what the evidence could be", round_ + 1, ROUNDS)
        everything = [example for example in examples if example is not None]
        final = self._train(everything, 99, analyser)
        final.network.temperature.fill_(float(np.mean(temperatures)))  # it has no questions left to be calibrated on
        for fold, reader in enumerate(folds):
            save_reader(self._folder / f"judge-{fold}", reader, {"fold": fold})
        save_reader(self._folder, final, {"supervision": "answers", "questions": len(everything), "seed": self._seed})
        return [*folds, final], posteriors

    def _train(self, examples: Sequence[ReadingExample], number: int, analyser: PassageAnalyser) -> ExtractiveReader:
        if not examples:
            raise PolicyError(
                "no passage in reach of the questions holds their answers: there is nothing to learn from"
            )
        return train_reader(examples, self._epochs, self._seed * 100 + number, analyser=analyser)

    def _posteriors(
        self, worlds: Sequence[QuestionWorld], sets: Sequence[Sequence[EvidenceSet]], judges: Sequence[Reader]
    ) -> list[NDArray[np.float64]]:
        likelihoods = []
        for number, (world, candidates) in enumerate(zip(worlds, sets, strict=True)):
            judge = ReaderJudge(judges[number % FOLDS], world)
            judge.read_all([s.rows for s in candidates])
            likelihoods.append(np.array([judge.log_likelihood(s.rows) for s in candidates]))
        return shared_posteriors(worlds, sets, likelihoods)

    def _load(self, sets: Sequence[Sequence[EvidenceSet]]) -> list[NDArray[np.float64]]:
        path = self._folder / _FILE
        posteriors = [np.array(p, np.float64) for p in json.loads(path.read_text("utf-8"))["posteriors"]]
        if [len(p) for p in posteriors] != [len(candidates) for candidates in sets]:
            raise PolicyError(f"{path} belongs to other questions: delete the run's folder and train again")
        return posteriors

    def _load_judges(self) -> list[Reader]:
        if self._given is not None:
            return [self._given] * (FOLDS + 1)
        analyser = PassageAnalyser()
        return [
            *(load_reader(self._folder / f"judge-{fold}", analyser) for fold in range(FOLDS)),
            load_reader(self._folder, analyser),
        ]


def _example(
    world: QuestionWorld,
    candidates: Sequence[EvidenceSet],
    posterior: NDArray[np.float64],
    generator: np.random.Generator,
) -> ReadingExample | None:
    """Return the question with a set drawn from its posterior as evidence; None when it has no set."""
    if not candidates:
        return None
    return reading_example(world, candidates[int(generator.choice(len(candidates), p=posterior))].rows)
