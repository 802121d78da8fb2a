"""The lexical index with changes ranks as one that was built anew, but for what average lengths have moved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from trailhound.demo.encyclopedia import Encyclopedia
from trailhound.retrievers.changing.live_lexical import BaseStatistics, LexicalAdditions, LiveLexical, stored_lengths
from trailhound.retrievers.changing.snapshot import Snapshot
from trailhound.retrievers.records import Query
from trailhound.retrievers.words.lexical import LexicalIndex

BASE = 100


def built(folder: Path, passages: list[tuple[str, str]]) -> LexicalIndex:
    LexicalIndex.build(folder, passages)
    return LexicalIndex(folder)


@pytest.fixture(scope="module")
def passages(encyclopedia: Encyclopedia) -> list[tuple[str, str]]:
    # one with words by the hundred, whose length is stored roundly
    return [(document.title, document.text) for document in encyclopedia.documents] + [("Long", "harbour town " * 150)]


@pytest.fixture(scope="module")
def base(passages: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    return built(tmp_path_factory.mktemp("lexical") / "base", passages[:BASE])


@pytest.fixture(scope="module")
def anew(passages: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    return built(tmp_path_factory.mktemp("lexical") / "anew", passages)


def additions(passages: list[tuple[str, str]]) -> LexicalAdditions:
    added = LexicalAdditions()
    for title, text in passages:
        added.add(title, text)
    return added


def whole(rows: int, died: dict[int, int] | None = None) -> Snapshot:
    died = died or {}
    return Snapshot(BASE, rows, 1, rows - len(died), rows, died)


def test_added_passages_score_as_tantivy_scores_them(
    passages: list[tuple[str, str]], base: LexicalIndex, anew: LexicalIndex, encyclopedia: Encyclopedia
) -> None:
    # with the average lengths of all passages there is no difference left
    live = LiveLexical(base, BaseStatistics(anew), additions(passages[BASE:]), whole(len(passages)))
    for question in [*encyclopedia.questions[:20], *encyclopedia.questions[-5:]]:
        query = Query(f"{question.text} harbour town the the")
        expected, found = anew.search(query, len(passages)), live.search(query, len(passages))
        scores = dict(zip(expected.rows.tolist(), expected.scores.tolist(), strict=True))
        assert sorted(found.rows.tolist()) == sorted(scores)
        for row, score in zip(found.rows.tolist(), found.scores.tolist(), strict=True):
            if row >= BASE:
                assert score == pytest.approx(scores[row], rel=1e-5)


def test_the_ranking_is_nearly_that_of_an_index_built_anew(
    passages: list[tuple[str, str]], base: LexicalIndex, anew: LexicalIndex, encyclopedia: Encyclopedia
) -> None:
    live = LiveLexical(base, BaseStatistics(base), additions(passages[BASE:]), whole(len(passages)))
    shared = [
        len(set(live.search(query, 10).rows.tolist()) & set(anew.search(query, 10).rows.tolist())) / 10
        for query in (Query(question.text) for question in encyclopedia.questions)
    ]
    assert np.mean(shared) > 0.95


def test_removed_passages_are_not_found_and_do_not_count(tmp_path: Path) -> None:
    texts = [("", f"common word{number}") for number in range(BASE)]
    base = built(tmp_path / "base", texts)
    added = additions([("", "common rare"), ("", "rare thing")])
    died = {3: 1, BASE + 1: 1, **dict.fromkeys(range(40, 90), 1)}
    for row in died:
        added.remove(*[*texts, ("", "common rare"), ("", "rare thing")][row], 1)
    live = LiveLexical(base, BaseStatistics(base), added, whole(BASE + 2, died))
    kept = [row for row in range(BASE + 2) if row not in died]
    assert live.search(Query("rare"), 5).rows.tolist() == [BASE]
    assert live.search(Query("word3"), 5).rows.tolist() == []
    assert sorted(live.search(Query("common"), 200).rows.tolist()) == kept
    built_anew = built(tmp_path / "anew", [texts[row] for row in kept[:-1]] + [("", "common rare")])
    for word in ("rare", "common", "word7", "common word7"):
        np.testing.assert_allclose(
            live.search(Query(word), 3).scores, built_anew.search(Query(word), 3).scores, rtol=1e-3
        )


def test_a_snapshot_does_not_see_what_comes_later(base: LexicalIndex) -> None:
    added = additions([("Alpha", "zebra zebra")])
    before = LiveLexical(base, BaseStatistics(base), added, whole(BASE + 1))
    first = before.search(Query("zebra"), 5)
    added.add("Beta", "zebra")
    added.remove("Alpha", "zebra zebra", 2)
    again = before.search(Query("zebra"), 5)
    assert (again.rows.tolist(), again.scores.tolist()) == (first.rows.tolist(), first.scores.tolist())
    assert again.rows.tolist() == [BASE]


def test_passages_that_may_name_a_title_are_found(tmp_path: Path) -> None:
    base = built(tmp_path / "base", [("", "old New York city"), ("", "York is new"), ("", "a new, York"), ("", "x")])
    added = additions([("", "to New York"), ("", "nothing")])
    live = LiveLexical(base, BaseStatistics(base), added, Snapshot(4, 6, 1, 5, 5, {2: 1}))
    assert live.mentioning(live.stems("New York")).tolist() == [0, 4]
    assert live.mentioning(live.stems("York")).tolist() == [0, 1, 4]
    assert live.mentioning(live.stems("nowhere")).tolist() == []


def test_lengths_are_stored_as_tantivy_stores_them(tmp_path: Path) -> None:
    assert stored_lengths()[:44].tolist() == [*range(41), 42, 44, 46]
    assert stored_lengths()[-1] == 2_013_265_944  # Lucene's greatest, SmallFloat.byte4ToInt((byte) 255)
    assert (np.diff(stored_lengths()) > 0).all()


def test_words_and_limits_of_no_use_find_nothing(base: LexicalIndex) -> None:
    live = LiveLexical(base, BaseStatistics(base), additions([("", "text")]), whole(BASE + 1))
    assert len(live.search(Query("..."), 5)) == len(live.search(Query("text"), 0)) == 0
    assert len(live.search(Query("zzzz"), 5)) == 0
