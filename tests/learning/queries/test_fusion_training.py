from pathlib import Path

import numpy as np
import pytest
import torch
from trailhound.errors import QuestionsError
from trailhound.index.index import Index
from trailhound.learning.queries._evidence_likelihood import (
    DEPTH,
    FUSED,
    FusionQuestion,
    WeighedSets,
    fit_fusion,
    fitted,
    fusion_question,
)
from trailhound.retrievers.differentiable.learned_fusion import LearnedFusion
from trailhound.retrievers.questions._labelled import load_questions


@pytest.fixture(scope="module")
def questions(small_index: Index, corpus_folder: Path) -> list[FusionQuestion]:
    asked, qrels = load_questions(corpus_folder, "train")
    made = []
    for question in asked:
        rows = sorted(small_index.store.row_of(passage) for passage in qrels[question.id])
        sets = WeighedSets.of([rows], np.array([1.0]))
        made.append(fusion_question(small_index, small_index.query(question.text), sets))
    return [one for one in made if one is not None]


def test_candidates_are_what_the_sub_indexes_find(small_index: Index, corpus_folder: Path) -> None:
    text = load_questions(corpus_folder, "train")[0][0].text
    query = small_index.query(text)
    found = {row for name in FUSED for row in small_index.sub_indexes[name].search(query, DEPTH).rows.tolist()}
    inside, outside = min(found), next(row for row in range(len(small_index)) if row not in found)
    one = fusion_question(small_index, query, WeighedSets.of([[inside], [outside]], np.array([0.5, 0.5])))
    assert one is not None
    assert one.features.shape == (len(found), 6)
    assert one.evidence.rows.tolist() == [0]
    assert fusion_question(small_index, query, WeighedSets.of([[outside]], np.array([1.0]))) is None


def test_the_weights_learn_to_make_answers_likelier(questions: list[FusionQuestion]) -> None:
    half = len(questions) // 2
    fusion, figures = fit_fusion(questions[:half], questions[half:], seed=0)
    assert fusion.names == FUSED
    assert figures["fusion_loss"] < figures["fusion_untuned_loss"]
    again, _ = fit_fusion(questions[:half], questions[half:], seed=0)
    assert torch.equal(again.weights, fusion.weights)


def test_nothing_to_learn_from_is_an_error() -> None:
    with pytest.raises(QuestionsError, match="no question"):
        fitted(LearnedFusion(("a",)), [], lambda fusion, question: torch.zeros(()), np.random.default_rng(0))
