"""Everything that learns from labels learns from labels that name documents: one row a label, none of its own wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from trailhound import Document, EnvironmentSettings, Index, Recipe, TrainingSource, evaluate, train
from trailhound.demo._encyclopedia import Encyclopedia
from trailhound.envs._question_set import QuestionSet
from trailhound.index.settings import IndexSettings
from trailhound.learning._reader import reading_example
from trailhound.learning.reranker import listed_as, questions_ranked_by
from trailhound.learning.router.router_tuning import labelled_of
from trailhound.retrievers.protocols import Encoder
from trailhound.retrievers.questions._labelled import load_questions


@pytest.fixture(scope="module")
def source(
    encyclopedia: Encyclopedia, corpus_folder: Path, hashing_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory
) -> TrainingSource:
    """The encyclopedia with its articles cut into passages; its labels name the articles."""
    documents = [Document(one.id, one.title, one.text) for one in encyclopedia.documents]
    place = tmp_path_factory.mktemp("cut") / "x.index"
    index = Index.build(documents, place, encoder=hashing_encoder, settings=IndexSettings(chunk_tokens=40))
    assert len(index) > 1.5 * index.store.documents
    return TrainingSource(index, corpus_folder, "train")


def test_a_policy_learns_to_find_labelled_documents(
    source: TrainingSource, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    train([source], tmp_path / "run", recipe=tiny_recipe)
    figures = evaluate(source.index, source.questions, "dev", policy=tmp_path / "run").figures
    lexical = evaluate(source.index, source.questions, "dev", system="lexical").figures
    assert figures["recall@5"] > lexical["recall@5"]
    assert figures["recall@5"] <= 1
    assert 0 < figures["return_mean"] <= 1


def test_no_passage_of_a_labelled_document_is_wrong(source: TrainingSource) -> None:
    index = source.index
    _, qrels = load_questions(source.questions, source.split)
    questions = QuestionSet.load(index, source.questions, source.split, EnvironmentSettings())
    several = 0
    for number, item in enumerate(questions.items):
        labelled = {name for name, score in qrels[item.question.id].items() if score > 0}
        own = {row for name in labelled for row in index.store.rows_of(name)}
        assert set(item.meets) == own
        assert len(item.gold) == len(labelled)
        several += len(own) > len(labelled)
        example = reading_example(questions.world(number), item.gold)
        if example is not None:
            assert labelled.isdisjoint(passage.document_id for passage in example.others)
            assert labelled == {passage.document_id for passage in example.evidence}
    assert several


def test_a_re_ranker_and_a_router_have_one_row_for_a_label(source: TrainingSource) -> None:
    index = source.index
    asked, qrels = load_questions(source.questions, source.split)
    for question, ranked in zip(asked, questions_ranked_by(source, "hybrid"), strict=True):
        labelled = {name for name, score in qrels[question.id].items() if score > 0}
        assert sorted(passage.document_id for passage in ranked.gold.values()) == sorted(labelled)
        found = [passage.document_id for passage in ranked.candidates.values()]
        assert len([name for name in found if name in labelled]) == len(labelled.intersection(found))
        assert listed_as(ranked, lambda query, candidates: candidates.scores[:, None]).supporting.sum() <= len(labelled)
    for question, pair in zip(asked, labelled_of(index, source.questions, source.split), strict=True):
        labelled = {name for name, score in qrels[question.id].items() if score > 0}
        assert sorted(index.store.passage(row).document_id for row in pair.rows) == sorted(labelled)
