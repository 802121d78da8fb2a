"""Policies that were saved before a sub-index became an operator: they go on with weights of zero for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..envs.features import DYNAMIC, STATIC
from ..envs.settings import OPTIONAL, SUB_INDEXES


def missing_operators(features: object) -> tuple[str, ...]:
    """Return which of ``OPTIONAL`` a policy's description lacks: they became operators after the first policies.

    Args:
        features: what the description says of its features; () is returned where it says nothing.
    """
    dynamic = features.get("dynamic") if isinstance(features, Mapping) else None
    if not isinstance(dynamic, Sequence):
        return ()
    return tuple(name for name in OPTIONAL if _found_by(name) not in dynamic)


def features_before(dynamic: Sequence[str], missing: Sequence[str]) -> list[str]:
    """Return the dynamic features as they were before the operators in ``missing``."""
    lacking = {_found_by(name) for name in missing}
    return [name for name in dynamic if name not in lacking]


def with_operators(weights: Mapping[str, Tensor], missing: Sequence[str]) -> dict[str, Tensor]:
    """Return a policy's weights with zeros for the operators in ``missing`` (in the order of ``SUB_INDEXES``).

    What such an operator finds then looks as if no operator had found it, and asking it is judged by what is common to
    all operators. The policy does what it did wherever the operator is not legal.

    Raises:
        KeyError: when weights that every policy has are missing.
    """
    carried = dict(weights)
    for name in missing:
        column = len(STATIC) + DYNAMIC.index(_found_by(name))
        carried["candidate.0.weight"] = _with_zeros(carried["candidate.0.weight"], column, dimension=1)
        carried["operator.weight"] = _with_zeros(carried["operator.weight"], SUB_INDEXES.index(name), dimension=0)
    return carried


def _found_by(name: str) -> str:
    return f"found_by_{name}"


def _with_zeros(weight: Tensor, place: int, dimension: int) -> Tensor:
    """Return a matrix with a row (dimension 0) or column (1) of zeros at ``place``."""
    before, after = weight.tensor_split([place], dim=dimension)
    zeros = torch.zeros_like(weight.narrow(dimension, 0, 1))
    return torch.cat((before, zeros, after), dim=dimension).contiguous()
