"""Sizes and prices are held to what makes sense, and every action has one place."""

from __future__ import annotations

from typing import Any

import pytest
from trailhound.envs.settings import SUB_INDEXES, ActionLayout, EnvironmentSettings
from trailhound.graph._knowledge_graph import GROUPS


@pytest.mark.parametrize(
    "wrong",
    [
        {"expand_size": 0},
        {"pages": 0},
        {"hop_size": -1},
        {"max_candidates": 0},
        {"max_evidence": 0},
        {"max_steps": 0},
        {"hop_ms": -0.1},
        {"price_per_ms": float("nan")},
        {"take_ms": float("inf")},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} must "):
        EnvironmentSettings(**wrong)


@pytest.mark.parametrize(("evidence", "candidates"), [(1, 1), (2, 7), (5, 48)])
def test_every_action_has_one_place(evidence: int, candidates: int) -> None:
    layout = ActionLayout(evidence, candidates)
    expected = [
        ("stop", -1, -1),
        *(("expand", sub_index, -1) for sub_index in range(len(SUB_INDEXES))),
        *(("hop", order, group) for order in range(evidence) for group in range(len(GROUPS))),
        *(("take", slot, -1) for slot in range(candidates)),
    ]
    assert [layout.decode(action) for action in range(layout.size)] == expected
    assert layout.operators == len(SUB_INDEXES) + evidence * len(GROUPS)
