"""The marginal likelihood over paths and its gradient, against enumeration and hand formulas."""

from __future__ import annotations

from itertools import permutations, product
from math import exp, log
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from trailhound.envs._vector_env import coverage_log_likelihood
from trailhound.learning.policy._path_likelihood import (
    ENTROPY_FLOOR,
    PathLoss,
    marginal_likelihood_loss,
    path_log_probabilities,
)

HORIZON, STATES, ACTIONS = 3, 3, 2


def loss_of(log_policy: list[float], log_reader: list[float], owner: list[int] | None = None) -> Tensor:
    owner = owner or [0] * len(log_policy)
    tensors = torch.tensor(log_policy).double(), torch.tensor(log_reader).double(), torch.tensor(owner)
    return marginal_likelihood_loss(*tensors, max(owner) + 1).loss


class TinyProblem:
    """A deterministic problem of 3 states, 2 actions and 3 steps, with a softmax policy: 8 paths in all."""

    def __init__(self, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self.logits = torch.tensor(generator.normal(size=(STATES, ACTIONS)), requires_grad=True)
        self.next_state = generator.integers(STATES, size=(STATES, ACTIONS))
        self.paths = list(product(range(ACTIONS), repeat=HORIZON))
        self.log_reader = torch.tensor(np.log(generator.random(len(self.paths))))

    def visited(self, path: tuple[int, ...]) -> list[tuple[int, int]]:
        """Return the states and actions of a path, from state 0."""
        state, pairs = 0, []
        for action in path:
            pairs.append((state, action))
            state = int(self.next_state[state, action])
        return pairs

    def log_policy(self) -> Tensor:
        pairs = [pair for path in self.paths for pair in self.visited(path)]
        steps = torch.log_softmax(self.logits, dim=1)[[s for s, _ in pairs], [a for _, a in pairs]]
        return path_log_probabilities(steps, torch.arange(len(self.paths)).repeat_interleave(HORIZON), len(self.paths))

    def loss(self) -> Tensor:
        owner = torch.zeros(len(self.paths), dtype=torch.int64)
        return marginal_likelihood_loss(self.log_policy(), self.log_reader, owner, 1).loss


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_is_minus_the_log_of_the_sum_over_every_path(seed: int) -> None:
    problem = TinyProblem(seed)
    policy = torch.softmax(problem.logits, dim=1).detach().numpy()
    likelihood = 0.0
    for path, reader in zip(problem.paths, problem.log_reader.exp().tolist(), strict=True):
        likelihood += reader * float(np.prod([policy[pair] for pair in problem.visited(path)]))
    assert problem.loss().item() == pytest.approx(-log(likelihood), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_gradient_weighs_each_path_by_its_posterior(seed: int) -> None:
    """By hand: minus the sum over paths of w_z (one-hot of the action minus the policy), at every visited state."""
    problem = TinyProblem(seed)
    problem.loss().backward()  # type: ignore[no-untyped-call]
    policy = torch.softmax(problem.logits, dim=1).detach().numpy()
    joint = (problem.log_policy() + problem.log_reader).detach().exp().numpy()
    expected = np.zeros((STATES, ACTIONS))
    for path, weight in zip(problem.paths, joint / joint.sum(), strict=True):
        for state, action in problem.visited(path):
            expected[state] -= weight * (np.eye(ACTIONS)[action] - policy[state])
    assert problem.logits.grad is not None
    np.testing.assert_allclose(problem.logits.grad.numpy(), expected, atol=1e-12)


def test_the_gradient_is_that_of_finite_differences() -> None:
    problem = TinyProblem(9)
    problem.loss().backward()  # type: ignore[no-untyped-call]
    assert problem.logits.grad is not None
    for state, action in product(range(STATES), range(ACTIONS)):
        values = []
        for change in (1e-6, -1e-6):
            with torch.no_grad():
                problem.logits[state, action] += change
                values.append(problem.loss().item())
                problem.logits[state, action] -= change
        difference = (values[0] - values[1]) / 2e-6
        assert problem.logits.grad[state, action].item() == pytest.approx(difference, abs=1e-6)


@given(
    st.lists(st.lists(st.tuples(st.floats(-50, 0), st.floats(-50, 0)), min_size=1, max_size=5), min_size=1, max_size=4),
    st.randoms(),
)
def test_questions_are_averaged_whatever_the_order_of_their_paths(
    questions: list[list[tuple[float, float]]], random: Random
) -> None:
    rows = [(number, *pair) for number, paths in enumerate(questions) for pair in paths]
    random.shuffle(rows)
    owner, policy, reader = (torch.tensor(column) for column in zip(*rows, strict=True))
    together = marginal_likelihood_loss(policy.double(), reader.double(), owner, len(questions))
    alone = [-log(sum(exp(a + b) for a, b in paths)) for paths in questions]
    assert together.loss.item() == pytest.approx(float(np.mean(alone)), rel=1e-6, abs=1e-6)
    assert 1 - 1e-9 <= together.effective_paths <= max(map(len, questions)) + 1e-9
    assert -1e-9 <= together.entropy <= log(max(map(len, questions))) + 1e-9


def test_effective_paths_and_entropy_by_hand() -> None:
    """The first question's weights are 1/2, 1/4, 1/4; the second question has one path."""
    joint = torch.tensor([log(0.2), log(0.1), log(0.1), log(0.7)])
    result = marginal_likelihood_loss(joint, torch.zeros(4), torch.tensor([0, 0, 0, 1]), 2)
    assert result.loss.item() == pytest.approx((-log(0.4) - log(0.7)) / 2)
    assert result.effective_paths == pytest.approx((1 / (1 / 4 + 1 / 16 + 1 / 16) + 1) / 2)
    assert result.entropy == pytest.approx((0.5 * log(2) + 0.5 * log(4)) / 2)


def test_one_path_is_its_own_negative_log_likelihood() -> None:
    assert loss_of([-3.5], [-0.25]).item() == 3.75


@pytest.mark.parametrize("shift", [0.0, -1e3, -1e6, 1e3])
def test_very_small_likelihoods_neither_underflow_nor_change_the_gradient(shift: float) -> None:
    policy = torch.tensor([-1.0, -2.0, -4.0], dtype=torch.float64, requires_grad=True)
    result = marginal_likelihood_loss(policy, torch.full((3,), shift).double(), torch.zeros(3, dtype=torch.int64), 1)
    result.loss.backward()  # type: ignore[no-untyped-call]
    assert result.loss.item() == pytest.approx(-log(exp(-1) + exp(-2) + exp(-4)) - shift)
    assert policy.grad is not None
    torch.testing.assert_close(policy.grad, -torch.softmax(policy.detach(), dim=0))


def test_a_path_that_cannot_lead_to_the_answer_has_no_weight() -> None:
    policy = torch.tensor([-1.0, -2.0], requires_grad=True)
    result = marginal_likelihood_loss(policy, torch.tensor([-torch.inf, -1.0]), torch.tensor([0, 0]), 1)
    result.loss.backward()  # type: ignore[no-untyped-call]
    assert result.loss.item() == 3.0
    assert policy.grad is not None
    assert policy.grad.tolist() == [0.0, -1.0]
    assert (result.effective_paths, result.entropy) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("reader", "owner", "questions", "named"),
    [
        ([-torch.inf, -1.0], [0, 1], 2, r"questions \[0\] of 2"),
        ([float("nan"), -1.0], [0, 1], 2, r"questions \[0\] of 2"),
        ([-1.0, -1.0], [0, 0], 2, r"questions \[1\] of 2"),
        ([], [], 0, "of 0"),
    ],
    ids=["impossible", "not a number", "no path", "no question"],
)
def test_a_question_without_a_possible_path_is_named(
    reader: list[float], owner: list[int], questions: int, named: str
) -> None:
    policy = torch.zeros(len(reader))
    with pytest.raises(ValueError, match=named):
        marginal_likelihood_loss(policy, torch.tensor(reader), torch.tensor(owner, dtype=torch.int64), questions)


def test_steps_are_summed_into_their_paths() -> None:
    steps = torch.tensor([-1.0, -2.0, -4.0, -8.0])
    assert path_log_probabilities(steps, torch.tensor([1, 0, 1, 1]), 3).tolist() == [-2.0, -13.0, 0.0]


def test_the_coverage_reader_by_hand() -> None:
    assert coverage_log_likelihood(0, 0) == 0.0
    assert coverage_log_likelihood(2, 1) == pytest.approx(log(0.95 * 0.95 * 0.05))
    assert coverage_log_likelihood(1, 2, error=0.2) == pytest.approx(log(0.8 * 0.2 * 0.2))
    assert coverage_log_likelihood(3, 0) > coverage_log_likelihood(2, 1) > coverage_log_likelihood(0, 3)


class OrderFree:
    """Take some of four passages in any order, then stop; two support the answer. All 65 paths can be listed.

    The policy scores each passage and STOP by a weight, and each passage that follows another by a weight of the pair.
    """

    PASSAGES, STOP = 4, 4
    GOLD = frozenset((1, 3))

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.weights = torch.randn(6, 5, generator=generator, dtype=torch.float64, requires_grad=True)
        self.paths = [
            (*order, self.STOP)
            for count in range(self.PASSAGES + 1)
            for order in permutations(range(self.PASSAGES), count)
        ]

    def log_probability(self, path: tuple[int, ...]) -> Tensor:
        total, before, left = torch.zeros((), dtype=torch.float64), 5, [0, 1, 2, 3, 4]
        for action in path:
            total = total + torch.log_softmax(self.weights[before][left], dim=0)[left.index(action)]
            before = action
            left = [choice for choice in left if choice != action]
        return total

    def loss(self, log_reader: list[float], paths: list[tuple[int, ...]] | None = None) -> PathLoss:
        chosen = paths or self.paths
        policy = torch.stack([self.log_probability(path) for path in chosen])
        reader = torch.tensor(log_reader, dtype=torch.float64)
        return marginal_likelihood_loss(policy, reader, torch.zeros(len(chosen), dtype=torch.int64), 1)

    def coverage(self, path: tuple[int, ...]) -> float:
        found = len(self.GOLD.intersection(path))
        return coverage_log_likelihood(found, len(self.GOLD) - found)

    def answer(self, path: tuple[int, ...]) -> float:
        """An answer that is read in passage 3, better after passage 1, and blurred by passage 0; order counts."""
        chance = 0.05 + 0.5 * (3 in path) + 0.3 * (1 in path and 3 in path and path.index(1) < path.index(3))
        return log(chance / (1 + (0 in path)))


@pytest.mark.parametrize("kind", ["coverage", "answer"])
@pytest.mark.parametrize("seed", range(3))
def test_every_order_is_summed_out(kind: str, seed: int) -> None:
    """Value and gradient against the plain sum over all paths, in ordinary space."""
    problem = OrderFree(seed)
    reader = [getattr(problem, kind)(path) for path in problem.paths]
    ours = problem.loss(reader)
    ours.loss.backward()  # type: ignore[no-untyped-call]
    assert problem.weights.grad is not None
    gradient = problem.weights.grad.clone()
    problem.weights.grad = None
    plain = (
        -torch.stack(
            [problem.log_probability(path).exp() * exp(r) for path, r in zip(problem.paths, reader, strict=True)]
        )
        .sum()
        .log()
    )
    plain.backward()  # type: ignore[no-untyped-call]
    assert ours.loss.item() == pytest.approx(plain.item(), abs=1e-12)
    torch.testing.assert_close(gradient, problem.weights.grad, atol=1e-12, rtol=1e-9)
    chances = [problem.log_probability(path).exp().item() for path in problem.paths]
    assert sum(chances) == pytest.approx(1), "the paths listed are all there are"


def test_fewer_paths_are_a_bound_that_tightens() -> None:
    problem = OrderFree(0)
    losses = [
        problem.loss([problem.coverage(path) for path in problem.paths[:count]], problem.paths[:count]).loss.item()
        for count in (10, 30, len(problem.paths))
    ]
    assert losses == sorted(losses, reverse=True)


def test_a_constant_factor_of_the_reader_changes_no_weight() -> None:
    problem = OrderFree(1)
    reader = [problem.coverage(path) for path in problem.paths]
    gradients = []
    for shift in (0.0, -7.0):
        problem.weights.grad = None
        problem.loss([r + shift for r in reader]).loss.backward()  # type: ignore[no-untyped-call]
        assert problem.weights.grad is not None
        gradients.append(problem.weights.grad.clone())
    torch.testing.assert_close(*gradients)


def test_the_guard_wakes_where_one_path_takes_all_though_others_are_as_good() -> None:
    """Two paths that the reader cannot tell apart: ln 2 of its entropy, of which the posterior should keep a tenth."""
    sure = torch.tensor([0.0, -12.0], dtype=torch.float64, requires_grad=True)
    owner = torch.zeros(2, dtype=torch.int64)
    result = marginal_likelihood_loss(sure, torch.zeros(2).double(), owner, 1)
    weight = 1 / (1 + exp(-12))
    entropy = -(weight * log(weight) + (1 - weight) * log(1 - weight))
    assert result.reader_entropy == pytest.approx(log(2))
    assert result.entropy == pytest.approx(entropy)
    assert result.collapse.item() == pytest.approx(ENTROPY_FLOOR * log(2) - entropy)
    result.collapse.backward()  # type: ignore[no-untyped-call]
    assert sure.grad is not None
    assert sure.grad[1] < 0 < sure.grad[0], "descending it raises the path that was left behind"


@pytest.mark.parametrize(
    ("policy", "reader"), [([-1.0, -1.5], [-0.1, -0.1]), ([0.0, -12.0], [0.0, -20.0])], ids=["diverse", "rightly sure"]
)
def test_the_guard_sleeps_otherwise(policy: list[float], reader: list[float]) -> None:
    tensors = torch.tensor(policy).double(), torch.tensor(reader).double()
    result = marginal_likelihood_loss(*tensors, torch.zeros(2, dtype=torch.int64), 1)
    assert result.collapse.item() == pytest.approx(0, abs=1e-7)
