"""Labels may name documents: their figures are those of ir-measures over documents, each standing where it is first."""

from __future__ import annotations

import json
from pathlib import Path

import ir_measures
import numpy as np
import pytest
from ir_measures import RR, R, nDCG
from trailhound import Document, Evaluation, Index, evaluate
from trailhound.errors import QuestionsError
from trailhound.index.settings import IndexSettings
from trailhound.measuring._metrics import documents_never_retrieved
from trailhound.retrievers.protocols import Encoder

NOUNS = ("ferry", "harbour", "mill", "bridge", "lantern", "orchard", "barley", "tower", "market", "canal", "saddle")
SHORT = IndexSettings(chunk_tokens=12)


def sentence(generator: np.random.Generator) -> str:
    first, second, third = generator.choice(NOUNS, 3, replace=False).tolist()
    return f"The {first} beside the old {second} was sold with its {third} in spring."


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, hashing_encoder: Encoder) -> Index:
    generator = np.random.default_rng(4)
    documents = [
        Document(f"{k}.md", f"Tale {k}", "\n\n".join(sentence(generator) for _ in range(int(generator.integers(1, 9)))))
        for k in range(40)
    ]
    place = tmp_path_factory.mktemp("documents") / "x.index"
    return Index.build(documents, place, encoder=hashing_encoder, settings=SHORT)


def folder_of(folder: Path, labels: dict[str, dict[str, int]], texts: dict[str, str]) -> Path:
    (folder / "qrels").mkdir(parents=True)
    lines = [json.dumps({"_id": name, "text": texts[name]}) for name in labels]
    (folder / "queries.jsonl").write_text("\n".join(lines))
    rows = [f"{name}\t{label}\t{score}" for name, mine in labels.items() for label, score in mine.items()]
    (folder / "qrels" / "dev.tsv").write_text("\n".join(rows))
    return folder


def compare(evaluation: Evaluation, qrels: dict[str, dict[str, int]], run: dict[str, dict[str, float]]) -> None:
    oracle = ir_measures.calc_aggregate([R @ 2, R @ 5, R @ 10, nDCG @ 10, RR], qrels, run)
    for name, measure in {"recall@2": R @ 2, "recall@5": R @ 5, "recall@10": R @ 10, "ndcg@10": nDCG @ 10}.items():
        assert evaluation.figures[name] == pytest.approx(oracle[measure], abs=1e-9), name
    assert evaluation.figures["mrr"] == pytest.approx(oracle[RR], abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_figures_are_those_of_ir_measures_over_documents(index: Index, tmp_path: Path, seed: int) -> None:
    generator = np.random.default_rng(seed)
    texts = {f"q{k}": sentence(generator) for k in range(12)}
    documents = index.store.document_ids()
    qrels = {
        name: {str(label): int(generator.integers(0, 3)) for label in generator.choice(documents, 3, replace=False)}
        for name in texts
    }
    passages = {passage.id: passage for passage in index.store}
    labelled = {name: {f"{label}#0": score for label, score in mine.items()} for name, mine in qrels.items()}
    by_passage = evaluate(index, folder_of(tmp_path / "p", labelled, texts), "dev", system="hybrid")
    by_document = evaluate(
        index, folder_of(tmp_path / "d", qrels, texts), "dev", system="hybrid", run_file=tmp_path / "run"
    )
    expected: dict[str, dict[str, float]] = {}
    for name, ranking in by_passage.run.items():
        expected[name] = {}
        for passage, score in sorted(ranking.items(), key=lambda one: -one[1]):
            expected[name].setdefault(passages[passage].document_id, score)
    assert by_document.run == expected
    compare(by_document, qrels, expected)
    written = list(ir_measures.read_trec_run(str(tmp_path / "run")))
    assert {(one.query_id, one.doc_id) for one in written} == {(q, d) for q, mine in expected.items() for d in mine}
    assert any("12 of 12 questions are judged by document" in note for note in by_document.notes)
    assert by_passage.notes == ()


def test_labels_of_both_kinds_work_together(index: Index, tmp_path: Path) -> None:
    long = max(index.store.document_ids(), key=lambda name: len(index.store.rows_of(name)))
    passages = index.store.passages(index.store.rows_of(long))
    other = next(name for name in index.store.document_ids() if name != long)
    texts = {"both": passages[1].text, "document": passages[1].text, "passage": passages[1].text}
    labels = {"both": {passages[1].id: 1, other: 1}, "document": {f"./{long}": 1}, "passage": {passages[1].id: 1}}
    evaluation = evaluate(index, folder_of(tmp_path / "q", labels, texts), "dev", system="lexical")
    assert [name for name in evaluation.run["both"] if "#" in name] == [passages[1].id]
    assert long in evaluation.run["document"]
    assert not [name for name in evaluation.run["document"] if "#" in name]
    assert all("#" in name for name in evaluation.run["passage"])
    assert any("2 of 3 questions" in note for note in evaluation.notes)
    assert any(f"'./{long}'" in note for note in evaluation.notes)


def test_a_policy_takes_a_document_with_one_of_its_passages(index: Index, tiny_run: Path, tmp_path: Path) -> None:
    texts = {"q": index.store.passage(0).text}
    labels = {"q": {index.store.passage(0).document_id: 1}}
    evaluation = evaluate(index, folder_of(tmp_path / "q", labels, texts), "dev", system="policy", policy=tiny_run)
    assert evaluation.figures["recall@5"] == 1
    assert evaluation.figures["return_mean"] <= 1


def test_what_is_left_out_is_in_no_ranking_and_said(index: Index, tmp_path: Path) -> None:
    texts = {"q": index.store.passage(0).text, "r": index.store.passage(0).text}
    first = index.store.passage(0).document_id
    folder = folder_of(tmp_path / "q", {"q": {"9.md": 1}, "r": {first: 1}}, texts)
    before = evaluate(index, folder, "dev", system="lexical")
    (folder / "excluded.json").write_text(json.dumps({"q": [first], "another": ["9.md"]}))
    after = evaluate(index, folder, "dev", system="lexical")
    assert first in before.run["q"]
    assert list(after.run["q"]) == [name for name in before.run["q"] if name != first]
    assert after.run["r"] == before.run["r"]
    assert any("rankings of 1 questions" in note for note in after.notes)
    (folder / "excluded.json").write_text(json.dumps({"r": [first]}))
    assert any("counts as not found" in note for note in evaluate(index, folder, "dev", system="lexical").notes)


def test_labels_that_match_nothing_are_told_and_listed(index: Index, tmp_path: Path) -> None:
    texts = {"q": "the mill"}
    folder = folder_of(tmp_path / "q", {"q": {"0.md": 1, **{f"gone{k}.md": 1 for k in range(5)}}}, texts)
    said: list[str] = []
    evaluation = evaluate(index, folder, "dev", system="lexical", warn=said.append, json_file=tmp_path / "e.json")
    assert ["5 of 6" in line and "'gone0.md', 'gone1.md', 'gone2.md' and 2 more" in line for line in said] == [True]
    written = json.loads((tmp_path / "e.json").read_text())
    assert written["labels_unmatched"] == [f"gone{k}.md" for k in range(5)] == list(evaluation.unmatched)


def test_runs_of_documents_say_which_were_never_retrieved(index: Index, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("q Q0 3.md 1 2.0 x\nq Q0 4.md#0 2 1.0 x\n")
    never = documents_never_retrieved(index, [tmp_path / "run"])
    assert set(index.store.document_ids()) - set(never) == {"3.md", "4.md"}
    (tmp_path / "run").write_text("q Q0 nowhere.md 1 2.0 x\n")
    with pytest.raises(QuestionsError, match=r"'nowhere\.md'"):
        documents_never_retrieved(index, [tmp_path / "run"])
