"""Trains a search policy: warm start by imitation, then PPO with marginal likelihood; resumable, reproducible.

A run is a sequence of rounds. A round draws everything random from the run's seed and its own number, and between
two rounds a checkpoint holds all there is to know; so a run that was killed goes on to the same policy, bit for bit.
Several workers may share a run (:mod:`._workers`): all do what is written here, and the first alone writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from ...agent._network import PolicyNetwork
from ...agent._policy_file import LoadedPolicy, load_policy, save_confidence, save_policy, save_ranker
from ...envs._question_set import question_dimension
from ...envs._vector_env import SearchVecEnv
from ...envs._world import QuestionWorld
from ...errors import QuestionsError, RecipeError
from ...graph._facts import FactTable
from ...index.index import Index
from ...retrievers._atomic_file import write_json
from ...retrievers._device import device_called
from ...retrievers.protocols import Progress
from ...retrievers.vectors._encoder import BUILT_IN, MiniLMEncoder
from ...retrievers.vectors._minilm import Adapter, load_adapter
from .._run_folder import Progressed, RunLog, claim, load_checkpoint, save_checkpoint
from ..training_questions import TrainingSource, balanced, drawn_out
from ._averaging import weight_average
from ._imitation import imitate_epoch
from ._misworded import misworded
from ._ppo import ppo_of
from ._ranked_lists import looked_at
from ._ranking import fit_ranker
from ._supervision import Supervision, load_worlds, sources_beside
from ._validation import calibrate, validate
from ._workers import ALONE, Team
from .recipe import AVERAGE_DECAY, MOST_REPEATS, OWN_SHARE, WEIGHT_DECAY, Recipe, check, load_recipe


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
    start: Path | None = None,
    hop_encoder: Path | None = None,
    recipe: Recipe | None = None,
    seed: int = 0,
    supervision: str = "passages",
    reader: str | None = None,
    resume: bool = True,
    device: str = "auto",
    team: Team = ALONE,
    after_round: Callable[[int, float], None] | None = None,
    warn: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> TrainingReport:
    """Train a policy on the questions of one or more indexes, and a reader where they have answers.

    Args:
        sources: what to learn from; their indexes must share an encoder.
        out: folder of the run; a run of the same settings that was interrupted there goes on.
        validation: what decides which policy is kept, and when to stop; without any, a share of the training questions
            is set aside for it (``recipe.held_out``).
        start: folder of a policy to go on from. It stays as it is unless a round is better on the validation questions;
            its ranker is adapted as far as that pays.
        hop_encoder: folder of an encoder that ``tune`` made, for queries that hold evidence; copied into the policy.
        recipe: settings; the defaults when None.
        seed: of everything random.
        supervision: ``passages``: the labels say what supports the answer. ``answers``: only the questions' answers are
            known, and the labels say no more than which questions belong to a split.
        reader: judges paths, see :func:`.reading.opening.open_reader`; by default, or as ``coverage``, the labels do,
            and with answers only readers that are trained in the run.
        resume: go on with an interrupted run; otherwise an unfinished run in ``out`` is an error.
        device: where network and ranker are trained: see :func:`.._device.device_called`; the CPU does the rest.
        team: whoever trains this policy together; all of them call this with the same arguments.
        after_round: called with how many rounds are done, and the score of the policy kept, at every checkpoint.
        warn: called with each warning: ambiguous question ids are left out; without it they are errors.
        progress: called with (stage, done, total).

    Raises:
        QuestionsError: when there is nothing to learn from, or the indexes do not share an encoder.
        PolicyError: when ``out`` holds another run, or its checkpoint is damaged.
        RecipeError, DeviceError: when the seed, the recipe, the supervision, or the device cannot be.
        WorkerError: when another worker of the team is gone.
    """
    out, begun = Path(out), None if start is None else load_policy(Path(start))
    chosen = recipe or (Recipe() if begun is None else load_recipe(start=begun))
    check(chosen, seed, goes_on=begun is not None)
    adapter = load_adapter(Path(hop_encoder)) if hop_encoder is not None else None if begun is None else begun.adapter
    taught = Supervision(supervision, reader, out, chosen.reader_epochs, seed)
    where = device_called(device)
    with threadpool_limits(1, user_api="blas"):  # numpy: sums in another order would make another policy
        if chosen.made_beside and supervision == "passages":
            sources = [*sources, *team.in_turn(lambda: sources_beside(sources, out, chosen, seed, warn, progress))]
        if team.rank:  # one of them says everything
            after_round, warn, progress = None, None if warn is None else lambda message: None, None
        told = (where, team, after_round, warn, progress)
        return _Run(sources, out, validation, begun, adapter, chosen, seed, taught, *told).finish(resume)


class _Run:
    """One training run in its folder."""

    def __init__(
        self,
        sources: Sequence[TrainingSource],
        out: Path,
        validation: Sequence[TrainingSource],
        start: LoadedPolicy | None,
        adapter: Adapter | None,
        recipe: Recipe,
        seed: int,
        supervision: Supervision,
        device: torch.device,
        team: Team,
        after_round: Callable[[int, float], None] | None,
        warn: Callable[[str], None] | None,
        progress: Progress | None,
    ) -> None:
        encoders = sorted({source.index.encoder.name for source in (*sources, *validation)})
        if len(encoders) != 1:
            raise QuestionsError(f"training needs indexes of one encoder, not of {', '.join(encoders) or 'none'}")
        self.out = out
        self.start = start
        self.recipe = recipe
        self.seed = seed
        self.settings = recipe.environment()
        self.encoder = encoders[0]
        self.adapter = adapter
        self.supervision = supervision
        self.team = team
        self._after_round = after_round
        self._progress = progress
        self.describe = {
            "recipe": recipe.model_dump(),
            "seed": seed,
            "workers": team.size,
            "sources": [source.describe() for source in sources],
            "validation": [source.describe() for source in validation],
            "encoder": self.encoder,
            "start": None if start is None else start.digest,
            "hop_encoder": None if adapter is None else adapter.digest,
            **supervision.describe(),
        }
        hop_encoder = None if adapter is None or self.encoder != BUILT_IN else MiniLMEncoder(team.threads, adapter)
        self.worlds, self.held_out = (
            load_worlds(part, self.settings, warn, hop_encoder, supervision, team) for part in (sources, validation)
        )
        if not validation:
            aside = max(1, round(len(self.worlds) * recipe.held_out))
            self.worlds, self.held_out = drawn_out(self.worlds, aside, np.random.default_rng([seed, 2**31]))
        self.describe["labelled_questions"] = [len(self.worlds), len(self.held_out)]
        if not self.worlds or not self.held_out:
            raise QuestionsError(f"there are too few questions with {supervision.wants} to train on")
        self.validated = team.share(self.held_out)
        self.ranked = team.share([*self.worlds, *self.held_out])
        self.number_of = {id(source.index): number for number, source in enumerate((*sources, *validation))}
        torch.manual_seed(seed)
        self.network = network_for(sources[0].index, recipe, device)
        if start is not None:
            self._take_over(start)
        self.average = weight_average(self.network, AVERAGE_DECAY)
        self.progressed = Progressed()

    def finish(self, resume: bool) -> TrainingReport:
        """Go on from the checkpoint, if there is one: run the rounds that are left and write ``metrics.json``."""
        self.team.first(lambda: claim(self.out, self.describe, resume))
        if self._checkpoint.exists():
            self.progressed = load_checkpoint(self._checkpoint, self.network, average=self.average)
            self._tell_of_round()
        self._divide(self.team.in_turn(lambda: self.supervision.prepare(self.worlds, self.held_out, self._progress)))
        log = RunLog(self.out, self.progressed.rounds) if self.team.rank == 0 else None
        if self.start is not None and not self.progressed.rounds:
            validated = validate(self._averaged, self.settings, self.validated, self.team)
            self.progressed.peak_round, self.progressed.peak = 0, validated["score"]
            self._keep("start", validated)
        try:
            self._imitate(log)
            self._reinforce(log)
        finally:
            if log is not None:
                log.close()
        metrics = {**self.progressed.kept, "kept_round": float(self.progressed.kept_round)}
        self._rank()
        self._calibrate()
        seconds = round(self.progressed.seconds, 1)
        self.team.first(lambda: write_json(self.out / "metrics.json", {**metrics, "seconds": seconds}))
        return TrainingReport(self.out, metrics, self.progressed.seconds)

    def _take_over(self, start: LoadedPolicy) -> None:
        """Begin with the weights of a policy.

        Raises:
            RecipeError: when the recipe wants another network.
        """
        if self.network.settings != start.architecture:
            raise RecipeError(
                "the recipe's network is another than that of the policy to go on from: leave its settings out, or"
                " train --from none"
            )
        self.network.load_state_dict(start.network.state_dict())

    def _rank(self) -> None:
        """Fit the ranker to what searches of the kept policy see; without labels it is the one that it began with."""
        steps = self.recipe.ranker_steps
        labelled = self.ranked if self.supervision.labels and steps else []
        begun = None if self.start is None else self.start.ranker
        worlds = labelled if begun is not None else [*labelled, *misworded(labelled[::2], self._seeded(2**31 + 4))]
        policy = load_policy(self.out)
        policy.network.to(self.network.device)
        lists = self.team.joined(looked_at(policy, worlds, self.number_of, self._progress))

        def fit() -> None:
            seen = any((one.met >= 0).any() for one in lists)
            ranker = (
                fit_ranker(lists, steps, self.seed, self.recipe.rounds > 0, begun, self.network.device)
                if seen
                else begun
            )
            if ranker is not None:
                save_ranker(self.out, ranker)

        self.team.first(fit)

    def _divide(self, worlds: list[QuestionWorld]) -> None:
        """Keep this worker's share of the questions to learn from.

        Raises:
            QuestionsError: when there are fewer than workers.
        """
        recipe, team = self.recipe, self.team
        imitated, fresh = self._split(worlds)
        if min(len(imitated), len(fresh or imitated)) < team.size:
            raise QuestionsError(f"{len(worlds)} questions are too few for {team.size} workers: use fewer workers")
        repeats = max(1, -(-recipe.epoch_questions // len(balanced(imitated, MOST_REPEATS))))
        self.worlds = balanced(team.share(imitated), MOST_REPEATS) * repeats
        self.fresh = balanced(team.share(fresh), MOST_REPEATS) if fresh else self.worlds

    def _split(self, worlds: list[QuestionWorld]) -> tuple[list[QuestionWorld], list[QuestionWorld]]:
        """Return the questions of the warm start, and those that it leaves to PPO."""
        recipe = self.recipe
        if not recipe.fresh_share or not recipe.ppo_iterations:
            return worlds, []
        if not recipe.imitation_epochs:
            return worlds, worlds
        count = round(len(worlds) * recipe.fresh_share)
        return drawn_out(worlds, count, np.random.default_rng([self.seed, 2**31 + 1]))

    def _calibrate(self) -> None:
        """Fit how sure the kept policy is of its searches, on the validation questions."""
        policy = load_policy(self.out)
        policy.network.to(self.network.device).fact_table = self.network.fact_table
        hop_encoder = policy.hop_encoder(self.team.threads) if self.encoder == BUILT_IN else None
        how = (self.settings, self.validated, self._seeded(2**31 + 2), self.team, policy.ranker, hop_encoder)
        if (confidence := calibrate(policy.network.eval(), *how)) is not None:
            self.team.first(lambda: save_confidence(self.out, confidence))

    @property
    def _checkpoint(self) -> Path:
        return self.out / "checkpoint.safetensors"

    @property
    def _averaged(self) -> PolicyNetwork:
        """The network with the averaged weights, which is validated and kept."""
        return cast(PolicyNetwork, self.average.module)

    def _average(self) -> None:
        self.average.update_parameters(self.network)

    def _imitate(self, log: RunLog | None) -> None:
        recipe = self.recipe
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=recipe.imitation_learning_rate, weight_decay=WEIGHT_DECAY
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
            order = generator.permutation(len(self.worlds))
            worlds = self.supervision.drawn([self.worlds[k] for k in order], generator)
            learner = (self.network, optimizer, self.settings, worlds, OWN_SHARE * min(1.0, 2 * share), generator)
            how = (self.team.part(recipe.imitation_lanes), recipe.wide_share, recipe.wander, recipe.thorough)
            stage = self._stage(f"imitation {number + 1}/{recipe.imitation_epochs}", len(self.worlds))
            loss = imitate_epoch(*learner, *how, self._average, stage, self.team)
            self._end_round("imitation", {"loss": loss}, optimizer, started, log)

    def _reinforce(self, log: RunLog | None) -> None:
        recipe = self.recipe
        last = recipe.imitation_epochs + recipe.ppo_iterations
        if self.progressed.rounds >= last:
            return
        lanes = self.team.part(recipe.ppo_lanes)
        dimension = self.network.settings.question_dimension
        env = SearchVecEnv(self.fresh, self.settings, dimension, lanes, recipe.paths_per_question)
        model = ppo_of(recipe, env, self.network, self._average, self.supervision.answers, self.team)
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
            seed = int(self._seeded(number).integers(2**31))
            statistics = model.iterate(seed, (last - number) / recipe.ppo_iterations)
            self._end_round("ppo", statistics, model.policy.optimizer, started, log)

    def _keep(self, phase: str, validated: dict[str, float]) -> None:
        """Let the policy as it is now be the one that the run gives."""
        number = self.progressed.rounds
        self.progressed.kept_round, self.progressed.kept = number, validated
        training = {**self.describe, "round": number, "phase": phase, "validation_figures": validated}
        kept = (self._averaged, self.settings, self.encoder, training, self.adapter)
        self.team.first(lambda: save_policy(self.out, *kept))

    def _end_round(
        self,
        phase: str,
        figures: dict[str, float],
        optimizer: torch.optim.Optimizer,
        started: float,
        log: RunLog | None,
    ) -> None:
        """Validate, keep the policy if it is the best so far, log, and write the checkpoint."""
        validated = validate(self._averaged, self.settings, self.validated, self.team)
        number = self.progressed.rounds
        if validated["score"] > self.progressed.peak:
            self.progressed.peak_round, self.progressed.peak = number, validated["score"]
        # Less than half a passage of one question apart says nothing, and the later policy has learned more.
        if validated["score"] >= self.progressed.peak - 0.25 / len(self.held_out):
            self._keep(phase, validated)
        self.progressed.rounds += 1
        self.progressed.seconds += time.monotonic() - started
        if log is not None:
            log.write(number, phase, {**figures, **{f"validation_{k}": v for k, v in validated.items()}})
        if self.progressed.rounds == self.recipe.imitation_epochs:
            # PPO sets out from the policy kept so far; in the checkpoint, because PPO's first round may replace it
            self.network.load_state_dict(load_policy(self.out).network.state_dict())
            self.average.module.load_state_dict(self.network.state_dict())
            self.average.n_averaged.fill_(1)
        state = (self.network, optimizer, self.progressed, self.average)
        self.team.first(lambda: save_checkpoint(self._checkpoint, *state))
        self._tell_of_round()

    def _tell_of_round(self) -> None:
        if self._after_round is not None:
            self._after_round(self.progressed.rounds, self.progressed.kept["score"])

    def _seeded(self, number: int) -> np.random.Generator:
        """Return this worker's generator of a round, and seed torch from it."""
        generator = np.random.default_rng([self.seed, number, *([self.team.rank] if self.team.rank else [])])
        torch.manual_seed(int(generator.integers(2**31)))
        return generator

    def _stage(self, name: str, total: int) -> Any:
        """Return a callback that reports progress of one stage, or None."""
        report = self._progress
        return None if report is None else (lambda done: report(name, done, total))


def network_for(index: Index, recipe: Recipe, device: torch.device | str = "cpu") -> PolicyNetwork:
    """Return an untrained network that fits an index, on a device; its weights are drawn on the CPU."""
    settings = recipe.network(question_dimension(index))
    if index.facts is None:
        return PolicyNetwork(settings).to(device)
    scale = index.fact_encoder.scale
    network = PolicyNetwork(replace(settings, fact_kinds=index.facts.kind_count, fact_scale=scale)).to(device)
    network.use_facts(FactTable(index.facts, device))
    return network
