"""Two systems are compared question by question, whatever kind of file their results are in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from trailhound import Index, evaluate
from trailhound.errors import QuestionsError
from trailhound.measuring.comparison import Comparison, compare
from trailhound.retrievers.questions._labelled import load_questions


@pytest.fixture(scope="module")
def files(small_index: Index, corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of two systems, as JSON and as run files."""
    folder = tmp_path_factory.mktemp("results")
    for system in ("lexical", "dense"):
        evaluate(
            small_index,
            corpus_folder,
            "dev",
            system=system,
            json_file=folder / f"{system}.json",
            run_file=folder / f"{system}.trec",
        )
    return folder


@pytest.fixture(scope="module")
def comparison(files: Path) -> Comparison:
    return compare(files / "dense.json", files / "lexical.json")


def per_question(path: Path) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in json.loads(path.read_text())["per_question"]}


def changed(path: Path, to: Path, **fields: Any) -> Path:
    """Write a copy of a JSON file with other fields."""
    to.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    return to


def test_a_difference_is_counted_again_from_the_files(comparison: Comparison, files: Path) -> None:
    one, other = per_question(files / "dense.json"), per_question(files / "lexical.json")
    assert [row.metric for row in comparison.overall] == ["ndcg@10", "recall@5", "all_recall@5", "mrr"]
    for row in comparison.overall:
        first = np.array([one[name]["figures"][row.metric] for name in one])
        second = np.array([other[name]["figures"][row.metric] for name in one])
        assert (row.first, row.second) == (pytest.approx(first.mean()), pytest.approx(second.mean()))
        assert row.difference == pytest.approx((second - first).mean())
        assert (row.better, row.worse) == ((second > first).sum(), (second < first).sum())
        assert row.better + row.equal + row.worse == row.questions == len(one)
        assert row.low <= row.difference <= row.high
        test = stats.permutation_test(
            (second - first,),
            lambda values, axis: values.mean(axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=10_000,
            rng=np.random.default_rng(5),
        )
        assert row.p == pytest.approx(test.pvalue, abs=0.03)
        assert row.p_corrected >= row.p
    assert comparison.overall[1].better > 0, "the systems differ, or nothing was tested"


def test_types_are_compared_alone_and_add_up(comparison: Comparison, files: Path) -> None:
    rows = [row for row in comparison.by_type if row.metric == "recall@5"]
    whole = next(row for row in comparison.overall if row.metric == "recall@5")
    assert [row.type for row in rows] == sorted({one["type"] for one in per_question(files / "dense.json").values()})
    assert sum(row.questions for row in rows) == whole.questions
    assert sum(row.better for row in rows) == whole.better
    weighed = sum(row.difference * row.questions for row in rows) / whole.questions
    assert weighed == pytest.approx(whole.difference)
    assert all(row.p_corrected >= row.p for row in comparison.by_type)


def test_run_files_compare_as_the_json_does(comparison: Comparison, files: Path, corpus_folder: Path) -> None:
    runs = compare(files / "dense.trec", files / "lexical.trec", questions=corpus_folder, split="dev")
    mixed = compare(files / "dense.json", files / "lexical.trec", questions=corpus_folder, split="dev")
    assert runs.overall == mixed.overall == comparison.overall
    assert runs.by_type == comparison.by_type
    assert (runs.first, runs.second) == ("dense.trec", "lexical.trec")


def test_a_system_against_itself(files: Path) -> None:
    same = compare(files / "dense.json", files / "dense.json", metrics=["recall@5", "mrr", "calls"])
    for row in (*same.overall, *same.by_type):
        assert (row.difference, row.low, row.high, row.p, row.p_corrected) == (0, 0, 0, 1, 1)
        assert (row.better, row.worse) == (0, 0)


def test_swapped_files_negate_the_difference(comparison: Comparison, files: Path, tmp_path: Path) -> None:
    turned = changed(
        files / "lexical.json",
        tmp_path / "turned.json",
        per_question=json.loads((files / "lexical.json").read_text())["per_question"][::-1],
    )
    swapped = compare(turned, files / "dense.json")
    for row, other in zip(comparison.overall, swapped.overall, strict=True):
        assert other.difference == pytest.approx(-row.difference)
        assert (other.low, other.high) == (pytest.approx(-row.high), pytest.approx(-row.low))
        assert (other.p, other.better, other.worse) == (row.p, row.worse, row.better)


def test_the_seed_decides(comparison: Comparison, files: Path) -> None:
    assert compare(files / "dense.json", files / "lexical.json") == comparison
    other = compare(files / "dense.json", files / "lexical.json", seed=1)
    assert [row.low for row in other.overall] != [row.low for row in comparison.overall]
    assert [row.difference for row in other.overall] == [row.difference for row in comparison.overall]


def test_less_is_better_where_it_is(files: Path) -> None:
    (row,) = compare(files / "dense.json", files / "lexical.json", metrics=["failure_rate@5"]).overall
    (found,) = compare(files / "dense.json", files / "lexical.json", metrics=["recall@5"]).overall
    assert np.sign(row.difference) == -np.sign(found.difference)
    assert row.better > row.worse
    assert found.better > found.worse


def test_other_questions_are_refused_and_counted(files: Path, tmp_path: Path, corpus_folder: Path) -> None:
    questions = json.loads((files / "dense.json").read_text())["per_question"]
    fewer = changed(files / "dense.json", tmp_path / "fewer.json", per_question=questions[3:])
    with pytest.raises(QuestionsError, match=rf"fewer.json: lacks 3 questions \(such as '{questions[0]['id']}'\)"):
        compare(files / "lexical.json", fewer)
    with pytest.raises(QuestionsError, match=r"lacks no question .* has 3 questions"):
        compare(fewer, files / "lexical.json")
    lines = (files / "dense.trec").read_text().splitlines(keepends=True)
    (tmp_path / "cut.trec").write_text("".join(line for line in lines if line.split()[0] != questions[0]["id"]))
    with pytest.raises(QuestionsError, match=r"cut.trec: ranks nothing for 1 question "):
        compare(tmp_path / "cut.trec", files / "dense.trec", questions=corpus_folder, split="dev")
    with pytest.raises(QuestionsError, match=r"and ranks for .* that it does not have"):
        compare(files / "dense.trec", files / "lexical.trec", questions=corpus_folder, split="train")


def test_what_cannot_be_compared_says_what_to_do(files: Path, tmp_path: Path) -> None:
    whole = json.loads((files / "dense.json").read_text())
    flat = tmp_path / "flat.json"
    flat.write_text(json.dumps({name: value for name, value in whole.items() if name != "per_question"}))
    with pytest.raises(QuestionsError, match=r"figures of all questions together.*write it again with  trailhound"):
        compare(flat, files / "dense.json")
    with pytest.raises(QuestionsError, match=r"has no 'ndcg@7' of .*every question of both files has recall@2, "):
        compare(files / "dense.json", files / "lexical.json", metrics=["ndcg@7"])
    with pytest.raises(QuestionsError, match="has no labels: give --questions DIR --split SPLIT"):
        compare(files / "dense.trec", files / "lexical.json")
    with pytest.raises(QuestionsError, match="0 resamples say nothing"):
        compare(files / "dense.json", files / "lexical.json", resamples=0)
    twice = changed(files / "dense.json", tmp_path / "twice.json", per_question=whole["per_question"][:1] * 2)
    with pytest.raises(QuestionsError, match=r"twice.json: has the question .* twice"):
        compare(twice, files / "dense.json")


@pytest.mark.parametrize(
    "damage",
    [
        "{",
        '{"system": 3, "questions": 1}',
        '{"questions": 1}',
        '{"system": "s", "questions": 1, "recall@5": "high"}',
        '{"system": "s", "questions": 1, "recall@5": NaN}',
        '{"system": "s", "questions": 1, "per_question": [{"id": "q"}]}',
        '{"system": "s", "questions": 1, "per_question": {"q": 1}}',
    ],
)
def test_another_kind_of_file_is_refused(damage: str, files: Path, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(damage)
    with pytest.raises(QuestionsError, match=r"x.json: is not what `trailhound evaluate --json` writes: "):
        compare(tmp_path / "x.json", files / "dense.json")


def test_labels_of_another_spelling_and_what_is_left_out_count_as_in_evaluate(tmp_path: Path) -> None:
    questions = tmp_path / "mine"
    (questions / "qrels").mkdir(parents=True)
    (questions / "queries.jsonl").write_text('{"_id": "q", "text": "When does the ferry leave?"}\n')
    (questions / "qrels" / "dev.tsv").write_text("q\t./guide/ferry.md\t1\n")
    (questions / "excluded.json").write_text('{"q": ["index.md"]}')
    (tmp_path / "a.trec").write_text("q Q0 index.md 1 3.0 a\nq Q0 guide/ferry.md 2 2.0 a\n")
    (tmp_path / "b.trec").write_text("q Q0 other.md 1 3.0 b\nq Q0 guide/ferry.md 2 2.0 b\n")
    found = compare(tmp_path / "a.trec", tmp_path / "b.trec", metrics=["mrr"], questions=questions, split="dev")
    assert (found.overall[0].first, found.overall[0].second) == (1.0, 0.5)
    assert load_questions(questions, "dev")[0][0].type is None
    assert found.by_type == ()
