"""PPO with the marginal likelihood over retrieval paths in the same loss.

``L = L_PPO + beta L_ML``: PPO (Schulman et al. 2017, arXiv:1707.06347, eq. 9) as sb3-contrib's MaskablePPO collects
and clips it, and L_ML of :mod:`._path_likelihood` over the paths that the rollout sampled for each question together
with those a beam search finds and those derived from its labels or its answer. PPO sees what was sampled only; the
other paths are how L_ML knows of evidence that no episode found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.logger import Logger
from torch import Tensor, nn

from ...agent._network import PolicyNetwork, in_parts
from ...envs._vector_env import SearchVecEnv
from ._paths import Path, Steps, distinct, path_loss, paths_from_beam, paths_from_labels
from ._supervision import AnswerSupervision
from ._workers import ALONE, Team
from .recipe import BEAM_WIDTH, CLIP_RANGE, GAE_LAMBDA, VALUE_WEIGHT, WEIGHT_DECAY, Recipe

VALUE_PASSES = 12
"""Passes over the rollout from which the value head learns alone."""

LIKELY_SETS = 3
"""Sets of evidence of a question to which paths are derived from its answer."""


class SearchPPO(MaskablePPO):  # type: ignore[misc]
    """MaskablePPO whose loss also holds the marginal likelihood over retrieval paths.

    Args:
        env: the lanes to collect from.
        beta: weight of L_ML; 0 is plain PPO.
        stepped: called after every gradient step.
        beam_width: paths of each question that a beam search adds to those sampled; 0 adds none.
        answers: knows the likely evidence of questions without labels; None where labels are known.
        thorough: paths from labels ask before they take. The others know what an operator will bring, and lead a
            policy that cannot know to trust in luck.
        team: whoever learns together, each from a rollout of its own lanes; a gradient step learns from all of them.
            All have as many lanes, and minibatches of a size.
        kwargs: what MaskablePPO takes.
    """

    policy: SearchPolicy

    def __init__(
        self,
        env: SearchVecEnv,
        beta: float,
        stepped: Callable[[], None] | None = None,
        beam_width: int = 0,
        answers: AnswerSupervision | None = None,
        thorough: bool = False,
        team: Team = ALONE,
        **kwargs: Any,
    ) -> None:
        self.beta = beta
        self._stepped = stepped
        self.beam_width = beam_width
        self.answers = answers
        self.thorough = thorough
        self.team = team
        self.lanes_env = env
        self._values_alone = False
        self._left = 1.0
        self.statistics: dict[str, float] = {}
        """Means over the last update: losses, entropies, effective paths, clipping, approximate KL."""
        super().__init__(SearchPolicy, env, **kwargs)

    def iterate(self, seed: int, left: float = 1.0, values_alone: bool = False) -> dict[str, float]:
        """Collect one rollout from fresh episodes and learn from it; returns its statistics.

        Everything random is drawn from ``seed``, so an iteration depends on nothing but the weights, the
        optimizer and its own seed.

        Args:
            seed: of everything random.
            left: share of the iterations that is still to come; learning rate and entropy weight fall with it. In the
                end little is left to learn, and normalised advantages are noise as large as any.
            values_alone: only the value head learns. After a warm start by imitation it knows nothing, and advantages
                over nothing tell how hard a question is, not how good an action was.
        """
        self._values_alone = values_alone
        self._left = left
        self.set_random_seed(seed)
        self.lanes_env.reshuffle(seed)
        self._last_obs = None
        self._seed = seed
        self.learn(self.n_steps * self.n_envs, reset_num_timesteps=False)
        return self.statistics

    def train(self) -> None:
        """Learn from the rollout: several passes of minibatches, each with its share of the questions' paths."""
        self.policy.set_training_mode(True)
        for settings in self.policy.optimizer.param_groups:
            settings["lr"] = self._left * float(self.learning_rate)
        if self._values_alone:
            self._learn_values()
            return
        steps, paths = self._gather_paths()
        records: list[dict[str, float]] = []
        generator = np.random.default_rng(self._seed)
        for _ in range(self.n_epochs):
            groups = self._question_groups(list(paths), generator)
            for data in self.rollout_buffer.get(self.batch_size):
                loss, record = self._ppo_loss(data)
                group = next(groups)
                if self.beta and group:
                    marginal = path_loss(self.policy.network, steps, paths, group)
                    loss = loss + self.beta * (marginal.loss + marginal.collapse)
                    record |= marginal.figures()
                records.append(record)
                if self.target_kl is not None and self.team.mean(record["approximate_kl"]) > 1.5 * self.target_kl:
                    break
                self.policy.optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                self.team.average_gradients(self.policy, len(data.actions))
                nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
                self.policy.optimizer.step()
                if self._stepped is not None:
                    self._stepped()
            else:
                continue
            break
        self.statistics = _means(self.team.joined(records))
        returns = self.team.joined([episode.total_reward for episode in self.lanes_env.finished])
        self.statistics["episodes"] = len(returns)
        if returns:
            self.statistics["train_return"] = float(np.mean(returns))

    def _learn_values(self) -> None:
        """Let the value head alone learn from the rollout; what it reads of every state is computed once."""
        data = next(iter(self.rollout_buffer.get()))
        network = self.policy.network.eval()
        states = network.searches(data.observations)
        for _ in range(VALUE_PASSES):
            losses = []
            for part in torch.split(torch.randperm(len(states)).to(states.device), self.batch_size):
                loss = nn.functional.mse_loss(network.value(states[part]).squeeze(1), data.returns[part])
                losses.append(float(loss.detach()))
                self.policy.optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                self.team.average_gradients(self.policy, len(part))
                self.policy.optimizer.step()
        self.statistics = {"value_loss": float(np.mean(losses))}

    def _ppo_loss(self, data: Any) -> tuple[Tensor, dict[str, float]]:
        """Return the clipped surrogate, value and entropy losses together, and their figures."""
        values, log_probabilities, entropy = self.policy.evaluate_actions(
            data.observations, data.actions.long().flatten(), data.action_masks
        )
        advantages = data.advantages
        if len(advantages) > 1:  # the last minibatch of a pass may be a single step, which has no deviation
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        log_ratio = log_probabilities - data.old_log_prob
        ratio = log_ratio.exp()
        clip = float(self.clip_range(self._current_progress_remaining))
        surrogate = torch.min(advantages * ratio, advantages * ratio.clamp(1 - clip, 1 + clip)).mean()
        value_loss = nn.functional.mse_loss(values, data.returns)
        loss = -surrogate + self.vf_coef * value_loss - self._left * self.ent_coef * entropy.mean()
        with torch.no_grad():
            record = {
                "policy_loss": -float(surrogate),
                "value_loss": float(value_loss),
                "entropy": float(entropy.mean()),
                "clip_share": float(((ratio - 1).abs() > clip).float().mean()),
                "approximate_kl": float((ratio - 1 - log_ratio).mean()),
            }
        return loss, record

    def _gather_paths(self) -> tuple[Steps, dict[int, list[Path]]]:
        """Collect the paths of every question that the rollout finished: sampled, beamed, and derived; each once."""
        buffer = self.rollout_buffer
        next(iter(buffer.get(1)))  # makes the buffer lay its arrays out as [lane * steps + step]
        sampled = Steps(
            dict(buffer.observations), buffer.action_masks.astype(np.bool_), buffer.actions.astype(np.int64).ravel()
        )
        if not self.beta or not self.lanes_env.finished:
            return sampled, {}
        paths = []
        for episode in self.lanes_env.finished:
            at = np.arange(episode.first, episode.first + episode.peak.steps) + episode.lane * self.n_steps
            paths.append(Path(episode.question, at, episode.peak.log_reader))
        questions = sorted({episode.question for episode in self.lanes_env.finished})
        steps = sampled
        for more, found in self._derived_paths(questions):
            paths += [Path(path.question, path.steps + len(steps), path.log_reader) for path in found]
            steps = steps.joined(more)
        return steps, distinct(paths, steps.actions)

    def _derived_paths(self, questions: list[int]) -> Iterator[tuple[Steps, list[Path]]]:
        """Yield the paths of a beam search, and those to each of the likeliest sets of evidence."""
        env = self.lanes_env
        settings, network = env.batch.settings, self.policy.network
        network.eval()
        if self.beam_width:
            yield paths_from_beam(network, env.worlds, questions, settings, self.beam_width)
        generator = np.random.default_rng(self._seed)
        for rank in range(LIKELY_SETS if self.answers is not None else 1):
            known = self._believe(questions, rank)
            if known:
                yield paths_from_labels(network, env.worlds, known, settings, generator, self.thorough)
        network.train()

    def _believe(self, questions: list[int], rank: int) -> list[int]:
        """Let each question's likely evidence of a rank count as its evidence; returns the questions that have it."""
        if self.answers is None:
            return questions
        known = []
        for question in questions:
            world = self.lanes_env.worlds[question]
            latent = self.answers.of(world)
            likely = latent.best(LIKELY_SETS) if latent is not None else []
            if rank < len(likely):
                world.set_gold(frozenset(likely[rank]))
                known.append(question)
        return known

    def _question_groups(self, questions: list[int], generator: np.random.Generator) -> Iterator[list[int]]:
        """Split the questions over the minibatches of one pass."""
        minibatches = -(-self.n_steps * self.n_envs // self.batch_size)
        shuffled = [questions[k] for k in generator.permutation(len(questions))]
        return iter([shuffled[k::minibatches] for k in range(minibatches)])


def _means(records: list[dict[str, float]]) -> dict[str, float]:
    names = {name for record in records for name in record}
    return {name: float(np.mean([record[name] for record in records if name in record])) for name in sorted(names)}


def ppo_of(
    recipe: Recipe,
    env: SearchVecEnv,
    network: PolicyNetwork,
    stepped: Callable[[], None],
    answers: AnswerSupervision | None,
    team: Team,
) -> SearchPPO:
    """Return the learner of a recipe, see :class:`SearchPPO`; it logs nothing by itself."""
    model = SearchPPO(
        env,
        recipe.beta,
        stepped,
        BEAM_WIDTH,
        answers,
        recipe.thorough,
        team,
        n_steps=recipe.ppo_steps,
        batch_size=team.part(recipe.minibatch),
        n_epochs=recipe.ppo_passes,
        learning_rate=recipe.ppo_learning_rate,
        gamma=1.0,
        gae_lambda=GAE_LAMBDA,
        clip_range=CLIP_RANGE,
        ent_coef=recipe.entropy_weight,
        vf_coef=VALUE_WEIGHT,
        target_kl=recipe.target_kl,
        device=network.device,
        policy_kwargs={"network": network, "weight_decay": WEIGHT_DECAY},
    )
    model.set_logger(Logger(None, []))
    return model


class SearchPolicy(MaskableActorCriticPolicy):  # type: ignore[misc]
    """MaskablePPO's view of a :class:`PolicyNetwork`; the network is given, not built here.

    Args:
        network: what is trained.
        weight_decay: of the AdamW optimizer.
        args, kwargs: what stable-baselines3 passes to every policy.
    """

    def __init__(self, *args: Any, network: PolicyNetwork, weight_decay: float = 0.0, **kwargs: Any) -> None:
        self._given = (network, weight_decay)
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Any) -> None:
        network, weight_decay = self._given
        self.network = network
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=lr_schedule(1), weight_decay=weight_decay)

    def forward(
        self, obs: dict[str, Tensor], deterministic: bool = False, action_masks: NDArray[np.bool_] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Choose actions [b]; returns actions, values [b, 1] and log-probabilities [b]."""
        log_probabilities, values = self.network(obs, _mask(action_masks, self, len(obs["budget"])))
        if deterministic:
            actions = log_probabilities.argmax(dim=1)
        else:
            actions = torch.multinomial(log_probabilities.exp(), 1).squeeze(1)
        chosen = log_probabilities.gather(1, actions.unsqueeze(1)).squeeze(1)
        return actions, values.unsqueeze(1), chosen

    def evaluate_actions(
        self, obs: dict[str, Tensor], actions: Tensor, action_masks: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return values [b], log-probabilities of ``actions`` [b] and entropies [b]."""
        log_probabilities, values = in_parts(self.network, obs, _mask(action_masks, self, len(actions)))
        chosen = log_probabilities.gather(1, actions.long().reshape(-1, 1)).squeeze(1)
        entropy = -(log_probabilities.exp() * log_probabilities).sum(dim=1)
        return values, chosen, entropy

    def predict_values(self, obs: dict[str, Tensor]) -> Tensor:
        """Return values [b, 1]."""
        return self.network.scores(obs)[1].unsqueeze(1)

    def _predict(
        self, observation: dict[str, Tensor], deterministic: bool = False, action_masks: NDArray[np.bool_] | None = None
    ) -> Tensor:
        return self.forward(observation, deterministic, action_masks)[0]


def _mask(action_masks: NDArray[np.bool_] | Tensor | None, policy: SearchPolicy, states: int) -> Tensor:
    """Return the mask as bool [b, a]; without one every action counts as legal."""
    if action_masks is None:
        return torch.ones(states, int(policy.action_space.n), dtype=torch.bool, device=policy.network.device)
    return torch.as_tensor(action_masks, device=policy.network.device).bool()
