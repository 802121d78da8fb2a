"""Misses of a trained policy add up to what evaluation counts; chunking and reading are named too."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from trailhound import Document, Index, IndexSettings
from trailhound.agent._reranking import LinearReranker, save_reranker
from trailhound.agent.reader._protocol import Answer
from trailhound.errors import PolicyError, QuestionsError
from trailhound.measuring import misses as module
from trailhound.measuring._miss_stages import STAGES, Finding, reading_finding
from trailhound.measuring.evaluation import Evaluation, evaluate
from trailhound.measuring.misses import Miss, MissReport, draw_misses, explain_misses, write_misses
from trailhound.retrievers.compiling._sentences import sentence_spans
from trailhound.retrievers.protocols import Encoder
from trailhound.retrievers.questions._labelled import load_questions
from trailhound.retrievers.records import Passage

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def report(small_index: Index, corpus_folder: Path, tiny_run: Path) -> MissReport:
    return explain_misses(small_index, corpus_folder, "train", policy=tiny_run)


@pytest.fixture(scope="module")
def evaluation(small_index: Index, corpus_folder: Path, tiny_run: Path) -> Evaluation:
    return evaluate(small_index, corpus_folder, "train", policy=tiny_run)


@pytest.fixture(scope="module")
def few(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six questions of the train split."""
    folder = tmp_path_factory.mktemp("few")
    (folder / "qrels").mkdir()
    _, qrels = load_questions(corpus_folder, "train")
    labels = [f"{question}\t{name}\t1\n" for question in list(qrels)[:6] for name in qrels[question]]
    (folder / "qrels" / "few.tsv").write_text("".join(labels))
    (folder / "queries.jsonl").write_text((corpus_folder / "queries.jsonl").read_text())
    return folder


def missed_by_evaluation(corpus_folder: Path, split: str, run: dict[str, dict[str, float]]) -> set[tuple[str, str]]:
    _, qrels = load_questions(corpus_folder, split)
    return {
        (question, passage)
        for question, labels in qrels.items()
        for passage in labels
        if passage not in sorted(run[question], key=lambda name: -run[question][name])[:5]
    }


def passages_of(report: MissReport) -> list[tuple[str, str]]:
    return [(miss.question_id, miss.passage) for miss in report.misses if miss.passage]


def test_the_misses_are_what_evaluation_does_not_find(
    report: MissReport, evaluation: Evaluation, corpus_folder: Path
) -> None:
    expected = missed_by_evaluation(corpus_folder, "train", evaluation.run)
    assert len(expected) > 3
    assert len(passages_of(report)) == len(expected)
    assert set(passages_of(report)) == expected


def test_every_miss_has_one_stage_and_the_counts_add_up(report: MissReport) -> None:
    counts = report.counts()
    assert tuple(counts) == STAGES
    assert sum(sum(causes.values()) for causes in counts.values()) == len(report.misses)
    written = report.to_json()
    assert json.loads(json.dumps(written)) == written
    assert written["total"] == len(written["misses"]) == len(report.misses)
    assert sum(stage["count"] for stage in written["stages"].values()) == written["total"]
    assert sum(stage["share"] for stage in written["stages"].values()) == pytest.approx(1)


def test_with_a_re_ranker_the_misses_are_those_of_the_new_order(
    small_index: Index, few: Path, tiny_run: Path, tmp_path: Path
) -> None:
    save_reranker(tmp_path, LinearReranker(small_index, "hybrid", [-1.0, 0.0, 0.0]), {})  # turns the ranking around
    report = explain_misses(small_index, few, "few", policy=tiny_run, reranker=tmp_path)
    evaluation = evaluate(small_index, few, "few", policy=tiny_run, reranker=tmp_path)
    assert set(passages_of(report)) == missed_by_evaluation(few, "few", evaluation.run)
    assert sum(report.counts()["reranking"].values()) > 0


def test_a_router_accounts_for_what_lies_outside_its_shards(small_index: Index, few: Path, tiny_run: Path) -> None:
    asked: list[str] = []

    def nothing(question: str) -> np.ndarray:  # type: ignore[type-arg]
        asked.append(question)
        return np.zeros(len(small_index), np.bool_)

    plain = explain_misses(small_index, few, "few", policy=tiny_run)
    routed = explain_misses(small_index, few, "few", policy=tiny_run, reachable=nothing)
    assert len(asked) == routed.questions
    assert passages_of(routed) == passages_of(plain)
    unseen = {"not asked", "stopped early", "no room", "sub-index never asked", "beyond the pages", "beyond the hop"}
    changed = [
        (before.cause, after.cause)
        for before, after in zip(plain.misses, routed.misses, strict=True)
        if before.cause in unseen
    ]
    assert {after for _, after in changed} <= {"outside the shards"}


def test_what_is_not_in_the_index_is_chunking(
    hashing_encoder: Encoder, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "The mill stood by the river and ground barley for the town. " * 3
    documents = [
        Document("long", "The mill", text),
        Document("short", "The bridge", "The bridge is of stone."),
        Document("whole", "The inn", "The inn has nine rooms.", atomic=True),
    ]
    index = Index.build(
        documents, tmp_path / "a.index", encoder=hashing_encoder, settings=IndexSettings(chunk_tokens=12)
    )
    (tmp_path / "qrels").mkdir()
    (tmp_path / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "Who owns the mill and the inn?"}))
    labels = "".join(f"q\t{name}\t1\n" for name in ("long", "short", "whole", "absent"))
    (tmp_path / "qrels" / "dev.tsv").write_text(f"query-id\tcorpus-id\tscore\n{labels}")
    report = explain_misses(index, tmp_path, "dev", policy=tiny_run)
    found = {miss.passage: miss for miss in report.misses if miss.stage == "chunking"}
    assert {name: miss.cause for name, miss in found.items()} == {"absent": "not in the index"}
    assert report.supporting == 4


def test_a_labelled_document_is_missed_once_and_found_with_any_of_its_passages(
    hashing_encoder: Encoder, tiny_run: Path, tmp_path: Path
) -> None:
    text = "The mill stood by the river and ground barley for the town. " * 3
    documents = [Document("long", "The mill", text), *(Document(f"d{k}", f"Inn {k}", "A room.") for k in range(9))]
    settings = IndexSettings(chunk_tokens=12)
    index = Index.build(documents, tmp_path / "a.index", encoder=hashing_encoder, settings=settings)
    (tmp_path / "qrels").mkdir()
    (tmp_path / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "Who ground barley by the river?"}))
    (tmp_path / "qrels" / "dev.tsv").write_text("q\tlong\t1\n")
    assert len(index.store.rows_of("long")) > 1
    assert explain_misses(index, tmp_path, "dev", policy=tiny_run).misses == ()
    (tmp_path / "excluded.json").write_text(json.dumps({"q": ["long"]}))
    missed = explain_misses(index, tmp_path, "dev", policy=tiny_run).misses
    assert [(miss.passage, miss.title) for miss in missed] == [("long", "The mill")]


def test_labels_of_another_corpus_are_an_error(small_index: Index, tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "Who?"}))
    (tmp_path / "qrels" / "dev.tsv").write_text("q\tp1\t1\n")
    with pytest.raises(QuestionsError, match="none of the 1 labelled passages"):
        explain_misses(small_index, tmp_path, "dev", policy=tiny_run)


def test_a_knowledge_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "graph.txt").write_text("oslo\tcapital_of\tnorway\nnorway\tneighbour_of\tsweden\n")
    index = Index.build(tmp_path, tmp_path / "facts.index", threads=1)
    with pytest.raises(PolicyError, match="knowledge graph"):
        explain_misses(index, tmp_path, "dev")


def passage(name: str, text: str) -> Passage:
    return Passage(name, name, name.title(), text, 0, len(text), sentence_spans(text))


MILL, INN = passage("mill", "The mill was built by Ada Brun."), passage("inn", "The inn is older.")


@pytest.mark.parametrize(
    ("answer", "read", "cause"),
    [
        (Answer("ada brun", 0.5), [MILL, INN], None),
        (Answer("the Ada Brun.", 0.5), [INN], None),
        (Answer("the inn", 0.5), [MILL, INN], "another answer"),
        (Answer("the inn", 0.5), [INN], "evidence not read"),
        (None, [MILL, INN], "no answer"),
    ],
)
def test_why_an_answer_is_wrong(answer: Answer | None, read: list[Passage], cause: str | None) -> None:
    finding = reading_finding("Ada Brun", answer, read, [MILL])
    assert (None if finding is None else finding.cause) == cause


def test_an_answer_that_is_not_written_out() -> None:
    finding = reading_finding("yes", Answer("no", 0.9), [MILL, INN], [MILL, INN])
    happened = "the reader answered 'no'; the right one stands nowhere in what it read"
    assert finding == Finding("reading", "not written out", happened)


def test_wrong_answers_are_counted_where_the_evidence_is_complete(evaluation: Evaluation, report: MissReport) -> None:
    answered = [miss for miss in report.misses if miss.stage == "reading"]
    assert all(not miss.passage for miss in answered)
    assert report.judged_answers == round(evaluation.figures["all_recall@5"] * report.questions)
    right = report.judged_answers - len(answered)
    assert right <= round(evaluation.figures["answer_exact_match"] * report.questions)
    assert right > 0


def miss(stage: str, cause: str, number: int = 0) -> Miss:
    return Miss(f"q{number}", "Who?", "p", "A <b> & c", stage, cause, "it happened")


def test_examples_are_of_different_causes() -> None:
    found = (miss("policy", "a", 1), miss("policy", "a", 2), miss("policy", "b", 3), miss("reading", "c", 4))
    report = MissReport("s", 4, 8, 2, found)
    assert [one.question_id for one in report.examples(2)] == ["q1", "q3", "q4"]
    assert [one.question_id for one in report.examples(9)] == ["q1", "q3", "q2", "q4"]
    assert report.examples(0) == []


def test_the_figure_has_a_bar_for_every_stage_and_cause(tmp_path: Path) -> None:
    """Hand-worked: 4 misses, so a bar of 3 is three quarters of the width."""
    found = (*(miss("policy", "not asked", k) for k in range(3)), miss("retrieval", "beyond <the> pages"))
    report = MissReport("policy <x> & y", 10, 20, 0, found)
    write_misses(tmp_path / "f.svg", report)
    root = ElementTree.fromstring((tmp_path / "f.svg").read_bytes())
    bars = [(float(box.get("width", "")), box.get("fill")) for box in root.findall(f"{SVG}rect")[1:]]
    widths = [width for width, _ in bars]
    assert widths == [0, 0, 105, 105, 315, 315, 0, 0], "routing and chunking have none; each stage, then its causes"
    shown = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert "3 (75.0 %)" in shown
    assert "beyond <the> pages" in shown
    assert any(re.search("4 of 20 supporting passages missed", text) for text in shown)
    tops = [float(box.get("y", "")) for box in root.findall(f"{SVG}rect")[1:]]
    assert tops == sorted(set(tops))
    assert tops[-1] < float(root.get("height", ""))


def test_nothing_missed_can_be_drawn() -> None:
    ElementTree.fromstring(draw_misses(MissReport("s", 1, 2, 1, ())))
    assert module.MissReport("s", 1, 2, 1, ()).to_json()["stages"]["policy"] == {"count": 0, "share": 0.0, "causes": {}}
