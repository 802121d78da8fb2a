import json
import re
from pathlib import Path

import pytest
from trailhound.errors import QuestionsError
from trailhound.retrievers.corpus._loading import CorpusReader
from trailhound.retrievers.questions._labelled import load_multihop_questions, load_questions
from trailhound.retrievers.records import Question

DATA = Path(__file__).parents[3].parent / "shared" / "data"
QUERIES = [
    '{"_id": "q1", "text": "Who?", "metadata": {"answer": "Ann", "type": "bridge"}}',
    '{"_id": "q2", "text": "Where?", "metadata": {"answer": "There", "hops": "2hop"}}',
    '{"_id": "q3", "text": "When?"}',
]
LABELS = "query-id\tcorpus-id\tscore\nq3\tp1\t1\nq1\tp2\t2\nq1\tp 3\t0\n"


def folder_of(tmp_path: Path, labels: str | bytes = LABELS, queries: list[str] | None = None) -> Path:
    (tmp_path / "qrels").mkdir(exist_ok=True)
    (tmp_path / "queries.jsonl").write_text("\n".join(queries or QUERIES), encoding="utf-8")
    data = labels if isinstance(labels, bytes) else labels.encode()
    (tmp_path / "qrels" / "dev.tsv").write_bytes(data)
    return tmp_path


def test_questions_of_the_split_in_their_file_order(tmp_path: Path) -> None:
    questions, qrels = load_questions(folder_of(tmp_path), "dev")
    assert questions == [Question("q1", "Who?", "Ann", "bridge"), Question("q3", "When?")]
    assert qrels == {"q3": {"p1": 1}, "q1": {"p2": 2, "p 3": 0}}


@pytest.mark.parametrize("change", ["headless", "windows", "marked"])
def test_header_line_ends_and_byte_order_mark_do_not_matter(tmp_path: Path, change: str) -> None:
    labels = {
        "headless": LABELS.partition("\n")[2],
        "windows": LABELS.replace("\n", "\r\n"),
        "marked": "\ufeff" + LABELS,
    }[change]
    expected = {"q3": {"p1": 1}, "q1": {"p2": 2, "p 3": 0}}
    assert load_questions(folder_of(tmp_path, labels), "dev")[1] == expected


def test_hops_stand_for_the_type(tmp_path: Path) -> None:
    questions, _ = load_questions(folder_of(tmp_path, "q2\tp1\t1\n"), "dev")
    assert questions == [Question("q2", "Where?", "There", "2hop")]


@pytest.mark.parametrize(
    ("labels", "line", "reason"),
    [
        ("q1\tp1\t1\nq9\tp1\t1\n", 2, "the question 'q9' is not in "),
        ("q1\tp1\t1\nq1 p1 1\n", 2, "expected query-id<TAB>corpus-id<TAB>score, found 'q1 p1 1'"),
        ("q1\tp1\t1\nq1\tp1\n", 2, "expected query-id<TAB>"),
        ("q1\t0\tp1\t1\n", 1, "expected query-id<TAB>"),
        ("q1\t\t1\n", 1, "expected query-id<TAB>"),
        ("q1\tp1\t1\nq1\tp2\tx\n", 2, "the score 'x' is not a whole number"),
        ("q1\tp1\t1\nq1\tp2\t0.5\n", 2, "the score '0.5' is not a whole number"),
        ("q1\tp1\t1\n\nq1\tp1\t0\n", 3, "'p1' has the scores 1 and 0 for 'q1': keep one"),
        (b"q1\tp1\t1\nq1\tp\xff\t1\n", 2, "byte 5 of the line (0xff) is not UTF-8"),
    ],
)
def test_malformed_labels_name_file_and_line(tmp_path: Path, labels: str | bytes, line: int, reason: str) -> None:
    place = f"{tmp_path / 'qrels' / 'dev.tsv'}:{line}: {reason}"
    with pytest.raises(QuestionsError, match=re.escape(place)):
        load_questions(folder_of(tmp_path, labels), "dev")


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ('{"_id": "q1", "text": ', "not valid JSON"),
        ('{"text": "x"}', "the field '_id' is missing"),
        ('{"_id": "q4"}', "the field 'text' is missing"),
        ('{"_id": "q4", "text": " "}', "the field 'text' is empty"),
        (f'{{"_id": "q4", "text": "{"x" * 10_001}"}}', "the question has 10,001 characters, more than 10,000: shorten"),
        (r'{"_id": "q4", "text": "\ud800"}', "the field 'text' has NUL characters or lone surrogates"),
        ('{"_id": "q4", "text": "x", "metadata": [1]}', "the field 'metadata' must be an object, not a list"),
        ('{"_id": "q4", "text": "x", "metadata": {"answer": ["a"]}}', "the field 'answer' must be a string"),
        (
            '{"_id": "q1", "text": "Other?"}',
            "the id 'q1' names another question than in line 1: ids must be unique",
        ),
    ],
)
def test_malformed_questions_name_file_and_line(tmp_path: Path, query: str, reason: str) -> None:
    place = f"{tmp_path / 'queries.jsonl'}:4: {reason}"
    with pytest.raises(QuestionsError, match=re.escape(place)):
        load_questions(folder_of(tmp_path, queries=[*QUERIES, query]), "dev")


def test_ambiguous_question_is_left_out_where_the_caller_hears_of_it(tmp_path: Path) -> None:
    heard: list[str] = []
    folder = folder_of(tmp_path, queries=[*QUERIES, '{"_id": "q1", "text": "Other?"}', QUERIES[2]])
    questions, qrels = load_questions(folder, "dev", heard.append)
    assert [question.id for question in questions] == list(qrels) == ["q3"]
    expected = "the id 'q1' names another question than in line 1: left it out of the split"
    assert heard == [f"{folder / 'queries.jsonl'}:4: {expected}"]


def test_ambiguous_question_of_another_split_does_not_matter(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "q3\tp1\t1\n", [*QUERIES, '{"_id": "q1", "text": "Other?"}'])
    assert [question.id for question in load_questions(folder, "dev")[0]] == ["q3"]


@pytest.mark.parametrize("split", ["test", "../dev", ""])
def test_missing_split_lists_the_splits_there_are(tmp_path: Path, split: str) -> None:
    folder = folder_of(tmp_path)
    (folder / "qrels" / "train.tsv").write_text(LABELS, encoding="utf-8")
    expected = f"{folder}: there is no split {split!r}; splits there are: dev, train"
    with pytest.raises(QuestionsError, match=re.escape(expected)):
        load_questions(folder, split)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(QuestionsError, match=re.escape(f"{tmp_path}: there is no queries.jsonl")):
        load_questions(tmp_path, "dev")
    (tmp_path / "queries.jsonl").write_text(QUERIES[0], encoding="utf-8")
    with pytest.raises(QuestionsError, match=re.escape("splits there are: none (expected qrels/SPLIT.tsv)")):
        load_questions(tmp_path, "dev")


def test_split_without_labels(tmp_path: Path) -> None:
    with pytest.raises(QuestionsError, match="the split 'dev' has no labels"):
        load_questions(folder_of(tmp_path, "query-id\tcorpus-id\tscore\n"), "dev")


def test_multihop_file_labels_the_passages_that_its_corpus_holds(tmp_path: Path) -> None:
    path = tmp_path / "dev.json"
    context = [["Ann", ["Ann was."]], ["Bob", ["B."]]]
    record = {"question": "Who?", "answer": "Ann", "type": "bridge", "context": context}
    path.write_text(json.dumps([{**record, "_id": "q1", "supporting_facts": [["Bob", 0]]}]), encoding="utf-8")
    ids = {document.title: document.id for document in CorpusReader([path], pytest.fail)}
    assert load_questions(path, "dev") == load_multihop_questions(path)
    assert load_multihop_questions(path) == (
        [Question("q1", "Who?", "Ann", "bridge")],
        {"q1": {ids["Bob"]: 1}},
    )


def test_multihop_lines_take_the_type_from_the_id(tmp_path: Path) -> None:
    path = tmp_path / "dev.jsonl"
    paragraphs = [
        {"title": "A", "paragraph_text": "x", "is_supporting": True},
        {"title": "A", "paragraph_text": "y"},
    ]
    line = json.dumps({"id": "3hop1__5_6", "question": "Who?", "answer": "A", "paragraphs": paragraphs})
    path.write_text(line, encoding="utf-8")
    ids = {document.text: document.id for document in CorpusReader([path], pytest.fail)}
    assert load_multihop_questions(path) == (
        [Question("3hop1__5_6", "Who?", "A", "3hop1")],
        {"3hop1__5_6": {ids["x"]: 1}},
    )
    path.write_text(line + "\n" + line, encoding="utf-8")
    with pytest.raises(QuestionsError, match=r"dev\.jsonl:2: the id '3hop1__5_6' was used before"):
        load_multihop_questions(path)


def test_multihop_file_without_labels_or_questions(tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    paragraphs = [{"title": "A", "paragraph_text": "x"}]
    path.write_text(json.dumps({"id": "2hop__1_2", "question": "?", "paragraphs": paragraphs}), "utf-8")
    with pytest.raises(QuestionsError, match=re.escape(f"{path}:1: no context is marked as supporting")):
        load_multihop_questions(path)
    empty = tmp_path / "empty.json"
    empty.write_text("[]", encoding="utf-8")
    with pytest.raises(QuestionsError, match=re.escape(f"{empty}: holds no questions")):
        load_multihop_questions(empty)


def test_question_repeated_word_for_word_is_one_question(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, queries=[*QUERIES, QUERIES[0]])
    assert [question.id for question in load_questions(folder, "dev")[0]] == ["q1", "q3"]


def test_number_as_an_answer_is_read_as_text(tmp_path: Path) -> None:
    query = '{"_id": "q1", "text": "When?", "metadata": {"answer": 1990}}'
    (question,), _ = load_questions(folder_of(tmp_path, "q1\tp1\t1\n", [query]), "dev")
    assert question.answer == "1990"


@pytest.mark.data
@pytest.mark.skipif(not DATA.exists(), reason="the shared data sets are not here")
@pytest.mark.parametrize(("name", "split", "count"), [("2wiki", "dev", 500), ("musique", "train", 211)])
def test_shared_questions(name: str, split: str, count: int) -> None:
    questions, qrels = load_questions(DATA / name, split)
    assert len(questions) == len(qrels) == count
    assert {question.id for question in questions} == set(qrels)
    assert all(question.answer and question.type for question in questions)
