"""Policies from before a sub-index became an operator do what they did, wherever it is not asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from trailhound import Index, Recipe, TrainingSource, train
from trailhound.agent.older_policies import features_before, missing_operators, with_operators
from trailhound.agent.policy_file import load_policy
from trailhound.agent.rollout import as_tensors
from trailhound.agent.systems import open_system
from trailhound.envs.features import DYNAMIC, STATIC
from trailhound.envs.settings import SUB_INDEXES
from trailhound.errors import PolicyError
from trailhound.learning.policy.paths import Steps
from trailhound.retrievers.questions.labelled import load_questions

DOCID, LATE = SUB_INDEXES.index("docid"), SUB_INDEXES.index("late")
COLUMNS = {name: len(STATIC) + DYNAMIC.index(f"found_by_{name}") for name in ("docid", "late")}


def older(run: Path, folder: Path, without: tuple[str, ...]) -> Path:
    """Write a policy as it was saved before there were some operators."""
    folder.mkdir()
    description: dict[str, Any] = json.loads((run / "policy.json").read_text())
    weights = load_file(run / "policy.safetensors")
    columns = [k for k in range(weights["candidate.0.weight"].shape[1]) if k not in {COLUMNS[n] for n in without}]
    rows = [k for k in range(len(weights["operator.weight"])) if k not in {SUB_INDEXES.index(n) for n in without}]
    weights["candidate.0.weight"] = weights["candidate.0.weight"][:, columns].contiguous()
    weights["operator.weight"] = weights["operator.weight"][rows].contiguous()
    dynamic = description["features"]["dynamic"]
    description["features"]["dynamic"] = [n for n in dynamic if n not in {f"found_by_{name}" for name in without}]
    for name in without:
        del description["environment"][f"expand_{name}_ms"]
    (folder / "policy.json").write_text(json.dumps(description))
    save_file(weights, folder / "policy.safetensors")
    return folder


@pytest.mark.parametrize("without", [("docid", "late"), ("late",), ("docid",), ()])
def test_an_older_policy_thinks_what_it_thought(
    without: tuple[str, ...], tiny_run: Path, tmp_path: Path, states: Steps
) -> None:
    """No state here comes from an index with those operators, so nothing that it knows of them is missed."""
    now = load_policy(tiny_run)
    then = load_policy(older(tiny_run, tmp_path / "older", without))
    assert then.settings == now.settings
    observation, legal = as_tensors(states.observation), torch.from_numpy(states.masks)
    for one, other in zip(now.network(observation, legal), then.network(observation, legal), strict=True):
        torch.testing.assert_close(one, other)
    for name in without:
        assert not then.network.candidate[0].weight[:, COLUMNS[name]].any()
        assert not then.network.operator.weight[SUB_INDEXES.index(name)].any()


def test_an_older_policy_searches_an_index_with_late_interaction(
    tiny_run: Path, tmp_path: Path, late_index: Index, small_index: Index
) -> None:
    folder = older(tiny_run, tmp_path / "older", ("docid", "late"))
    question = "Who founded the harbour?"
    old, new = (open_system(small_index, None, run).rank(question, 20) for run in (folder, tiny_run))
    assert old.rows.tolist() == new.rows.tolist()
    with_late = open_system(late_index, None, folder).rank(question, 20)
    assert with_late.rows.tolist() == old.rows.tolist(), "what it never learned to ask is not offered"
    assert with_late.asked["late"] == 0
    assert open_system(late_index, "exhaustive", folder).rank(question, 20).asked["late"] == 2


def test_a_policy_that_learned_to_ask_late_interaction_may(
    tiny_run: Path, tiny_recipe: Recipe, late_index: Index, corpus_folder: Path, tmp_path: Path
) -> None:
    """The expert of ``thorough`` asks everything that is there, so imitating it teaches to ask late interaction too."""
    assert load_policy(tiny_run).network.unlearned == {LATE}
    recipe = tiny_recipe.model_copy(update={"thorough": True, "ppo_iterations": 0, "expand_late_ms": 1.0})
    train([TrainingSource(late_index, corpus_folder, "train")], tmp_path / "run", recipe=recipe)
    policy = load_policy(tmp_path / "run")
    assert policy.network.unlearned == frozenset()
    system = open_system(late_index, None, tmp_path / "run")
    questions, _ = load_questions(corpus_folder, "dev")
    assert sum(system.rank(question.text, 5).asked["late"] for question in questions) > 0


def test_a_policy_that_was_trained_without_them_has_zeros_for_them(tiny_run: Path) -> None:
    weights = load_file(tiny_run / "policy.safetensors")
    assert not weights["operator.weight"][[DOCID, LATE]].any()
    assert not weights["candidate.0.weight"][:, list(COLUMNS.values())].any()
    assert weights["operator.weight"][SUB_INDEXES.index("entity")].all()


def test_zeros_come_in_where_the_operators_stand() -> None:
    before = {"candidate.0.weight": torch.arange(6.0).reshape(2, 3).repeat(1, 20), "operator.weight": torch.ones(5, 2)}
    after = with_operators(before, ("docid", "late"))
    columns, rows = after["candidate.0.weight"], after["operator.weight"]
    assert (columns.shape, rows.shape) == ((2, 62), (7, 2))
    assert np.flatnonzero((rows == 0).all(dim=1)).tolist() == [DOCID, LATE]
    kept = [column for column in range(62) if column not in COLUMNS.values()]
    assert torch.equal(columns[:, kept], before["candidate.0.weight"])
    assert not columns[:, list(COLUMNS.values())].any()


def test_what_is_missing_is_read_off_the_features() -> None:
    assert missing_operators({"dynamic": list(DYNAMIC)}) == ()
    assert missing_operators({"dynamic": features_before(DYNAMIC, ("late",))}) == ("late",)
    assert missing_operators({"dynamic": features_before(DYNAMIC, ("late", "docid"))}) == ("docid", "late")
    for nonsense in (None, [], {"dynamic": 3}, {}):
        assert missing_operators(nonsense) == ()


def test_a_policy_that_lacks_other_features_is_refused(tiny_run: Path, tmp_path: Path) -> None:
    folder = older(tiny_run, tmp_path / "older", ("late",))
    description = json.loads((folder / "policy.json").read_text())
    description["features"]["dynamic"].remove("found_by_dense")
    (folder / "policy.json").write_text(json.dumps(description))
    with pytest.raises(PolicyError, match="another version of Trailhound"):
        load_policy(folder)


def test_older_weights_that_are_damaged_are_refused(tiny_run: Path, tmp_path: Path) -> None:
    folder = older(tiny_run, tmp_path / "older", ("late",))
    weights = load_file(folder / "policy.safetensors")
    del weights["operator.weight"]
    save_file(weights, folder / "policy.safetensors")
    with pytest.raises(PolicyError, match=r"is damaged .*operator\.weight"):
        load_policy(folder)
