"""The lexical sub-index is BM25 over titles and texts, and never writes to the folder it searches."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from math import log
from pathlib import Path

import numpy as np
import pytest
from trailhound.errors import DamagedIndexError
from trailhound.retrievers.records import Query
from trailhound.retrievers.words._lexical import LexicalIndex

PASSAGES = [
    ("Harbour", "the old harbour lies north of the town"),
    ("Lighthouse", "ships saw the lighthouse from the harbour"),
    ("Baker", "a baker sold bread"),
    ("Baker", "a baker sold bread"),
    ("", "bread bread bread and ships"),
]


@pytest.fixture
def index(tmp_path: Path) -> LexicalIndex:
    LexicalIndex.build(tmp_path / "lexical", PASSAGES)
    return LexicalIndex(tmp_path / "lexical")


def bm25(passages: list[str], words: list[str]) -> dict[int, float]:
    """BM25 by its formula (Robertson and Zaragoza 2009, eq. 3.15), tantivy's idf, one field."""
    tokens = [Counter(text.split()) for text in passages]
    average = sum(map(sum, (count.values() for count in tokens))) / len(tokens)
    scores: dict[int, float] = {}
    for word in words:
        frequency = sum(word in count for count in tokens)
        idf = log(1 + (len(tokens) - frequency + 0.5) / (frequency + 0.5))
        for row, count in enumerate(tokens):
            if word in count:
                length = 1.2 * (1 - 0.75 + 0.75 * sum(count.values()) / average)
                scores[row] = scores.get(row, 0.0) + idf * 2.2 * count[word] / (count[word] + length)
    return scores


def test_scores_are_bm25(tmp_path: Path) -> None:
    texts = ["red fox den", "red red fox owl", "owl den elk elk elk", "cod"]
    LexicalIndex.build(tmp_path / "lexical", [("", text) for text in texts])
    hits = LexicalIndex(tmp_path / "lexical").search(Query("red owl"), 10)
    expected = bm25(texts, ["red", "owl"])
    assert hits.rows.tolist() == sorted(expected, key=lambda row: (-expected[row], row))
    assert hits.scores == pytest.approx([expected[row] for row in hits.rows.tolist()], rel=1e-5)


def test_titles_texts_and_stems_are_found(index: LexicalIndex) -> None:
    assert index.search(Query("LIGHTHOUSES?"), 5).rows.tolist() == [1]
    assert set(index.search(Query("ship"), 5).rows.tolist()) == {1, 4}
    assert set(index.search(Query("harbours"), 5).rows.tolist()) == {0, 1}
    assert len(index.search(Query("zeppelin"), 5)) == 0
    assert len(index) == len(PASSAGES)


def test_equal_passages_come_in_the_order_of_rows(tmp_path: Path) -> None:
    LexicalIndex.build(tmp_path / "lexical", [("Same", "the very same words")] * 40)
    index = LexicalIndex(tmp_path / "lexical")
    for limit in (1, 7, 40, 100):
        assert index.search(Query("same words"), limit).rows.tolist() == list(range(min(limit, 40)))


def test_operators_of_the_query_language_are_plain_words(index: LexicalIndex) -> None:
    plain = index.search(Query("title baker and not bread or 5"), 5)
    written = index.search(Query('title:"Baker"^3 AND NOT (bread OR +5~'), 5)
    assert (plain.rows.tolist(), plain.scores.tolist()) == (written.rows.tolist(), written.scores.tolist())


def test_a_limit_beyond_all_memory_is_no_danger(index: LexicalIndex) -> None:
    assert set(index.search(Query("bread"), 10**15).rows.tolist()) == {2, 3, 4}


def test_two_builds_answer_alike(tmp_path: Path, index: LexicalIndex) -> None:
    LexicalIndex.build(tmp_path / "again", PASSAGES)
    again = LexicalIndex(tmp_path / "again")
    for words in ("harbour", "bread ships", "old town baker"):
        first, second = (one.search(Query(words), 5) for one in (index, again))
        np.testing.assert_array_equal(first.rows, second.rows)
        np.testing.assert_array_equal(first.scores, second.scores)


def test_progress_counts_passages(tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    passages = (("", f"word{n}") for n in range(2500))
    LexicalIndex.build(tmp_path / "lexical", passages, 2500, lambda *stage: heard.append(stage))
    assert heard == [("indexing words", done, 2500) for done in (1000, 2000, 2500)]
    assert len(LexicalIndex(tmp_path / "lexical")) == 2500


def test_searching_leaves_the_folder_as_it_was_built(tmp_path: Path, index: LexicalIndex) -> None:
    before = sorted((path.name, path.stat().st_mtime_ns) for path in (tmp_path / "lexical").iterdir())
    index.search(Query("bread"), 3)
    assert sorted((path.name, path.stat().st_mtime_ns) for path in (tmp_path / "lexical").iterdir()) == before
    assert not any(name.endswith(".lock") for name, _ in before)


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root can become somebody without rights")
def test_a_folder_that_may_only_be_read(tmp_path: Path, index: LexicalIndex) -> None:
    for path in (tmp_path / "lexical").iterdir():
        path.chmod(0o444)
    script = (
        "import os, tantivy\n"
        "from pathlib import Path\n"
        "from trailhound.retrievers.words._lexical import LexicalIndex, Query\n"
        "os.environ['TMPDIR'] = '/tmp'\n"
        "os.chdir('lexical')\n"
        "os.geteuid() or os.setuid(65534)\n"
        "print(LexicalIndex(Path('.')).search(Query('lighthouse'), 3).rows.tolist())\n"
    )
    for folder in (tmp_path, *tmp_path.parents):
        if folder.name.startswith(("pytest-", "popen-", "test_")):
            folder.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[1]"


def test_what_is_no_index_is_refused(tmp_path: Path) -> None:
    import tantivy

    (tmp_path / "empty").mkdir()
    other = tantivy.SchemaBuilder().add_text_field("body").build()
    (tmp_path / "other").mkdir()
    writer = tantivy.Index(other, path=str(tmp_path / "other")).writer()
    writer.commit()
    writer.wait_merging_threads()
    for name, message in (("missing", "cannot be opened"), ("empty", "cannot be opened"), ("other", "another schema")):
        with pytest.raises(DamagedIndexError, match=message):
            LexicalIndex(tmp_path / name)


@pytest.mark.parametrize("lost", ["meta.json", ".term", ".idx", ".store", ".fast"])
def test_a_lost_file_is_noticed_at_opening(tmp_path: Path, index: LexicalIndex, lost: str) -> None:
    (path,) = (path for path in (tmp_path / "lexical").iterdir() if path.name.endswith(lost))
    path.unlink()
    with pytest.raises(DamagedIndexError, match="build the index again"):
        LexicalIndex(tmp_path / "lexical")
