import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from trailhound import Index, Recipe, SearchAgent, TrainingSource, evaluate, load_recipe, train
from trailhound.agent._fact_explanation import drawn, heaviest_walk
from trailhound.agent._network import as_tensors
from trailhound.envs._batch import SearchBatch
from trailhound.envs._fact_world import fact_world
from trailhound.errors import PolicyError
from trailhound.learning.policy._validation import reciprocal_rank
from trailhound.learning.policy.training import network_for
from trailhound.measuring._fact_figures import filtered_rank
from trailhound.retrievers.knowledge._facts import Facts

FAMILIES = 14


def families(folder: Path) -> None:
    """Every town has a mother, two children, and one grandchild by the first; grandmother_of follows from two facts.

    Of the last three families it is asked for, and stands in no other file.
    """
    facts, grandmothers = [], []
    for k in range(FAMILIES):
        facts += [(f"g{k}", "mother_of", f"p{k}"), (f"g{k}", "mother_of", f"q{k}"), (f"p{k}", "parent_of", f"c{k}")]
        facts += [(f"q{k}", "friend_of", f"c{(k + 1) % FAMILIES}")]
        grandmothers.append((f"g{k}", "grandmother_of", f"c{k}"))
    known, asked = grandmothers[:-3], grandmothers[-3:]
    for name, triples in (("graph", facts + known), ("train", known), ("dev", asked)):
        (folder / f"{name}.txt").write_text("".join("\t".join(triple) + "\n" for triple in triples))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("families")
    families(folder)
    return folder


@pytest.fixture(scope="module")
def index(folder: Path) -> Index:
    return Index.build(folder, folder / "families.index", threads=1)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    settings = {"max_candidates": "60", "hop_size": "60", "imitation_lanes": "16", "epoch_questions": "150"}
    settings |= {"embedding": "false", "ppo_iterations": "1", "ppo_lanes": "8", "ppo_steps": "12", "held_out": "0.2"}
    return load_recipe("kg", settings | {"width": "16", "question_width": "8", "imitation_epochs": "5"})


@pytest.fixture(scope="module")
def policy(index: Index, folder: Path, recipe: Recipe) -> Path:
    out = folder / "run"
    train([TrainingSource(index, folder, "train")], out, recipe=recipe, seed=0)
    return out


def test_a_rule_that_two_facts_make_is_learned_and_walked(index: Index, folder: Path, policy: Path) -> None:
    file = folder / "figures.json"
    figures = evaluate(index, folder, "dev", policy=policy, json_file=file).figures
    assert figures["hits@1"] == figures["mrr"] == 1
    assert figures["questions"] == 3
    written = json.loads(file.read_text())
    assert {"hits@1", "hits@3", "hits@10", "mrr", "actions_mean", "latency_ms_p50"} <= written.keys()
    result = SearchAgent(index, policy).search("g13 grandmother of", 3)
    assert [evidence.passage.title for evidence in result.evidence[:2]] == ["g13", "c13"]
    take = [step for step in result.path if step.action == "take"][-1]
    assert take.detail == "answer c13"
    assert take.reason == "g13 -mother_of-> p13 -parent_of-> c13"


def test_training_is_reproducible(index: Index, folder: Path, policy: Path, recipe: Recipe) -> None:
    again = folder / "again"
    train([TrainingSource(index, folder, "train")], again, recipe=recipe, seed=0)
    assert (again / "policy.safetensors").read_bytes() == (policy / "policy.safetensors").read_bytes()


def test_fixed_systems_are_measured_too(index: Index, folder: Path) -> None:
    figures = evaluate(index, folder, "dev", system="dense").figures
    assert 0 < figures["mrr"] <= 1
    assert figures["hits@1"] <= figures["hits@3"] <= figures["hits@10"]


def test_a_question_about_what_the_graph_lacks_ranks_behind_all(index: Index, folder: Path, policy: Path) -> None:
    (folder / "odd.txt").write_text("g0\tgrandmother_of\tnobody\nnobody\tmother_of\tg1\ng0\tgrandmother_of\tc0\n")
    try:
        evaluation = evaluate(index, folder, "odd", policy=policy)
    finally:
        (folder / "odd.txt").unlink()
    assert evaluation.figures["hits@1"] == pytest.approx(1 / 3)
    assert evaluation.figures["mrr"] < 0.4


def test_a_policy_of_other_facts_is_refused(folder: Path, policy: Path, tmp_path: Path) -> None:
    (tmp_path / "graph.txt").write_text("a\tr\tb\n")
    other = Index.build(tmp_path, tmp_path / "other.index")
    with pytest.raises(PolicyError, match="facts-complex"):
        SearchAgent(other, policy)


def brute_force_rank(order: list[int], answer: int, others: set[int], entities: int) -> float:
    """Average the rank over every order in which the entities that are not ranked may follow."""
    rest = [row for row in range(entities) if row not in order]
    ranks = []
    for tail in permutations(rest):
        kept = [row for row in (*order, *tail) if row not in others]
        ranks.append(kept.index(answer) + 1)
    return float(np.mean(ranks))


def test_ranks_are_filtered_and_ties_averaged() -> None:
    generator = np.random.default_rng(0)
    for _ in range(60):
        entities = int(generator.integers(2, 7))
        answer = int(generator.integers(entities))
        order = generator.permutation(entities)[: generator.integers(entities + 1)]
        others = set(generator.permutation(entities)[: generator.integers(entities)].tolist()) - {answer}
        expected = brute_force_rank(order.tolist(), answer, others, entities)
        assert filtered_rank(order, answer, others, entities) == pytest.approx(expected)


def test_an_answer_that_is_no_entity_is_last() -> None:
    assert filtered_rank(np.array([2, 0]), None, {0}, 5) == 5.0
    assert filtered_rank(np.array([2, 0]), 4, {0}, 5) == pytest.approx(1 + (3 + 1) / 2)


def test_validation_passes_over_the_head_and_known_answers(index: Index, recipe: Recipe) -> None:
    facts = index.facts
    assert facts is not None
    world = fact_world(index, "g0 mother_of", "p0", recipe.environment())
    head, answer, known, other = (facts.entity_rows[name] for name in ("g0", "p0", "q0", "c3"))
    assert reciprocal_rank(world, np.array([head, known, other, answer])) == 0.5
    assert reciprocal_rank(world, np.array([head, known, other])) == 0


def test_the_heaviest_walk_is_found_by_trying_all(index: Index, recipe: Recipe) -> None:
    world = fact_world(index, "g0 grandmother_of", "c0", recipe.environment())
    sources, kinds, targets = (array.tolist() for array in world.visible_edges())
    generator = torch.Generator().manual_seed(0)
    weights = [torch.rand(index.facts.kind_count, len(index), len(index), generator=generator) for _ in range(3)]  # type: ignore[union-attr]
    walks: dict[int, tuple[float, list[tuple[int, int]]]] = {}

    def go_on(at: int, rounds: int, weight: float, walk: list[tuple[int, int]]) -> None:
        if walk and weight > walks.get(at, (-1.0, []))[0]:
            walks[at] = (weight, walk)
        for number in range(rounds, 3):
            for source, kind, target in zip(sources, kinds, targets, strict=True):
                if source == at:
                    step = float(weights[number][kind, target, at])
                    go_on(target, number + 1, weight + step, [*walk, (kind, target)])

    go_on(world.asked.head, 0, 0.0, [])
    del walks[world.asked.head]
    assert len(walks) > 5
    for end, (_, walk) in walks.items():
        assert heaviest_walk(world, weights, end) == walk
    far = next(row for row in range(len(index)) if row not in walks and row != world.asked.head)
    assert heaviest_walk(world, weights, far) == []


def test_walks_are_drawn_the_way_their_facts_read() -> None:
    facts = Facts.of([("a", "likes", "b"), ("c", "knows", "b")])
    assert drawn(facts, 0, [(0, 1), (3, 2)]) == "a -likes-> b <-knows- c"


def test_a_known_answer_is_heard_of_and_the_asked_one_is_not(index: Index, recipe: Recipe) -> None:
    """``g0 grandmother_of c0`` is a fact: asked for, it is as if hidden from the network; else it may be walked."""
    network = network_for(index, recipe).eval()
    settings = recipe.environment()
    facts = index.facts
    assert facts is not None
    c0 = facts.entity_rows["c0"]
    scores = []
    for answer in ("c0", "c5"):
        batch = SearchBatch(settings, 1, index.encoder.dimension)
        batch.start([0], [fact_world(index, "g0 grandmother_of", answer, settings)])
        for action in (3, batch.layout.take, batch.layout.hop):
            batch.act(0, action)
        rows = batch.observation["candidate_rows"][0]
        with torch.no_grad():
            logits = network.scores(as_tensors(batch.observation))[0][0, batch.layout.take :]
        scores.append(float(logits[np.flatnonzero(rows == c0)[0]]))
    assert abs(scores[0] - scores[1]) > 1e-4
