from pathlib import Path

import pytest
from trailhound.errors import QuestionsError
from trailhound.retrievers.questions._labelled import has_fact_questions, known_answers, load_questions


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "graph.txt").write_text("a\tr\tb\nb\tr\tc\n")
    (tmp_path / "dev.txt").write_text("a\tr\tc\n\na\ts\tb\n")
    return tmp_path


def test_every_line_asks_for_its_tail(folder: Path) -> None:
    questions, qrels = load_questions(folder, "dev")
    assert [(q.id, q.text, q.answer) for q in questions] == [("dev:1", "a r", "c"), ("dev:3", "a s", "b")]
    assert qrels == {"dev:1": {"c": 1}, "dev:3": {"b": 1}}


def test_a_missing_split_names_those_that_are_there(folder: Path) -> None:
    with pytest.raises(QuestionsError, match="dev, graph"):
        load_questions(folder, "test")
    (folder / "empty.txt").write_text("\n")
    with pytest.raises(QuestionsError, match="no triples"):
        load_questions(folder, "empty")


def test_all_that_any_file_states_is_known(folder: Path) -> None:
    (folder / "readme.txt").write_text("what this is")
    warnings: list[str] = []
    assert known_answers(folder, warnings.append) == {"a r": {"b", "c"}, "b r": {"c"}, "a s": {"b"}}
    assert len(warnings) == 1
    assert "readme.txt:1" in warnings[0]


def test_questions_in_words_are_no_triples(folder: Path, corpus_folder: Path) -> None:
    assert has_fact_questions(folder)
    assert not has_fact_questions(corpus_folder)
    (folder / "graph.txt").unlink()
    assert has_fact_questions(folder)
    (folder / "queries.jsonl").write_text("")
    assert not has_fact_questions(folder)
