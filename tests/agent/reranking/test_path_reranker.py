import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from trailhound.agent.reranking.pair_encoder import PairEncoder
from trailhound.agent.reranking.path_reranker import (
    CANDIDATES,
    PICKS,
    PathReranker,
    PathScores,
    load_reranker,
    save_reranker,
)
from trailhound.agent.search_agent import SearchAgent
from trailhound.agent.systems import open_system
from trailhound.envs.question_view import QuestionView
from trailhound.errors import PolicyError
from trailhound.index.index import Index
from trailhound.measuring.evaluation import evaluate
from trailhound.retrievers.records import Passage

QUESTION = "Which river crosses the town?"


@pytest.fixture(scope="module")
def encoder() -> PairEncoder:
    return PairEncoder(rank=2, seed=0, dropout=0.1, device="cpu").eval()


@pytest.fixture(scope="module")
def folder(encoder: PairEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A re-ranker that trusts itself alone."""
    out = tmp_path_factory.mktemp("reranker")
    save_reranker(out, encoder, rank=2, weight=1000.0, adapter=None, training={"seed": 0})
    return out


@pytest.fixture(scope="module")
def view(small_index: Index) -> QuestionView:
    return QuestionView.of(small_index, QUESTION)


@pytest.fixture(scope="module")
def passages(small_index: Index) -> list[Passage]:
    return small_index.store.passages(range(30))


def by_hand(encoder: PairEncoder, state: str, candidate: str) -> float:
    """Score one pair alone."""
    with torch.no_grad():
        return float(encoder(encoder.read([state], 96), encoder.read([candidate], 64), [0]))


def test_untrained_it_prefers_what_a_sentence_encoder_finds_alike(encoder: PairEncoder) -> None:
    other = "The recipe wants two eggs."
    assert by_hand(encoder, QUESTION, "The river Aa flows through the town.") > by_hand(encoder, QUESTION, other) + 0.3


def test_a_score_does_not_depend_on_its_company(encoder: PairEncoder) -> None:
    states, candidates = ["Who?", QUESTION * 5], ["Short.", "A longer candidate, with more words than that.", "Third"]
    with torch.no_grad():
        scores = encoder(encoder.read(states, 96), encoder.read(candidates, 64), [1, 0, 1])
    alone = [by_hand(encoder, states[k], text) for k, text in zip([1, 0, 1], candidates, strict=True)]
    np.testing.assert_allclose(scores.numpy(), alone, atol=1e-4)


def test_the_candidate_is_read_together_with_the_question(encoder: PairEncoder) -> None:
    """Another question changes the candidate's own states, which no pair of separate encoders would."""
    plain, changed = PairEncoder(2, 0, 0.0, "cpu").eval(), PairEncoder(2, 0, 0.0, "cpu").eval()
    for network in (plain, changed):
        network.closeness.data.zero_()
    changed.head.weight.data[:, 384:] = 1  # reads the candidate's side alone
    assert by_hand(plain, "One.", "Candidate.") == by_hand(plain, "Another thing?", "Candidate.") == 0
    assert by_hand(changed, "One.", "Candidate.") != by_hand(changed, "Another thing?", "Candidate.")


def test_each_pick_is_read_with_those_before_it(
    encoder: PairEncoder, view: QuestionView, passages: Sequence[Passage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hand-worked: what is right next depends on what was picked."""
    scores = PathScores(encoder, view, passages[:4])
    known = {(): [0.0, 0.0, 9.0, 0.0], (2,): [0.0, 5.0, 0.0, 0.0], (2, 1): [0.0, 0.0, 0.0, 9.0]}
    monkeypatch.setattr(PathScores, "after", lambda self, path: np.array(known.get(tuple(path), [0.0] * 4)))
    assert scores.order(1.0) == [2, 1, 3, 0]
    assert scores.order(0.1) == [0, 1, 2, 3], "a weak word does not outweigh the ranking"
    assert scores.order(0.0) == [0, 1, 2, 3]


def test_a_pointwise_order_is_that_of_the_question_alone(
    encoder: PairEncoder, view: QuestionView, passages: Sequence[Passage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hand-worked: 2 * 1 - log 3 = 0.90 stands before 0 - log 1 = 0, and 0 - log 2 = -0.69 behind it."""
    scores = PathScores(encoder, view, passages[:3])
    monkeypatch.setattr(PathScores, "after", lambda self, path: np.array([0.0, 0.0, 1.0]) if not path else None)
    assert scores.order(2.0, pointwise=True) == [2, 0, 1]
    assert scores.order(0.0, pointwise=True) == [0, 1, 2]


def test_the_path_changes_the_scores(encoder: PairEncoder, view: QuestionView, passages: Sequence[Passage]) -> None:
    scores = PathScores(encoder, view, passages[:6])
    assert not np.allclose(scores.after([]), scores.after([1]))
    assert not np.allclose(scores.after([0, 1]), scores.after([1, 0]))


def test_only_the_head_of_a_ranking_changes(
    encoder: PairEncoder, view: QuestionView, passages: Sequence[Passage]
) -> None:
    order = PathReranker(encoder, 1000.0).order(view, passages)
    assert sorted(order) == list(range(len(passages)))
    assert order != sorted(order)
    assert order[PICKS:CANDIDATES] == sorted(order[PICKS:CANDIDATES]), "behind the picks the old order holds"
    assert order[CANDIDATES:] == list(range(CANDIDATES, len(passages)))
    assert PathReranker(encoder, 0.0).order(view, passages) == list(range(len(passages)))
    assert PathReranker(encoder, 1000.0).order(view, []) == []


def test_a_system_gives_the_same_passages_in_another_order(small_index: Index, folder: Path) -> None:
    plain, reranked = open_system(small_index, "hybrid"), open_system(small_index, "hybrid", path_reranker=folder)
    before, after = plain.rank(QUESTION, 30), reranked.rank(QUESTION, 30)
    assert sorted(before.rows.tolist()) == sorted(after.rows.tolist())
    assert before.rows.tolist() != after.rows.tolist()
    assert (np.diff(after.scores) < 0).all()
    assert reranked.rank(QUESTION, 3).rows.tolist() == after.rows[:3].tolist()
    assert str(folder) in reranked.name


def test_a_weight_of_zero_leaves_every_ranking(encoder: PairEncoder, small_index: Index, tmp_path: Path) -> None:
    save_reranker(tmp_path, encoder, rank=2, weight=0.0, adapter=None, training={})
    plain, same = open_system(small_index, "hybrid"), open_system(small_index, "hybrid", path_reranker=tmp_path)
    assert plain.rank(QUESTION, 30).rows.tolist() == same.rank(QUESTION, 30).rows.tolist()


def test_the_agent_says_what_the_policy_took_wherever_it_stands(
    small_index: Index, tiny_run: Path, folder: Path, corpus_folder: Path
) -> None:
    agent = SearchAgent(small_index, tiny_run, path_reranker=folder)
    moved = 0
    for line in (corpus_folder / "queries.jsonl").read_text().splitlines()[:8]:
        result = agent.search(json.loads(line)["text"], limit=30)
        marked = [evidence.passage.id for evidence in result.evidence if evidence.taken]
        assert sorted(marked) == sorted(step.passages[0] for step in result.path if step.action == "take")
        moved += marked != [evidence.passage.id for evidence in result.evidence[: len(marked)]]
    assert moved, "the re-ranker puts others before them"


def test_evaluate_measures_the_new_order(small_index: Index, corpus_folder: Path, folder: Path) -> None:
    plain = evaluate(small_index, corpus_folder, "dev", system="hybrid")
    reranked = evaluate(small_index, corpus_folder, "dev", system="hybrid", path_reranker=folder)
    assert reranked.figures["recall@2"] != plain.figures["recall@2"]
    assert reranked.run.keys() == plain.run.keys()


def test_a_saved_re_ranker_is_the_same(encoder: PairEncoder, folder: Path, view: QuestionView) -> None:
    assert {path.suffix for path in folder.iterdir()} == {".safetensors", ".json"}
    loaded = load_reranker(folder)
    passages = [Passage("a", "d", "", text, 0, len(text)) for text in ("The river.", "The town.", "Eggs.")]
    assert loaded.weight == 1000.0
    assert loaded.order(view, passages) == PathReranker(encoder, 1000.0).order(view, passages)


def test_a_missing_re_ranker_is_an_error(small_index: Index, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="tune-reranker"):
        open_system(small_index, "hybrid", path_reranker=tmp_path / "nothing")


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 1}', '{"format": 1, "rank": 0, "weight": 1}'])
def test_a_damaged_description_is_an_error(folder: Path, tmp_path: Path, content: str) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "path_reranker.json").write_text(content)
    with pytest.raises(PolicyError, match="damaged"):
        load_reranker(tmp_path / "copy")


def test_damaged_weights_are_an_error(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    path = tmp_path / "copy" / "path_reranker.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(PolicyError, match="damaged"):
        load_reranker(tmp_path / "copy")


def test_weights_that_are_not_finite_are_an_error(tmp_path: Path) -> None:
    broken = PairEncoder(2, 0, 0.0, "cpu")
    broken.closeness.data.fill_(float("nan"))
    save_reranker(tmp_path, broken, rank=2, weight=1.0, adapter=None, training={})
    with pytest.raises(PolicyError, match="not finite"):
        load_reranker(tmp_path)


def test_another_version_is_an_error(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    path = tmp_path / "copy" / "path_reranker.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(PolicyError, match="another version"):
        load_reranker(tmp_path / "copy")


def test_a_knowledge_graph_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "graph.txt").write_text("oslo\tcapital_of\tnorway\nnorway\tneighbour_of\tsweden\n")
    index = Index.build(tmp_path, tmp_path / "facts.index", threads=1)
    with pytest.raises(PolicyError, match="knowledge graph"):
        open_system(index, "lexical", path_reranker=folder)
