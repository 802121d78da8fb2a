"""What a run learns from: labelled passages, answers alone, or made questions; and the reader that judges paths.

With answers alone the evidence of a question is latent, and a reader says what some evidence is worth: expectation
maximisation (Dempster, Laird and Rubin 1977) over the sets of :mod:`..queries._evidence_sets`. The reader is trained
on sets drawn from their posterior, ``p(S | y, q) ~ p(S | q) p(y | S, q)``, and the posterior is taken anew from the
reader. Every question is judged by a reader that was trained on other questions (two folds): one that had learned an
answer by heart would find it in any evidence. No label of a supporting passage is looked at anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...agent.reader._extractive import ExtractiveReader, has_reader, load_reader, save_reader
from ...agent.reader._language_models import open_reader
from ...agent.reader._passage_analysis import TRAINING, PassageAnalyser
from ...agent.reader._protocol import Reader
from ...envs._question_set import QuestionSet
from ...envs._world import QuestionWorld
from ...envs.settings import EnvironmentSettings
from ...errors import PolicyError, QuestionsError, RecipeError
from ...index.index import Index
from ...retrievers._hashed_files import read_sealed_json, write_sealed_json
from ...retrievers.protocols import Encoder, Progress, query_vectors
from ...retrievers.records import Vectors
from .._reader import ReaderJudge, ReadingExample, calibrate, reading_example, train_reader
from ..made_questions._making import TRAIN, VALIDATION, make_questions
from ..queries._evidence_sets import EvidenceSet, evidence_sets, shared_posteriors
from ..training_questions import TrainingSource
from ._workers import Team
from .recipe import Recipe

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
        self, worlds: Sequence[QuestionWorld], held_out: Sequence[QuestionWorld], progress: Progress | None = None
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
            write_sealed_json(self._folder / _FILE, {"posteriors": [posterior.tolist() for posterior in posteriors]})
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
        drawn = [world for world in worlds if self.of(world) is not None]
        for world in drawn:
            world.set_gold(frozenset(self._latent[id(world)].draw(generator)))
        return drawn

    def _learn(
        self, worlds: Sequence[QuestionWorld], sets: Sequence[Sequence[EvidenceSet]], progress: Progress | None
    ) -> tuple[list[Reader], list[NDArray[np.float64]]]:
        """Return the judges of the folds and then that of other questions, and the posterior of every world's sets."""
        generator = np.random.default_rng([self._seed, 11])
        posteriors = shared_posteriors(worlds, sets, [np.zeros(len(candidates)) for candidates in sets])
        if self._given is not None:
            judges: list[Reader] = [self._given] * (FOLDS + 1)
            return judges, self._posteriors(worlds, sets, judges)
        analyser = PassageAnalyser(most=TRAINING)
        examples = [
            reading_example(world, candidates[int(generator.choice(len(candidates), p=posterior))].rows)
            if candidates
            else None
            for world, candidates, posterior in zip(worlds, sets, posteriors, strict=True)
        ]
        folds: list[ExtractiveReader] = []
        temperatures: list[float] = []
        for fold in range(FOLDS):
            others = [e for number, e in enumerate(examples) if number % FOLDS != fold and e is not None]
            folds.append(self._train(others, fold, analyser))
            kept = [e for number, e in enumerate(examples) if number % FOLDS == fold and e is not None]
            temperatures.append(calibrate(folds[-1], kept, self._seed))
        posteriors = self._posteriors(worlds, sets, folds)
        if progress is not None:
            progress("reading what the evidence could be", 1, 1)
        everything = [example for example in examples if example is not None]
        final = self._train(everything, 99, analyser)
        final.network.temperature = float(np.mean(temperatures))  # it has no questions left to be calibrated on
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
            likelihoods.append(judge.log_likelihoods([s.rows for s in candidates]))
        return shared_posteriors(worlds, sets, likelihoods)

    def _load(self, sets: Sequence[Sequence[EvidenceSet]]) -> list[NDArray[np.float64]]:
        path = self._folder / _FILE
        description = read_sealed_json(path, PolicyError, "delete the run's folder and train again")
        posteriors = [np.array(p, np.float64) for p in description["posteriors"]]
        if [len(p) for p in posteriors] != [len(candidates) for candidates in sets]:
            raise PolicyError(f"{path} belongs to other questions: delete the run's folder and train again")
        return posteriors

    def _load_judges(self) -> list[Reader]:
        if self._given is not None:
            return [self._given] * (FOLDS + 1)
        analyser = PassageAnalyser(most=TRAINING)
        folders = [*(self._folder / f"judge-{fold}" for fold in range(FOLDS)), self._folder]
        return [load_reader(folder, analyser) for folder in folders]


SUPERVISIONS = ("passages", "answers")


class Supervision:
    """Prepares the questions of a run.

    Args:
        kind: one of ``SUPERVISIONS``.
        reader: what the user calls the reader that judges paths; None for the default of the kind.
        folder: of the run.
        epochs: that a reader is trained for; 0 trains none.
        seed: of everything random.

    Attributes:
        answers: the likely evidence of every question, where only answers are known.
        labels: whether labels may be looked at.
        wants: what a question must have, in words.

    Raises:
        RecipeError: when there is no such supervision, or it cannot do without what is missing.
    """

    def __init__(self, kind: str, reader: str | None, folder: Path, epochs: int, seed: int) -> None:
        if kind not in SUPERVISIONS:
            raise RecipeError(f"there is no supervision {kind!r}: choose one of {', '.join(SUPERVISIONS)}")
        self.labels = kind == "passages"
        self.wants = "supporting passages in the index" if self.labels else "answers"
        named = None if reader == "coverage" else reader
        if not self.labels and reader == "coverage":
            raise RecipeError("the reader 'coverage' reads labels, and supervision by answers has none: choose another")
        if not self.labels and named is None and not epochs:
            raise RecipeError("supervision by answers needs a reader: set reader_epochs above 0, or give one")
        self._describe = {"supervision": kind, "reader": reader}
        self._reader: Reader | None = None if named is None else open_reader(named)
        self._folder, self._epochs, self._seed = folder, epochs, seed
        self.answers = None if self.labels else AnswerSupervision(folder, epochs, seed, self._reader)

    def describe(self) -> dict[str, Any]:
        """Return what is noted of it in the run's description."""
        return self._describe

    def teaches(self, world: QuestionWorld) -> bool:
        """Return whether a question has what is learned from."""
        return bool(world.gold) if self.labels else bool(world.answer)

    def prepare(
        self, worlds: list[QuestionWorld], held_out: Sequence[QuestionWorld], progress: Progress | None
    ) -> list[QuestionWorld]:
        """Train the run's reader, unless it is there, and set the judges; returns the questions to learn from."""
        if self.answers is not None:
            self.answers.prepare(worlds, held_out, progress)
            known = [world for world in worlds if self.answers.of(world) is not None]
            if not known:
                raise QuestionsError("no passage in reach of the questions holds their answers: nothing can be learned")
            return known
        if self._epochs and not has_reader(self._folder):
            self._train_reader(worlds, held_out, progress)
        for world in worlds:
            if self._reader is not None and world.answer is not None:
                world.judge = ReaderJudge(self._reader, world, rewards=False)
        return worlds

    def drawn(self, worlds: list[QuestionWorld], generator: np.random.Generator) -> list[QuestionWorld]:
        """Return the questions of an epoch of imitation, with evidence drawn for those whose evidence is latent."""
        return worlds if self.answers is None else self.answers.draw(worlds, generator)

    def _train_reader(
        self, worlds: Sequence[QuestionWorld], held_out: Sequence[QuestionWorld], progress: Progress | None
    ) -> None:
        examples = [example for world in worlds if (example := reading_example(world, world.gold)) is not None]
        if not examples:
            return
        done = None if progress is None else (lambda number: progress("reading", number, len(examples)))
        reader = train_reader(examples, self._epochs, self._seed, done=done)
        others = [example for world in held_out if (example := reading_example(world, world.gold)) is not None]
        calibrate(reader, others, self._seed)
        save_reader(self._folder, reader, {**self._describe, "questions": len(examples), "seed": self._seed})


PLAIN_EVERY = 4
"""One question in so many is searched without the hop encoder: over vectors of another encoder a policy has none."""


def load_worlds(
    sources: Sequence[TrainingSource],
    settings: EnvironmentSettings,
    warn: Callable[[str], None] | None,
    hop_encoder: Encoder | None,
    supervision: Supervision,
    team: Team,
) -> list[QuestionWorld]:
    """Return the worlds of every question that can be learned from; each worker encodes its share of them."""

    def encode(encoder: Encoder, texts: Sequence[str]) -> Vectors:
        parts = team.gather(query_vectors(encoder, team.share(texts)))
        vectors = np.empty((len(texts), encoder.dimension), np.float32)
        for rank, part in enumerate(parts):
            vectors[rank :: team.size] = part
        return vectors

    worlds = []
    for source in sources:
        where = (source.index, source.questions, source.split, settings, warn)
        questions = QuestionSet.load(*where, hop_encoder, supervision.labels, encode, PLAIN_EVERY)
        worlds += [questions.world(k) for k in range(len(questions))]
    return [world for world in worlds if supervision.teaches(world)]


_FOLDER = "questions"
_STREAM = 2**31 + 1
"""Sets the generator of questions apart from those of training's rounds, which are seeded by (seed, round)."""


def made_sources(
    indexes: Sequence[Index], out: Path, recipe: Recipe, seed: int, progress: Progress | None = None
) -> tuple[list[TrainingSource], list[TrainingSource]]:
    """Make questions over every index, ``recipe.made_questions`` each, and return them for training and validation.

    They are written to ``out/questions`` in BEIR's layout, so that people can read them and a run that goes on
    finds them again; with several indexes to ``out/questions/0`` and so on.

    Raises:
        QuestionsError: when a corpus yields too few questions, or is a knowledge graph.
    """
    sources: list[TrainingSource] = []
    validation: list[TrainingSource] = []
    for number, index in enumerate(indexes):
        if index.facts is not None:
            raise QuestionsError(
                f"{index.path} is a knowledge graph, and its facts are its questions:"
                " train with --questions (the folder of its graph.txt) and --split train"
            )
        folder = out / _FOLDER if len(indexes) == 1 else out / _FOLDER / str(number)
        _make(index, folder, recipe.made_questions, recipe.held_out, [seed, _STREAM, number], progress)
        sources.append(TrainingSource(index, folder, TRAIN))
        validation.append(TrainingSource(index, folder, VALIDATION))
    return sources, validation


def sources_beside(
    sources: Sequence[TrainingSource],
    out: Path,
    recipe: Recipe,
    seed: int,
    warn: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> list[TrainingSource]:
    """Make ``recipe.made_beside`` questions over each index of labelled questions, and return them for training.

    They are written to ``out/made-0`` and so on. An index that yields too few gets none, and ``warn`` says so.
    """
    made = []
    for number, index in enumerate({id(source.index): source.index for source in sources}.values()):
        if index.facts is None:
            folder = out / f"made-{number}"
            try:
                _make(index, folder, recipe.made_beside, recipe.held_out, [seed, _STREAM + 1, number], progress)
            except QuestionsError as error:
                if warn is not None:
                    warn(f"none are made beside the questions given: {error}")
            else:
                made.append(TrainingSource(index, folder, TRAIN))
    return made


def _make(
    index: Index, folder: Path, count: int, held_out: float, stream: Sequence[int], progress: Progress | None
) -> None:
    """Make questions and write them, unless they are there."""
    if not (folder / "queries.jsonl").is_file():  # it is written last
        rng = np.random.default_rng(stream)
        make_questions(index, count, rng, progress).write(folder, held_out, rng)
