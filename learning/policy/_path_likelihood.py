r"""The marginal likelihood of an answer over retrieval paths.

**Model.** A path :math:`z = (a_1 .. a_T)` is latent. The policy draws it, :math:`\pi_\theta(z \mid q) = \prod_t
\pi_\theta(a_t \mid s_t)` (an action leads to one state only, so nothing else is random), and a reader answers from what
it found, :math:`p(y \mid z, q)`. The answer's likelihood sums the path out:

.. math::
    p_\theta(y \mid q) = \sum_z p(y \mid z, q)\, \pi_\theta(z \mid q).

All paths cannot be listed. Over a set :math:`Z(q)` of *distinct* paths the sum is a lower bound, tight as the set
holds the paths that matter: those the policy samples, those a beam search finds most probable, and those that the
labels or the answer say lead to the evidence. The objective is its negative logarithm,

.. math::
    L_{ML}(\theta) = - \log \sum_{z \in Z(q)} p(y \mid z, q)\, \pi_\theta(z \mid q).

A path that stood in :math:`Z(q)` twice would count twice, and the bound would not hold: sets are de-duplicated by their
actions.

**Where a path ends.** What search may cost is for PPO to learn, from prices (docs/learning.md). So :math:`z` is the
episode up to where its evidence is worth most to the reader, and :math:`\pi_\theta(z \mid q)` the chance that an
episode begins with it. Episodes that begin with :math:`z` exclude those that begin with :math:`z'`, unless one is the
beginning of the other: then only the longer stays in the set.

**Gradient.** With :math:`\nabla \pi = \pi \nabla \log \pi` and a reader that does not depend on :math:`\theta`,

.. math::
    \nabla L_{ML} = - \sum_{z} w_z \nabla \log \pi_\theta(z \mid q), \qquad
    w_z = \frac{p(y \mid z, q)\, \pi_\theta(z \mid q)}{\sum_{z' \in Z(q)} p(y \mid z', q)\, \pi_\theta(z' \mid q)}:

every path is imitated as much as its posterior says, which is the M-step of expectation maximisation with the E-step
taken anew at every gradient step. The weights are self-normalised: a constant factor of the reader cancels. Everything
is computed in log-space, where automatic differentiation of a log-sum-exp gives this gradient. The order in which
evidence is found stays latent: orders are different paths, and their likelihoods add up.

**Collapse.** The posterior is also what can go wrong: a path that gets ahead is imitated more and gets further ahead
until the policy knows no other, although the reader holds others to be as good. Entropy :math:`H(w)` and effective
sample size :math:`1 / \sum_z w_z^2` are reported, beside the entropy :math:`H(r)` of the reader's own weights,
:math:`r_z \propto p(y \mid z, q)`. Where :math:`H(w)` falls under a share :math:`\phi` of :math:`H(r)`, the hinge
:math:`\max(0, \phi H(r) - H(w))` pushes back; above it, it is zero and the objective is the exact one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

ENTROPY_FLOOR = 0.1
"""Share of the reader's entropy over paths under which the posterior counts as collapsing."""


@dataclass(frozen=True, slots=True)
class PathLoss:
    """The objective and what tells whether it is healthy; means over the questions.

    Attributes:
        loss: scalar, L_ML.
        collapse: scalar, the hinge on the posterior's entropy; 0 while paths stay as diverse as the reader wants them.
        effective_paths: 1 / sum w_z^2; 1 means that one path has all the weight.
        entropy: of w, in nats.
        reader_entropy: of the reader's own weights over the same paths, in nats.
    """

    loss: Tensor
    collapse: Tensor
    effective_paths: float
    entropy: float
    reader_entropy: float

    def figures(self) -> dict[str, float]:
        """Return them by name, for a log."""
        losses = {"marginal_likelihood_loss": self.loss, "path_collapse": self.collapse}
        entropies = {"path_entropy": self.entropy, "reader_path_entropy": self.reader_entropy}
        return {n: float(t.detach()) for n, t in losses.items()} | {"effective_paths": self.effective_paths} | entropies


def path_log_probabilities(step_log_probabilities: Tensor, path_of_step: Tensor, paths: int) -> Tensor:
    """Sum the log-probabilities of steps [t] into those of their paths [z]."""
    return step_log_probabilities.new_zeros(paths).index_add(0, path_of_step, step_log_probabilities)


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
    evidence = log_sum_exp_by(joint, question_of_path, questions)  # [q]
    if not questions or not torch.isfinite(evidence).all():
        without = torch.nonzero(~torch.isfinite(evidence)).flatten().tolist()
        raise ValueError(f"questions {without} of {questions} have no path of finite likelihood: leave them out")
    log_weights = joint - evidence[question_of_path]  # [z]
    weights = log_weights.detach().exp()
    entropy = _entropy_by(log_weights, question_of_path, questions)  # [q]
    with torch.no_grad():
        log_own = log_reader - log_sum_exp_by(log_reader, question_of_path, questions)[question_of_path]
        reader_entropy = _entropy_by(log_own, question_of_path, questions)
    squares = joint.new_zeros(questions).index_add(0, question_of_path, weights**2)
    return PathLoss(
        -evidence.mean(),
        (ENTROPY_FLOOR * reader_entropy - entropy).clamp(min=0).mean(),
        float((1 / squares).mean()),
        float(entropy.detach().mean()),
        float(reader_entropy.mean()),
    )


def log_sum_exp_by(values: Tensor, group: Tensor, groups: int) -> Tensor:
    """Return log sum exp of the values [z] of each group [g]; -inf for a group of none, or of -inf alone."""
    highest = values.new_full((groups,), -torch.inf).scatter_reduce(0, group, values.detach(), "amax")
    shift = torch.where(torch.isfinite(highest), highest, 0.0)
    total = values.new_zeros(groups).index_add(0, group, (values - shift[group]).exp())
    return shift + total.log()


def _entropy_by(log_weights: Tensor, group: Tensor, groups: int) -> Tensor:
    """Return the entropy [g] of normalised weights given as logarithms [z]; a weight of 0 adds nothing."""
    finite = torch.where(log_weights > -60.0, log_weights, 0.0)  # e^-60 is nothing, and 0 * -inf has no gradient
    return log_weights.new_zeros(groups).index_add(0, group, -finite.exp() * finite)
