"""How each question went is in the JSON: figures, what was missed and found, and the path, as a search tells it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from trailhound import Evaluation, Index, SearchAgent, evaluate
from trailhound.demo._encyclopedia import Encyclopedia
from trailhound.measuring._metrics import rank
from trailhound.measuring._result_file import read_results


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results") / "policy.json"


@pytest.fixture(scope="module")
def evaluation(file: Path, small_index: Index, corpus_folder: Path, tiny_run: Path) -> Evaluation:
    return evaluate(small_index, corpus_folder, "dev", policy=tiny_run, json_file=file)


def test_the_file_comes_back_as_it_was(evaluation: Evaluation, file: Path) -> None:
    read = read_results(file)
    assert read.per_question == evaluation.per_question
    assert read.system == evaluation.system
    assert read.figures["recall@5"] == evaluation.figures["recall@5"]
    assert len(read.per_question) == read.figures["questions"]


def test_settings_say_what_was_measured(
    evaluation: Evaluation, small_index: Index, corpus_folder: Path, tiny_run: Path
) -> None:
    assert evaluation.settings == {
        "index": str(small_index.path),
        "questions": str(corpus_folder),
        "split": "dev",
        "policy": str(tiny_run),
    }


@pytest.mark.parametrize(
    ("name", "over_all"),
    [
        ("recall@5", "recall@5"),
        ("ndcg@10", "ndcg@10"),
        ("calls", "calls_mean"),
        ("return", "return_mean"),
        ("confidence", "confidence_mean"),
        ("answer_f1", "answer_f1"),
    ],
)
def test_figures_of_questions_average_to_the_figures(name: str, over_all: str, evaluation: Evaluation) -> None:
    mean = np.mean([question.figures[name] for question in evaluation.per_question])
    assert mean == pytest.approx(evaluation.figures[over_all])
    for question in evaluation.per_question:
        assert question.figures["latency_ms"] > 0


def test_missed_and_found_are_those_of_the_run_and_the_labels(
    evaluation: Evaluation, encyclopedia: Encyclopedia
) -> None:
    titles = {document.id: document.title for document in encyclopedia.documents}
    labels = encyclopedia.splits["dev"]
    for question in evaluation.per_question:
        found = rank(evaluation.run[question.id])[:5]
        assert [one.id for one in question.found] == found
        wanted = {name for name, score in labels[question.id].items() if score > 0}
        assert {one.id for one in question.missed} == wanted - set(found)
        assert {one.id for one in question.found if one.supports} == wanted & set(found)
        assert len(question.missed) == pytest.approx(len(wanted) * (1 - question.figures["recall@5"]))
        assert all(one.title == titles[one.id] for one in (*question.found, *question.missed))
    assert any(question.missed for question in evaluation.per_question)


def test_the_path_is_that_of_a_search(evaluation: Evaluation, small_index: Index, tiny_run: Path) -> None:
    agent = SearchAgent(small_index, tiny_run)
    for question in evaluation.per_question[:5]:
        path = agent.search(question.question).path
        assert [(one.action, one.detail, one.reason) for one in question.path] == [
            (one.action, one.detail, one.reason) for one in path
        ]
        assert [one.titles for one in question.path] == [one.titles[:3] for one in path]


def test_a_label_that_names_nothing_is_missed_by_its_name(
    tmp_path: Path, small_index: Index, encyclopedia: Encyclopedia
) -> None:
    article = encyclopedia.documents[0]
    (tmp_path / "qrels").mkdir()
    (tmp_path / "queries.jsonl").write_text(f'{{"_id": "q", "text": "{article.title}"}}\n')
    (tmp_path / "qrels" / "dev.tsv").write_text(f"q\t{article.id}\t1\nq\tnowhere\t1\n")
    (question,) = evaluate(small_index, tmp_path, "dev", system="lexical").per_question
    assert [(one.id, one.title) for one in question.missed] == [("nowhere", "nowhere")]
    assert question.type is None
