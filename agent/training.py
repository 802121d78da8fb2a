"""Trains a search policy: warm start by imitation, then PPO with marginal likelihood; resumable, reproducible.

A run is a sequence of rounds. A round draws everything random from the run's seed and its own number, and between
two rounds a checkpoint holds all there is to know; so a run that was killed goes on to the same policy, bit for bit.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.logger import Logger

from ..envs.question_set import QuestionSet
from ..envs.world import QuestionWorld
from ..errors import PolicyError, QuestionsError, RecipeError
from ..graph.fact_memory import FactMemory
from ..graph.index import Index
from ..retrievers.adapter import Adapter, load_adapter
from ..retrievers.atomic_file import write_json
from ..retrievers.encoder import MiniLMEncoder
from ..retrievers.protocols import Progress
from .averaging import WeightAverage
from .checkpoint import Progressed, load_checkpoint, save_checkpoint
from .imitation import imitate_epoch
from .network import PolicyNetwork
from .policy_file import load_policy, save_confidence, save_policy
from .ppo import SearchPPO
from .recipe import Recipe
from .run_log import RunLog
from .supervision import Supervision
from .validation import calibrate, validate
from .vector_env import SearchVecEnv


@dataclass(frozen=True, slots=True)
class TrainingSource:
    """Labelled questions over an index: ``questions/queries.jsonl`` and ``questions/qrels/SPLIT.tsv``."""

    index: Index
    questions: Path
    split: str


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """A finished run: where its policy is, its figures on validation, and how long it took."""

    policy: Path
    metrics: dict[str, float]
    seconds: float


def train(
    sources: Sequence[TrainingSource],
    out: Path,
    *,
    validation: Sequence[TrainingSource] = (),
    hop_encoder: Path | None = None,
    recipe: Recipe | None = None,
    seed: int = 0,
    supervision: str = "passages",
    reader: str | None = None,
    resume: bool = True,
    warn: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> TrainingReport:
    """Train a policy on the questions of one or more indexes, and a reader where they have answers.

    Without ``validation`` a share of the training questions (``recipe.held_out``) is set aside for it.

    Args:
        sources: what to learn from; their indexes must share an encoder.
        out: folder of the run; a run of the same settings that was interrupted there goes on.
        validation: what decides which policy is kept, and when to stop.
        hop_encoder: folder of an encoder that ``tune`` made, for queries that hold evidence; copied into the policy.
        recipe: settings; the defaults when None.
        seed: of everything random.
        supervision: ``passages``: the labels say what supports the answer. ``answers``: only the questions' answers are
            known, and of the labels nothing is looked at but which questions belong to a split.
        reader: judges paths, see :func:`.reading.opening.open_reader`; by default, or as ``coverage``, the labels do,
            and with answers only readers that are trained in the run.
        resume: go on with an interrupted run; otherwise an unfinished run in ``out`` is an error.
        warn: hears of question ids that were left out as ambiguous; without it they are errors.
        progress: told of every stage.

    Raises:
        QuestionsError: when there is nothing to learn from, or the indexes do not share an encoder.
        PolicyError: when ``out`` holds another run, or its checkpoint is damaged.
        RecipeError: when the seed is negative or too large, the recipe has no round of either kind, or there is no
            such supervision.
    """
    chosen = recipe or Recipe()
    adapter = None if hop_encoder is None else load_adapter(Path(hop_encoder))
    supervised = Supervision(supervision, reader, Path(out), chosen.reader_epochs, seed)
    run = _Run(sources, Path(out), validation, adapter, chosen, seed, supervised, warn, progress)
    run.claim(resume)
    return run.finish()


class _Run:
    """One training run in its folder."""

    def __init__(
        self,
        sources: Sequence[TrainingSource],
        out: Path,
        validation: Sequence[TrainingSource],
        adapter: Adapter | None,
        recipe: Recipe,
        seed: int,
        supervision: Supervision,
        warn: Callable[[str], None] | None,
        progress: Progress | None,
    ) -> None:
        if not 0 <= seed < 2**63:
            raise RecipeError(f"the seed must be 0 or more and fit in 63 bits, not {seed}")
        if not recipe.imitation_epochs + recipe.ppo_iterations:
            raise RecipeError("imitation_epochs = 0 and ppo_iterations = 0 train nothing: set at least one of them")
        encoders = sorted({source.index.encoder.name for source in (*sources, *validation)})
        if len(encoders) != 1:
            raise QuestionsError(f"training needs indexes of one encoder, not of {', '.join(encoders) or 'none'}")
        self.out = out
        self.recipe = recipe
        self.seed = seed
        self.settings = recipe.environment()
        self.encoder = encoders[0]
        self.adapter = adapter
        self._hop_encoder = None if adapter is None else MiniLMEncoder(None, adapter)
        self.supervision = supervision
        self._warn = warn
        self._progress = progress
        self._describe = {
            "recipe": recipe.model_dump(),
            "seed": seed,
            "sources": [_describe(source) for source in sources],
            "validation": [_describe(source) for source in validation],
            "encoder": self.encoder,
            "hop_encoder": None if adapter is None else adapter.digest,
            **supervision.describe(),
        }
        self.worlds = self._load(sources)
        self.held_out = self._load(validation)
        if not validation:
            self._set_aside()
        self._describe["labelled_questions"] = [len(self.worlds), len(self.held_out)]
        if not self.worlds or not self.held_out:
            raise QuestionsError(f"there are too few questions with {supervision.wants} to train on")
        torch.manual_seed(seed)
        self.network = network_for(sources[0].index, recipe)
        self.average = WeightAverage(self.network, recipe.average)
        self.progressed = Progressed()

    def claim(self, resume: bool) -> None:
        """Make the folder this run's, or go on with the run that is there.

        Raises:
            PolicyError: when it holds another run, or an unfinished one that may not be resumed.
        """
        path = self.out / "run.json"
        if path.exists():
            if _read_json(path) != json.loads(json.dumps(self._describe)):
                raise PolicyError(f"{self.out} holds a run of other settings: choose another folder or delete it")
            if not resume:
                raise PolicyError(f"{self.out} holds a run already: choose another folder, delete it, or resume")
        elif (self.out / "policy.json").exists():
            raise PolicyError(f"{self.out} holds a policy already: choose another folder or delete it")
        else:
            self.out.mkdir(parents=True, exist_ok=True)
            write_json(path, self._describe)
        if self._checkpoint.exists():
            self.progressed = load_checkpoint(self._checkpoint, self.network, average=self.average.network)
            self.average.steps = self.progressed.averaged

    def finish(self) -> TrainingReport:
        """Run the rounds that are left and write ``metrics.json``."""
        self.worlds = self.supervision.prepare(self.worlds, self.held_out, self._progress)
        imitated, fresh = self._split()
        self.worlds = _balanced(imitated, self.recipe.most_repeats)
        self.worlds *= max(1, -(-self.recipe.epoch_questions // len(self.worlds)))
        self.fresh = _balanced(fresh, self.recipe.most_repeats) if fresh else self.worlds
        log = RunLog(self.out, self.progressed.rounds)
        try:
            self._imitate(log)
            self._reinforce(log)
        finally:
            log.close()
        metrics = {**self.progressed.kept, "kept_round": float(self.progressed.kept_round)}
        self._calibrate()
        write_json(self.out / "metrics.json", {**metrics, "seconds": round(self.progressed.seconds, 1)})
        return TrainingReport(self.out, metrics, self.progressed.seconds)

    def _split(self) -> tuple[list[QuestionWorld], list[QuestionWorld]]:
        """Return the questions of the warm start, and those that it leaves to PPO."""
        recipe = self.recipe
        if not recipe.fresh_share or not recipe.ppo_iterations:
            return self.worlds, []
        if not recipe.imitation_epochs:
            return self.worlds, self.worlds
        order = np.random.default_rng([self.seed, 2**31 + 1]).permutation(len(self.worlds))
        fresh = set(order[: round(len(order) * recipe.fresh_share)].tolist())
        return (
            [world for k, world in enumerate(self.worlds) if k not in fresh],
            [world for k, world in enumerate(self.worlds) if k in fresh],
        )

    def _calibrate(self) -> None:
        """Fit how sure the kept policy is of its searches, on the validation questions."""
        policy = load_policy(self.out)
        policy.network.memory = self.network.memory
        draws = self._seeded(2**31 + 2)
        confidence = calibrate(policy.network, self.settings, self.held_out, draws)
        if confidence is not None:
            save_confidence(self.out, confidence)

    @property
    def _checkpoint(self) -> Path:
        return self.out / "checkpoint.safetensors"

    def _imitate(self, log: RunLog) -> None:
        recipe = self.recipe
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=recipe.imitation_learning_rate, weight_decay=recipe.weight_decay
        )
        if 0 < self.progressed.rounds < recipe.imitation_epochs:
            load_checkpoint(self._checkpoint, self.network, optimizer)
        while self.progressed.rounds < recipe.imitation_epochs:
            number = self.progressed.rounds
            started = time.monotonic()
            generator = self._seeded(number)
            share = number / max(recipe.imitation_epochs - 1, 1)
            for group in optimizer.param_groups:
                group["lr"] = recipe.imitation_learning_rate * (1 - 0.9 * share)
            loss = imitate_epoch(
                self.network,
                optimizer,
                self.settings,
                self.supervision.drawn([self.worlds[k] for k in generator.permutation(len(self.worlds))], generator),
                recipe.own_share * min(1.0, 2 * share),
                generator,
                recipe.imitation_lanes,
                recipe.wide_share,
                recipe.wander,
                recipe.thorough,
                self.average.update,
                self._stage(f"imitation {number + 1}/{recipe.imitation_epochs}", len(self.worlds)),
            )
            self._end_round("imitation", {"loss": loss}, optimizer, started, log)

    def _reinforce(self, log: RunLog) -> None:
        recipe = self.recipe
        last = recipe.imitation_epochs + recipe.ppo_iterations
        if self.progressed.rounds >= last:
            return
        model = self._ppo()
        if self.progressed.rounds > recipe.imitation_epochs:
            load_checkpoint(self._checkpoint, self.network, model.policy.optimizer)
        elif recipe.imitation_epochs:
            model.iterate(int(self._seeded(2**31 + 3).integers(2**31)), values_alone=True)
        while self.progressed.rounds < last:
            number = self.progressed.rounds
            if number - max(self.progressed.peak_round + 1, recipe.imitation_epochs) >= recipe.patience:
                break
            started = time.monotonic()
            stage = self._stage(f"PPO, validation {self.progressed.peak:.3f}", recipe.ppo_iterations)
            if stage is not None:
                stage(number - recipe.imitation_epochs)
            statistics = model.iterate(
                int(self._seeded(number).integers(2**31)), (last - number) / recipe.ppo_iterations
            )
            self._end_round("ppo", statistics, model.policy.optimizer, started, log)

    def _ppo(self) -> SearchPPO:
        recipe = self.recipe
        env = SearchVecEnv(
            self.fresh,
            self.settings,
            self.network.settings.question_dimension,
            recipe.ppo_lanes,
            recipe.paths_per_question,
        )
        model = SearchPPO(
            env,
            recipe.beta,
            self.average.update,
            recipe.beam_width,
            self.supervision.answers,
            recipe.thorough,
            n_steps=recipe.ppo_steps,
            batch_size=recipe.minibatch,
            n_epochs=recipe.ppo_passes,
            learning_rate=recipe.ppo_learning_rate,
            gamma=1.0,
            gae_lambda=recipe.gae_lambda,
            clip_range=recipe.clip_range,
            ent_coef=recipe.entropy_weight,
            vf_coef=recipe.value_weight,
            target_kl=recipe.target_kl,
            device="cpu",
            policy_kwargs={"network": self.network, "weight_decay": recipe.weight_decay},
        )
        model.set_logger(Logger(None, []))
        return model

    def _end_round(
        self,
        phase: str,
        figures: dict[str, float],
        optimizer: torch.optim.Optimizer,
        started: float,
        log: RunLog,
    ) -> None:
        """Validate, keep the policy if it is the best so far, log, and write the checkpoint."""
        validated = validate(self.average.network, self.settings, self.held_out)
        number = self.progressed.rounds
        if validated["score"] > self.progressed.peak:
            self.progressed.peak_round, self.progressed.peak = number, validated["score"]
        # Less than half a passage of one question apart says nothing, and the later policy has learned more.
        if validated["score"] >= self.progressed.peak - 0.25 / len(self.held_out):
            self.progressed.kept_round, self.progressed.kept = number, validated
            training = {**self._describe, "round": number, "phase": phase, "validation_figures": validated}
            save_policy(self.out, self.average.network, self.settings, self.encoder, training, self.adapter)
        self.progressed.rounds += 1
        self.progressed.seconds += time.monotonic() - started
        log.write(number, phase, {**figures, **{f"validation_{k}": v for k, v in validated.items()}})
        if self.progressed.rounds == self.recipe.imitation_epochs:
            # PPO sets out from the policy kept so far; in the checkpoint, because PPO's first round may replace it
            self.network.load_state_dict(load_policy(self.out).network.state_dict())
            self.average.restart()
        self.progressed.averaged = self.average.steps
        save_checkpoint(self._checkpoint, self.network, optimizer, self.progressed, self.average.network)

    def _seeded(self, number: int) -> np.random.Generator:
        """Return this round's generator, and seed torch from it."""
        generator = np.random.default_rng([self.seed, number])
        torch.manual_seed(int(generator.integers(2**31)))
        return generator

    def _stage(self, name: str, total: int) -> Any:
        """Return a callback that reports progress of one stage, or None."""
        report = self._progress
        return None if report is None else (lambda done: report(name, done, total))

    def _load(self, sources: Sequence[TrainingSource]) -> list[QuestionWorld]:
        """Return the worlds of every question that can be learned from."""
        worlds = []
        for source in sources:
            questions = QuestionSet.load(
                source.index,
                source.questions,
                source.split,
                self.settings,
                self._warn,
                self._hop_encoder,
                self.supervision.labels,
            )
            worlds += [questions.world(k) for k in range(len(questions))]
        return [world for world in worlds if self.supervision.teaches(world)]

    def _set_aside(self) -> None:
        order = np.random.default_rng([self.seed, 2**31]).permutation(len(self.worlds))
        aside = set(order[: max(1, round(len(order) * self.recipe.held_out))].tolist())
        self.held_out = [world for k, world in enumerate(self.worlds) if k in aside]
        self.worlds = [world for k, world in enumerate(self.worlds) if k not in aside]


def network_for(index: Index, recipe: Recipe) -> PolicyNetwork:
    """Return an untrained network that fits an index."""
    settings = recipe.network(index.encoder.dimension)
    if index.facts is None:
        return PolicyNetwork(settings)
    scale = index.fact_encoder.scale
    network = PolicyNetwork(replace(settings, fact_kinds=index.facts.kind_count, fact_scale=scale))
    network.remember(FactMemory(index.facts))
    return network


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise PolicyError(f"{path} is damaged ({error}): choose another folder or delete it") from error


def _balanced(worlds: list[QuestionWorld], most_repeats: int) -> list[QuestionWorld]:
    """Repeat the questions of small sources, each at most ``most_repeats`` times, so that sources weigh more alike."""
    sizes = Counter(id(world.index) for world in worlds)
    largest = max(sizes.values())
    return [world for world in worlds for _ in range(min(most_repeats, round(largest / sizes[id(world.index)])))]


def _describe(source: TrainingSource) -> dict[str, Any]:
    """Say what a source is, without saying where it lies."""
    return {"questions": Path(source.questions).name, "split": source.split, "passages": len(source.index)}
