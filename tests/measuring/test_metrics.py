from math import log2

import ir_measures
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_measures import RR, R, Success, nDCG
from trailhound.errors import QuestionsError
from trailhound.measuring._metrics import evaluate_run, mean, rank
from trailhound.retrievers.records import Qrels, Run

PASSAGES = st.sampled_from(["a", "b", "B", "ab", "é", "z", "\uffff", "\U0001f43e", "7", "10", "p 1", "-"])
QUESTIONS = st.sampled_from(["q1", "q2", "q3", "q4"])
CLOSE = [1.0, 1.0 + 1e-12, 1.0 + 1e-9, 1.0 + 1e-6, 0.0, -0.0, 1e300, 2e300]
SCORES = st.sampled_from(CLOSE) | st.floats(-10, 10) | st.integers(-2, 2).map(float)
# pytrec_eval 0.5.11 writes past its memory when every label of a question is below -1.
LABELS = st.dictionaries(PASSAGES, st.integers(-3, 4)).filter(lambda labels: max(labels.values(), default=0) >= -1)
QRELS = st.dictionaries(QUESTIONS, LABELS, min_size=1)
RUNS = st.dictionaries(QUESTIONS, st.dictionaries(PASSAGES, SCORES))
MEASURES = {f"recall@{k}": R @ k for k in (2, 5, 10, 20)} | {"ndcg@10": nDCG @ 10, "mrr": RR}
NAMES = ["recall@2", "recall@5", "recall@10", "recall@20", "all_recall@5", "ndcg@10", "mrr", "failure_rate@5"]


def oracle(qrels: Qrels, run: Run) -> dict[str, dict[str, float]]:
    """What ir-measures says; all_recall and failure_rate follow from its recall and success."""
    values: dict[str, dict[str, float]] = {question: {} for question in qrels}
    named = {str(measure): name for name, measure in MEASURES.items()}
    for metric in ir_measures.iter_calc([*MEASURES.values(), Success @ 5], qrels, run):
        if metric.measure == Success @ 5:
            values[metric.query_id]["failure_rate@5"] = 1 - metric.value
        else:
            values[metric.query_id][named[str(metric.measure)]] = metric.value
    for value in values.values():
        value["all_recall@5"] = float(value["recall@5"] == 1)
    return values


@given(qrels=QRELS, run=RUNS)
def test_every_metric_equals_ir_measures(qrels: Qrels, run: Run) -> None:
    expected = oracle(qrels, run)
    found = evaluate_run(qrels, run)
    assert list(found) == list(qrels)
    for question, values in found.items():
        assert values == pytest.approx(expected[question], abs=1e-9), question
    means = ir_measures.calc_aggregate(MEASURES.values(), qrels, run)
    for name, measure in MEASURES.items():
        assert mean(found)[name] == pytest.approx(means[measure], abs=1e-9), name


def test_figures_worked_by_hand() -> None:
    qrels = {"q": {"a": 1, "b": 3, "c": 0, "d": -1, "e": 1}}
    run = {"q": {"c": 9.0, "b": 8.0, "d": 7.0, "x": 6.0, "a": 5.0, "e": 4.0}}
    gain = 3 / log2(3) + 1 / log2(6) + 1 / log2(7)
    best = 3 / log2(2) + 1 / log2(3) + 1 / log2(4)
    assert evaluate_run(qrels, run)["q"] == pytest.approx(
        {
            "recall@2": 1 / 3,
            "recall@5": 2 / 3,
            "recall@10": 1.0,
            "recall@20": 1.0,
            "all_recall@5": 0.0,
            "ndcg@10": gain / best,
            "mrr": 1 / 2,
            "failure_rate@5": 0.0,
        }
    )


@pytest.mark.parametrize("run", [{}, {"q": {}}, {"q": {"wrong": 1.0}}, {"other": {"a": 1.0}}])
def test_a_question_without_a_result_counts_zero_and_as_a_failure(run: Run) -> None:
    expected = dict.fromkeys(NAMES, 0.0) | {"failure_rate@5": 1.0}
    assert evaluate_run({"q": {"a": 1}}, run) == {"q": expected}


def test_all_recall_wants_every_supporting_passage_in_the_first_five() -> None:
    labels = {"q": {"a": 1, "b": 1}}
    filled = {f"x{i}": 5.0 for i in range(3)}
    assert evaluate_run(labels, {"q": {**filled, "a": 9.0, "b": 1.0}})["q"]["all_recall@5"] == 1
    assert evaluate_run(labels, {"q": {**filled, "a": 9.0, "b": 1.0, "y": 6.0}})["q"]["all_recall@5"] == 0


def test_ties_go_to_the_last_id_of_the_alphabet_and_need_only_be_ties_in_float32() -> None:
    assert rank({"a": 1.0, "b": 1.0 + 1e-12, "c": 1.0, "d": 2.0, "B": 1.0}) == ["d", "c", "b", "a", "B"]


def test_the_mean_weighs_every_question_the_same() -> None:
    run = {"q": {"a": 1.0}, "r": {"x": 2.0, "a": 1.0}}
    found = evaluate_run({"q": {"a": 1}, "r": {"a": 1}, "s": {"b": 1}}, run)
    assert list(mean(found)) == NAMES
    assert mean(found)["mrr"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert mean(found)["failure_rate@5"] == pytest.approx(1 / 3)


def test_the_mean_of_no_questions_is_an_error() -> None:
    with pytest.raises(QuestionsError, match="no questions"):
        mean({})
