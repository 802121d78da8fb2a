"""The figures are those that ir-measures finds in the run file, and none is lost on the way to the JSON."""

import json
from pathlib import Path
from shutil import copytree
from xml.etree import ElementTree

import ir_measures
import numpy as np
import pytest
from ir_measures import RR, R, Success, nDCG
from trailhound import Evaluation, Index, SearchAgent, evaluate
from trailhound.agent._fixed_systems import FIXED
from trailhound.agent._systems import SYSTEMS
from trailhound.agent.reader._protocol import exact_match, f1_score
from trailhound.demo._encyclopedia import Encyclopedia
from trailhound.envs.settings import SUB_INDEXES
from trailhound.errors import PolicyError, QuestionsError
from trailhound.measuring._metrics import read_run
from trailhound.retrievers._hashed_files import write_sealed_json
from trailhound.retrievers.questions._labelled import load_questions

KEYS = {
    "recall@2",
    "recall@5",
    "recall@10",
    "recall@20",
    "all_recall@5",
    "ndcg@10",
    "mrr",
    "failure_rate@5",
    "latency_ms_p50",
    "latency_ms_p95",
    "actions_mean",
    "calls_mean",
    "return_mean",
    "answer_exact_match",
    "answer_f1",
    "answer_stated",
    "questions",
}
SURE = {"confidence_mean", "unanswered_mean", "complete_mean", "calibration_error", "brier_score"}
"""What is told of a system that says how sure it is."""
ASKED = {f"calls_{name}_mean" for name in (*SUB_INDEXES, "hop")}
"""What is told of a system that chooses what to ask."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evaluations")


@pytest.fixture(scope="module")
def evaluations(
    files: Path, small_index: Index, late_index: Index, corpus_folder: Path, tiny_run: Path
) -> dict[str, Evaluation]:
    """Every system over the dev split."""
    return {
        system: evaluate(
            late_index if system == "late" else small_index,
            corpus_folder,
            "dev",
            system=system,
            policy=None if system in FIXED else tiny_run,
            run_file=files / f"{system}.trec",
            json_file=files / f"{system}.json",
        )
        for system in SYSTEMS
    }


def questions_folder(folder: Path, questions: list[dict[str, object]], labels: list[str]) -> Path:
    """Write ``queries.jsonl`` and the split "test"."""
    (folder / "qrels").mkdir(parents=True)
    (folder / "queries.jsonl").write_text("".join(json.dumps(question) + "\n" for question in questions))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(f"{row}\n" for row in labels))
    return folder


def test_answers_are_judged_where_every_question_has_one(
    evaluations: dict[str, Evaluation], small_index: Index, corpus_folder: Path, tiny_run: Path
) -> None:
    """Counted again from the searches of an agent with the same policy."""
    questions, _ = load_questions(corpus_folder, "dev")
    agent = SearchAgent(small_index, tiny_run)
    answers = [agent.search(question.text).answer for question in questions]
    texts = ["" if answer is None else answer.text for answer in answers]
    pairs = [(text, question.answer or "") for text, question in zip(texts, questions, strict=True)]
    figures = evaluations["policy"].figures
    assert figures["answer_exact_match"] == pytest.approx(np.mean([exact_match(*pair) for pair in pairs]))
    assert figures["answer_f1"] == pytest.approx(np.mean([f1_score(*pair) for pair in pairs]))
    stated = [exact_match(*pair) for pair, answer in zip(pairs, answers, strict=True) if answer and answer.stated]
    assert 0 < len(stated) < len(pairs)
    assert figures["answer_stated"] == pytest.approx(len(stated) / len(pairs))
    assert figures["answer_stated_precision"] == pytest.approx(np.mean(stated))


@pytest.mark.parametrize("system", SYSTEMS)
def test_figures_are_those_of_ir_measures_on_the_run_file(
    system: str, evaluations: dict[str, Evaluation], files: Path, encyclopedia: Encyclopedia
) -> None:
    qrels = encyclopedia.splits["dev"]
    run = list(ir_measures.read_trec_run(str(files / f"{system}.trec")))
    oracle = ir_measures.calc_aggregate([R @ 2, R @ 5, R @ 10, nDCG @ 10, RR, Success @ 5], qrels, run)
    figures = evaluations[system].figures
    for cutoff in (2, 5, 10):
        assert figures[f"recall@{cutoff}"] == pytest.approx(oracle[R @ cutoff], abs=1e-9)
    assert figures["ndcg@10"] == pytest.approx(oracle[nDCG @ 10], abs=1e-9)
    assert figures["mrr"] == pytest.approx(oracle[RR], abs=1e-9)
    assert figures["failure_rate@5"] == pytest.approx(1 - oracle[Success @ 5], abs=1e-9)
    whole = [value.value == 1 for value in ir_measures.iter_calc([R @ 5], qrels, run)]
    assert figures["all_recall@5"] == pytest.approx(sum(whole) / len(qrels), abs=1e-9)


def test_the_run_file_is_the_run(evaluations: dict[str, Evaluation], files: Path) -> None:
    for system, evaluation in evaluations.items():
        assert read_run(files / f"{system}.trec") == evaluation.run
        assert all(len(ranking) <= 100 for ranking in evaluation.run.values())


def test_the_json_has_every_figure(evaluations: dict[str, Evaluation], files: Path) -> None:
    for system, evaluation in evaluations.items():
        written = json.loads((files / f"{system}.json").read_text("utf-8"))
        assert written == evaluation.to_json()
        assert set(written) >= KEYS
        assert written["system"] == evaluation.system
        words = {"system", "labels_unmatched", "notes", "settings", "per_question"}
        assert all(isinstance(value, int | float) for name, value in written.items() if name not in words)
        right = {"answer_stated_precision"} if evaluation.figures["answer_stated"] else set()
        asked = ASKED if system in ("policy", "exhaustive") else set()
        assert set(evaluation.figures) == KEYS | SURE | asked | right


def test_effort_and_latency(evaluations: dict[str, Evaluation], encyclopedia: Encyclopedia) -> None:
    for evaluation in evaluations.values():
        figures = evaluation.figures
        assert figures["questions"] == len(encyclopedia.splits["dev"])
        assert 0 < figures["latency_ms_p50"] <= figures["latency_ms_p95"]
    effort = {name: (e.figures["actions_mean"], e.figures["calls_mean"]) for name, e in evaluations.items()}
    assert effort["lexical"] == effort["dense"] == (1, 1)
    assert effort["hybrid"] == effort["late"] == (3, 2)
    assert effort["ppr"] == (3, 3)
    assert effort["policy"][0] > effort["policy"][1] > 0
    assert effort["exhaustive"][1] > effort["policy"][1]
    for system in ("policy", "exhaustive"):
        figures = evaluations[system].figures
        assert sum(figures[name] for name in ASKED) == pytest.approx(figures["calls_mean"])
        assert figures["calls_docid_mean"] == 0, "the index has no router"
    assert evaluations["exhaustive"].figures["calls_entity_mean"] == 1


def test_types_of_questions_add_up_to_all(evaluations: dict[str, Evaluation], encyclopedia: Encyclopedia) -> None:
    kinds = {question.type for question in encyclopedia.questions if question.id in encyclopedia.splits["dev"]}
    for evaluation in evaluations.values():
        assert set(evaluation.by_type) == kinds
        counts = {kind: figures["questions"] for kind, figures in evaluation.by_type.items()}
        assert sum(counts.values()) == evaluation.figures["questions"]
        for name in ("recall@5", "ndcg@10", "actions_mean"):
            total = sum(figures[name] * counts[kind] for kind, figures in evaluation.by_type.items())
            assert total / evaluation.figures["questions"] == pytest.approx(evaluation.figures[name])
        flat = evaluation.to_json()
        for kind in kinds:
            assert flat[f"recall@5[{kind}]"] == evaluation.by_type[str(kind)]["recall@5"]


def test_evaluating_twice_gives_the_same_rankings(
    evaluations: dict[str, Evaluation], small_index: Index, corpus_folder: Path, tiny_run: Path
) -> None:
    again = evaluate(small_index, corpus_folder, "dev", policy=tiny_run)
    assert again.run == evaluations["policy"].run
    assert again.system == evaluations["policy"].system


def test_a_question_without_a_result_counts_zero_and_questions_without_types_are_fine(
    tmp_path: Path, small_index: Index, encyclopedia: Encyclopedia
) -> None:
    article = encyclopedia.documents[0]
    folder = questions_folder(
        tmp_path,
        [{"_id": "found", "text": article.title}, {"_id": "lost", "text": "zzzqqq xxyyzz"}],
        [f"found\t{article.id}\t1", f"lost\t{article.id}\t1"],
    )
    evaluation = evaluate(small_index, folder, "test", system="lexical", run_file=tmp_path / "run.trec")
    assert evaluation.figures["questions"] == 2
    assert evaluation.figures["recall@10"] == 0.5
    assert evaluation.figures["failure_rate@5"] >= 0.5
    assert evaluation.run["lost"] == {}
    assert list(read_run(tmp_path / "run.trec")) == ["found"]
    assert evaluation.by_type == {}


def test_labels_that_the_index_lacks_are_warned_of_and_count_as_not_found(
    tmp_path: Path, small_index: Index, encyclopedia: Encyclopedia
) -> None:
    article = encyclopedia.documents[0]
    folder = questions_folder(
        tmp_path, [{"_id": "q", "text": article.title}], [f"q\t{article.id}\t1", "q\tnowhere\t1", "q\tunwanted\t0"]
    )
    heard: list[str] = []
    evaluation = evaluate(small_index, folder, "test", system="lexical", warn=heard.append)
    (warning,) = heard
    assert "1 of 2 labelled passages and documents ('nowhere') are not in the index" in warning
    assert evaluation.figures["recall@10"] == 0.5
    assert evaluation.figures["all_recall@5"] == 0
    assert evaluate(small_index, folder, "test", system="lexical").run == evaluation.run


def test_labels_of_another_corpus_are_an_error(tmp_path: Path, small_index: Index) -> None:
    folder = questions_folder(tmp_path, [{"_id": "q", "text": "Who?"}], ["q\tnowhere\t1", "q\tneither\t1"])
    with pytest.raises(
        QuestionsError, match=r"has none of the 2 labelled passages.*'neither'.*evaluate over the index"
    ):
        evaluate(small_index, folder, "test", system="lexical")


def test_files_that_cannot_be_written_are_refused_before_any_question(
    small_index: Index, corpus_folder: Path, tmp_path: Path
) -> None:
    heard: list[int] = []
    for name in ("run_file", "json_file"):
        with pytest.raises(QuestionsError, match="its folder is not there"):
            evaluate(
                small_index,
                corpus_folder,
                "dev",
                system="lexical",
                progress=lambda stage, done, total: heard.append(done),
                **{name: tmp_path / "nowhere" / "file"},  # type: ignore[arg-type]
            )
    assert heard == []


def test_progress_hears_of_every_question(small_index: Index, corpus_folder: Path, encyclopedia: Encyclopedia) -> None:
    heard: list[tuple[str, int, int]] = []
    evaluate(small_index, str(corpus_folder), "validation", system="dense", progress=lambda *call: heard.append(call))
    count = len(encyclopedia.splits["validation"])
    assert heard == [("answering questions", number, count) for number in range(1, count + 1)]


def test_an_index_may_be_given_by_its_folder(
    small_index: Index, corpus_folder: Path, evaluations: dict[str, Evaluation]
) -> None:
    again = evaluate(str(small_index.path), corpus_folder, "dev", system="lexical")
    assert again.run == evaluations["lexical"].run


def test_what_is_missing_is_named(small_index: Index, corpus_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(QuestionsError, match="no split 'test'; splits there are: dev, train, validation"):
        evaluate(small_index, corpus_folder, "test")
    with pytest.raises(PolicyError, match="holds no policy"):
        evaluate(small_index, corpus_folder, "dev", policy=tmp_path)


def test_a_run_file_that_cannot_hold_the_ids_leaves_the_figures(
    tmp_path: Path, small_index: Index, encyclopedia: Encyclopedia
) -> None:
    article = encyclopedia.documents[0]
    folder = questions_folder(tmp_path, [{"_id": "two words", "text": article.title}], [f"two words\t{article.id}\t1"])
    with pytest.raises(QuestionsError, match=r"'two words'.*white space"):
        evaluate(small_index, folder, "test", system="lexical", run_file=tmp_path / "r", json_file=tmp_path / "j.json")
    assert json.loads((tmp_path / "j.json").read_text())["questions"] == 1


def test_confidence_is_held_against_the_first_five(
    evaluations: dict[str, Evaluation], encyclopedia: Encyclopedia, small_index: Index, tiny_run: Path
) -> None:
    agent = SearchAgent(small_index, tiny_run)
    sure, complete = [], []
    for question in encyclopedia.questions:
        if question.id in encyclopedia.splits["dev"]:
            result = agent.search(question.text, 50)
            gold = {passage for passage, score in encyclopedia.splits["dev"][question.id].items() if score}
            complete.append(gold <= {evidence.passage.id for evidence in result.evidence[:5]})
            sure.append(result.confidence)
    evaluation = evaluations["policy"]
    assert evaluation.complete.tolist() == complete
    assert evaluation.confidences.tolist() == pytest.approx(sure)
    figures = evaluation.figures
    assert figures["confidence_mean"] == pytest.approx(sum(sure) / len(sure))
    assert figures["complete_mean"] == pytest.approx(sum(complete) / len(complete))
    brier = [(stated - true) ** 2 for stated, true in zip(sure, complete, strict=True)]
    assert figures["brier_score"] == pytest.approx(sum(brier) / len(brier))
    assert len(evaluations["hybrid"].confidences) == len(evaluations["hybrid"].complete) == len(sure)


def test_a_reliability_diagram_is_drawn_for_a_system_that_says_how_sure_it_is(
    small_index: Index, corpus_folder: Path, tiny_run: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "reliability.svg"
    evaluate(small_index, corpus_folder, "dev", policy=tiny_run, reliability_file=picture)
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")
    unfinished = tmp_path / "unfinished"
    copytree(tiny_run, unfinished)
    description = json.loads((unfinished / "policy.json").read_text())
    write_sealed_json(
        unfinished / "policy.json", {k: v for k, v in description.items() if k not in ("confidence", "file_sha256")}
    )
    with pytest.raises(PolicyError, match="does not say how sure it is"):
        evaluate(small_index, corpus_folder, "dev", policy=unfinished, reliability_file=picture)
