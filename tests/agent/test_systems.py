"""Every way to answer, and which one is chosen when the user does not say."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trailhound import Document, Index, Recipe
from trailhound.agent import _systems as systems
from trailhound.agent._fixed_systems import FIXED, FixedSystem
from trailhound.agent._network import PolicyNetwork
from trailhound.agent._policy_file import load_policy, save_policy
from trailhound.agent._systems import SYSTEMS, PolicySystem, open_system, shipped_policy
from trailhound.envs.settings import QUESTION
from trailhound.errors import PolicyError
from trailhound.graph._pagerank import PageRank
from trailhound.retrievers._fusion import reciprocal_rank_fusion
from trailhound.retrievers.protocols import Encoder
from trailhound.retrievers.records import Query
from trailhound.retrievers.vectors._encoder import BUILT_IN
from trailhound.retrievers.vectors._minilm import Adapter


@pytest.fixture(scope="module")
def asked(encyclopedia: Any) -> list[str]:
    return [question.text for question in encyclopedia.questions[:12]]


@pytest.fixture(scope="module")
def foreign_policy(tmp_path_factory: pytest.TempPathFactory, tiny_recipe: Recipe) -> Path:
    """A policy for an encoder that no index here was built with."""
    folder = tmp_path_factory.mktemp("foreign") / "policy"
    save_policy(
        folder, PolicyNetwork(tiny_recipe.network(len(QUESTION))), tiny_recipe.environment(), "another-encoder", {}
    )
    return folder


@pytest.fixture(scope="module")
def walked_index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """A knowledge graph of two facts."""
    folder = tmp_path_factory.mktemp("family")
    (folder / "graph.txt").write_text("anna\tmother_of\tbob\nbob\tfather_of\tdora\n")
    return Index.build(folder, folder / "family.index")


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_keeps_the_limit_and_ranks_without_ties(
    name: str, late_index: Index, tiny_run: Path, asked: list[str]
) -> None:
    system = open_system(late_index, name, None if name in FIXED else tiny_run)
    for question in asked:
        for limit in (1, 7, 100):
            ranked = system.rank(question, limit)
            rows = ranked.rows.tolist()
            assert 0 < len(rows) <= limit
            assert len(set(rows)) == len(rows)
            assert len(ranked.scores) == len(rows)
            assert (np.diff(ranked.scores.astype(np.float32)) < 0).all()
            assert ranked.actions == len(ranked.decisions) > 0


@pytest.mark.parametrize("name", FIXED)
def test_a_smaller_limit_is_the_head_of_a_larger_one(name: str, late_index: Index, asked: list[str]) -> None:
    system = open_system(late_index, name)
    for question in asked:
        assert system.rank(question, 3).rows.tolist() == system.rank(question, 20).rows.tolist()[:3]


def test_lexical_and_dense_are_the_sub_indexes_alone(small_index: Index, asked: list[str]) -> None:
    for question in asked:
        lexical = FixedSystem(small_index, "lexical").rank(question, 10)
        dense = FixedSystem(small_index, "dense").rank(question, 10)
        assert lexical.rows.tolist() == small_index.lexical.search(Query(question), 10).rows.tolist()
        assert dense.rows.tolist() == small_index.dense.search(small_index.query(question), 10).rows.tolist()
        assert (lexical.actions, lexical.calls, lexical.taken) == (1, 1, ())
        assert lexical.scores.tolist() == [1 / rank for rank in range(1, 11)]


def test_late_interaction_orders_what_lexical_and_dense_find(
    late_index: Index, small_index: Index, asked: list[str]
) -> None:
    assert late_index.pieces is not None
    for question in asked:
        query = late_index.query(question)
        assert query.pieces is not None
        found = [index.search(query, 200).rows for index in (late_index.lexical, late_index.dense)]
        scores = {row: late_index.pieces.score(query.pieces, np.array([row]))[0] for row in np.concatenate(found)}
        ranked = FixedSystem(late_index, "late").rank(question, 10)
        best = sorted(scores, key=lambda row: (-scores[row], row))[:10]
        assert [scores[row] for row in ranked.rows.tolist()] == pytest.approx([scores[row] for row in best], abs=1e-6)
        assert (ranked.actions, ranked.calls) == (3, 2)
        assert ranked.decisions[-1].detail == "compare the word pieces of what was found"
    with pytest.raises(PolicyError, match=r"keeps no word pieces.*`--late-interaction on`"):
        open_system(small_index, "late")


def test_hybrid_fuses_both_and_says_so(small_index: Index, asked: list[str]) -> None:
    query = small_index.query(asked[0])
    both = [small_index.lexical.search(query, 50), small_index.dense.search(query, 50)]
    ranked = FixedSystem(small_index, "hybrid").rank(asked[0], 10)
    assert ranked.rows.tolist() == reciprocal_rank_fusion(both, 10).rows.tolist()
    assert [decision.detail for decision in ranked.decisions] == [
        "ask the lexical index",
        "ask the dense index",
        "fuse the rankings",
    ]
    assert ranked.calls == 2, "fusion asks nothing"


def test_pagerank_starts_from_what_was_found_and_what_the_question_names(small_index: Index, asked: list[str]) -> None:
    question = next(text for text in asked if len(small_index.entity.search(Query(text), 5)))
    query = small_index.query(question)
    fused = reciprocal_rank_fusion([small_index.lexical.search(query, 50), small_index.dense.search(query, 50)], 50)
    seeds = dict.fromkeys(small_index.entity.search(query, 5).rows.tolist(), float(fused.scores[0]))
    for row, score in zip(fused.rows[:10].tolist(), fused.scores[:10].tolist(), strict=True):
        seeds[row] = seeds.get(row, 0.0) + score
    expected = PageRank(small_index.graph).personalised(seeds)
    ranked = FixedSystem(small_index, "ppr").rank(question, 10)
    np.testing.assert_allclose(expected[ranked.rows], np.sort(expected)[::-1][:10], rtol=1e-6)
    assert ranked.calls == 3


def test_a_question_that_finds_nothing_has_an_empty_result(small_index: Index) -> None:
    ranked = FixedSystem(small_index, "lexical").rank("zzzqqq xxyyzz", 10)
    assert ranked.rows.tolist() == []
    assert ranked.scores.tolist() == []
    assert ranked.calls == 1


def test_pagerank_has_an_answer_when_neither_ranking_finds_any(tmp_path: Path, hashing_encoder: Encoder) -> None:
    index = Index.build([Document("a", "", "one two three")], tmp_path / "one.index", encoder=hashing_encoder)
    assert FixedSystem(index, "ppr").rank("zzzqqq", 10).rows.tolist() == [0], "the dense index always finds something"


def test_exhaustive_asks_everything_and_the_policy_chooses(
    small_index: Index, tiny_run: Path, asked: list[str]
) -> None:
    exhaustive = open_system(small_index, "exhaustive", tiny_run)
    policy = open_system(small_index, "policy", tiny_run)
    everything, chosen = [exhaustive.rank(q, 10) for q in asked], [policy.rank(q, 10) for q in asked]
    assert {decision.kind for ranked in everything for decision in ranked.decisions} <= {"take", "stop"}
    assert sum(ranked.calls for ranked in everything) > sum(ranked.calls for ranked in chosen)
    assert exhaustive.name == f"exhaustive search, ranked by the policy {tiny_run}"
    assert policy.name == f"policy {tiny_run}"


def test_a_policy_trained_on_everything_says_what_it_is(
    small_index: Index, tmp_path: Path, tiny_recipe: Recipe
) -> None:
    recipe = tiny_recipe.model_copy(update={"expand_everything": True})
    save_policy(
        tmp_path / "wide",
        PolicyNetwork(recipe.network(len(QUESTION))),
        recipe.environment(),
        small_index.encoder_name,
        {},
    )
    assert open_system(small_index, "policy", tmp_path / "wide").name.startswith("exhaustive search, ranked by")


def test_a_given_policy_answers(small_index: Index, tiny_run: Path) -> None:
    assert isinstance(open_system(small_index, None, tiny_run), PolicySystem)


def test_without_a_policy_the_hybrid_answers(small_index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systems, "shipped_policy", lambda: None)
    assert open_system(small_index).name == "fixed system: hybrid"


def test_the_shipped_policy_answers_over_texts_whatever_the_encoder(
    small_index: Index, tiny_run: Path, foreign_policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systems, "shipped_policy", lambda: tiny_run)
    assert open_system(small_index).name == "policy that comes with the package"
    exhaustive = open_system(small_index, "exhaustive")
    assert exhaustive.name == "exhaustive search, ranked by the policy that comes with the package"
    monkeypatch.setattr(systems, "shipped_policy", lambda: foreign_policy)
    assert open_system(small_index).name == "policy that comes with the package"
    assert len(open_system(small_index, "policy").rank("Who founded the harbour?", 5).rows) == 5


def test_over_a_knowledge_graph_another_encoders_policy_is_of_no_use(
    walked_index: Index, foreign_policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systems, "shipped_policy", lambda: foreign_policy)
    assert open_system(walked_index).name == "fixed system: hybrid"
    with pytest.raises(PolicyError, match="'another-encoder'"):
        open_system(walked_index, "policy")


def test_a_hop_encoder_serves_the_vectors_that_it_was_tuned_for(
    small_index: Index, tmp_path: Path, tiny_recipe: Recipe
) -> None:
    network, settings = PolicyNetwork(tiny_recipe.network(len(QUESTION))), tiny_recipe.environment()
    down, up = np.ones((1, 384), np.float16), np.full((384, 1), 0.01, np.float16)
    adapter = Adapter({"encoder.layer.0.attention.self.query": (down, up)}, {})
    save_policy(tmp_path, network, settings, BUILT_IN, {}, adapter)
    loaded = load_policy(tmp_path)
    assert loaded.hop_encoder(threads=1) is not None
    world = PolicySystem(small_index, loaded, "of another encoder").world("Who founded the harbour?")
    assert world._hop_encoder is None


def test_a_shipped_policy_is_one_that_loads() -> None:
    folder = shipped_policy()
    if folder is not None:
        assert load_policy(folder).training


@pytest.mark.parametrize("name", ["policy", "exhaustive"])
def test_a_system_that_needs_a_policy_says_so(name: str, small_index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systems, "shipped_policy", lambda: None)
    with pytest.raises(PolicyError, match=f"'{name}' needs a policy: train one"):
        open_system(small_index, name)


def test_a_given_policy_for_another_knowledge_graph_is_refused_with_both_names(
    walked_index: Index, foreign_policy: Path
) -> None:
    with pytest.raises(PolicyError, match=rf"'another-encoder'.*{re.escape(repr(walked_index.encoder_name))}"):
        open_system(walked_index, None, foreign_policy)


def test_contradictions_are_refused(small_index: Index, tiny_run: Path) -> None:
    with pytest.raises(PolicyError, match="no system 'bm25': choose one of lexical, dense"):
        open_system(small_index, "bm25")
    with pytest.raises(PolicyError, match="'lexical' has no use for the policy"):
        open_system(small_index, "lexical", tiny_run)
    with pytest.raises(PolicyError, match="holds no policy"):
        open_system(small_index, None, small_index.path)
