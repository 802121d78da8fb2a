import os
import re
from pathlib import Path

import ir_measures
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trailhound.errors import QuestionsError
from trailhound.measuring._metrics import rank, read_run, write_run

CHARACTERS = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp"))
IDS = st.text(CHARACTERS, min_size=1, max_size=8).filter(lambda text: text[0] != "\ufeff")
RUNS = st.dictionaries(
    IDS, st.dictionaries(IDS, st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=6)
)


def test_lines_are_ranked_from_one_by_score(tmp_path: Path) -> None:
    path = tmp_path / "a.trec"
    write_run(path, {"q2": {"a": 0.1, "b": 2.5, "c": 0.1}, "q1": {"x": -1.0}, "empty": {}}, "hybrid")
    assert path.read_text() == (
        "q2 Q0 b 1 2.5 hybrid\nq2 Q0 c 2 0.1 hybrid\nq2 Q0 a 3 0.1 hybrid\nq1 Q0 x 1 -1.0 hybrid\n"
    )
    assert [item.name for item in tmp_path.iterdir()] == ["a.trec"]


@given(run=RUNS)
def test_what_is_written_is_read_again_and_by_ir_measures_too(
    tmp_path_factory: pytest.TempPathFactory, run: dict[str, dict[str, float]]
) -> None:
    path = tmp_path_factory.mktemp("run") / "run.trec"
    write_run(path, run, "tag")
    assert read_run(path) == run
    if run:
        theirs = [(item.query_id, item.doc_id, item.score) for item in ir_measures.read_trec_run(str(path))]
        assert theirs == [(q, passage, run[q][passage]) for q in run for passage in rank(run[q])]


@pytest.mark.parametrize("identifier", ["New York", "a\tb", "a\n", "a\u00a0b", "", "\x1c", "\ufeffa", "a\0", "\udc00"])
def test_an_id_that_the_format_cannot_hold_is_named(tmp_path: Path, identifier: str) -> None:
    path = tmp_path / "a.trec"
    for run, what in [({identifier: {"p": 1.0}}, "question id"), ({"q": {identifier: 1.0}}, "passage id")]:
        with pytest.raises(QuestionsError, match=re.escape(f"{what} {identifier!r}") + ".*white space"):
            write_run(path, run, "tag")
    with pytest.raises(QuestionsError, match="the tag"):
        write_run(path, {}, identifier)
    assert not path.exists()


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_scores_that_cannot_be_ranked_are_not_written(tmp_path: Path, score: float) -> None:
    path = tmp_path / "a.trec"
    write_run(path, {"q": {"p": 1.0}}, "old")
    with pytest.raises(QuestionsError, match=r"'p' for 'q'.*finite"):
        write_run(path, {"q": {"p": score}}, "new")
    assert path.read_text() == "q Q0 p 1 1.0 old\n"


def test_a_file_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "folder", tmp_path / "missing" / "a.trec", tmp_path / "file" / "a.trec"):
        with pytest.raises(QuestionsError, match=f"{path.name}: cannot be written"):
            write_run(path, {"q": {"p": 1.0}}, "tag")
    assert {item.name for item in tmp_path.rglob("*")} == {"folder", "file"}


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_others_may_read_the_file_as_the_umask_says(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_run(tmp_path / "a.trec", {"q": {"p": 1.0}}, "tag")
    assert (tmp_path / "a.trec").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q Q0 p 1 1.0", "expected six fields"),
        ("q Q0 p 1 1.0 tag more", "expected six fields"),
        ("q Q0 a 2 1.0 tag", "'a' comes twice for 'q'"),
        ("q Q0 p 1 high tag", "'high' is not a number"),
        ("q Q0 p 1 nan tag", "'nan' is not finite"),
        ("q Q0 p 1 -inf tag", "'-inf' is not finite"),
    ],
)
def test_a_malformed_line_is_named_with_its_place(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "a.trec"
    path.write_text(f"q Q0 a 1 2.0 tag\n\n{line}\n")
    with pytest.raises(QuestionsError, match=re.escape(f"{path}:3: ") + ".*" + re.escape(message)) as caught:
        read_run(path)
    assert (caught.value.path, caught.value.line) == (path, 3)


def test_files_of_other_tools_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.trec"
    path.write_bytes(b"\xef\xbb\xbfq1\tQ0\tp1\t0\t1e1\tx\r\nq2 0  p1 7 3 x\r\nq1 Q0 p2 1 11 x")
    assert read_run(path) == {"q1": {"p1": 10.0, "p2": 11.0}, "q2": {"p1": 3.0}}


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(QuestionsError, match="cannot be read"):
        read_run(tmp_path / "none.trec")
