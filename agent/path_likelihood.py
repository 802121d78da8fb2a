r"""The marginal likelihood of an answer over retrieval paths.

A path z = (a_1 .. a_T) is latent. The policy gives it pi(z | q) = prod_t pi(a_t | s_t), a reader or the labels give
p(y | z, q), and the answer's likelihood is the sum over the paths that are known for the question:

.. math::
    L_{ML}(\theta) = - \log \sum_{z \in Z(q)} p(y | z, q)\, \pi_\theta(z | q).

Its gradient weighs each path by its posterior among them,

.. math::
    \nabla L_{ML} = - \sum_{z} w_z \nabla \log \pi_\theta(z | q), \qquad
    w_z = \frac{p(y | z, q)\, \pi_\theta(z | q)}{\sum_{z'} p(y | z', q)\, \pi_\theta(z' | q)},

which is what automatic differentiation of a log-sum-exp does. Paths must be distinct: a path that stood twice in
Z(q) would count twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

READER_ERROR = 0.05
"""Chance that the coverage reader misjudges one supporting passage."""


@dataclass(frozen=True, slots=True)
class PathLoss:
    """The objective and what tells whether it is healthy.

    Attributes:
        loss: scalar, the mean of L_ML over the questions.
        effective_paths: mean over questions of 1 / sum w_z^2; 1 means that one path has all the weight.
        entropy: mean over questions of the entropy of w, in nats.
    """

    loss: Tensor
    effective_paths: float
    entropy: float


def coverage_log_likelihood(found: int, missing: int, error: float = READER_ERROR) -> float:
    """Return log p(y | z, q) when the labels are the reader.

    Each supporting passage is judged right with chance 1 - error when the path took it, and by luck with chance
    error when it did not.
    """
    return found * log(1 - error) + missing * log(error)


def path_log_probabilities(step_log_probabilities: Tensor, path_of_step: Tensor, paths: int) -> Tensor:
    """Sum the log-probabilities of steps [t] into those of their paths [z]."""
    return torch.zeros(paths, dtype=step_log_probabilities.dtype).index_add(0, path_of_step, step_log_probabilities)


def marginal_likelihood_loss(
    log_policy: Tensor, log_reader: Tensor, question_of_path: Tensor, questions: int
) -> PathLoss:
    """Return L_ML, averaged over questions, from its distinct paths.

    Args:
        log_policy: log pi(z | q) [z], differentiable.
        log_reader: log p(y | z, q) [z]; -inf where a path cannot lead to the answer.
        question_of_path: question of each path [z], 0 to questions - 1.
        questions: number of questions.

    Raises:
        ValueError: when a question has no path of finite likelihood, and so no gradient.
    """
    joint = log_policy + log_reader  # [z]
    highest = torch.full((questions,), -torch.inf, dtype=joint.dtype).scatter_reduce(
        0, question_of_path, joint.detach(), "amax"
    )  # [q]
    if not questions or not torch.isfinite(highest).all():
        without = torch.nonzero(~torch.isfinite(highest)).flatten().tolist()
        raise ValueError(f"questions {without} of {questions} have no path of finite likelihood: leave them out")
    scaled = (joint - highest[question_of_path]).exp()  # [z], largest of a question is 1
    total = torch.zeros(questions, dtype=joint.dtype).index_add(0, question_of_path, scaled)  # [q]
    evidence = highest + total.log()  # [q]
    weights = (scaled / total[question_of_path]).detach()  # [z]
    squares = torch.zeros(questions, dtype=joint.dtype).index_add(0, question_of_path, weights**2)
    entropy = -(weights * weights.clamp(min=1e-30).log()).sum() / questions
    return PathLoss(-evidence.mean(), float((1 / squares).mean()), float(entropy))
