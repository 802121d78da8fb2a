"""Pruning: what is said twice goes, what differs in a number or a name stays, what nobody finds is named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trailhound import Document
from trailhound.demo._encyclopedia import Encyclopedia
from trailhound.retrievers.compiling._chunking import chunk
from trailhound.retrievers.compiling._pruning import (
    ALIKE,
    Dropped,
    DuplicateFilter,
    KnownPassages,
    MarkTable,
    load_dropped,
    mark_of,
    save_dropped,
)

LONG = (
    "Brun Oller was an engineer who built the gate of the harbour at Vellmark in 1871 and, after a long quarrel with"
    " the owners of the quay, went back to the small town in the hills where he was born, and where he is buried"
)


def duplicates(titles: Sequence[str], texts: Sequence[str]) -> list[Dropped]:
    seen = DuplicateFilter()
    checked = (seen.check(row, *both) for row, both in enumerate(zip(titles, texts, strict=True)))
    return [repeated for repeated in checked if repeated is not None]


def dropped(*texts: str) -> list[Dropped]:
    return duplicates([""] * len(texts), texts)


@pytest.mark.parametrize(
    "other",
    [LONG.upper(), LONG.replace(" ", "\n "), LONG.replace(",", ";") + "!", LONG.replace("o", "ö"), f"“{LONG}”"],
    ids=["case", "space", "punctuation", "accents", "quotes"],
)
def test_what_is_equal_but_for_its_writing_is_dropped(other: str) -> None:
    assert dropped("bread", LONG, other) == [Dropped(2, "equal", 1)]


def test_what_is_nearly_equal_is_dropped() -> None:
    assert dropped(LONG, LONG + " too") == [Dropped(1, "near", 0)]
    assert dropped(LONG, LONG.replace("a long quarrel", "a quarrel")) == [Dropped(1, "near", 0)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1871", "1872"),
        ("Brun", "Bran"),
        ("Vellmark", "Vellmoor"),
        ("where he is buried", "where he is not buried"),
        ("in the hills where he was born", "by a lake, far from all that he knew"),
    ],
)
def test_another_number_name_or_clause_is_another_passage(old: str, new: str) -> None:
    assert dropped(LONG, LONG.replace(old, new)) == []


def test_titles_count() -> None:
    assert duplicates(["The gate", "The quay"], [LONG, LONG]) == []
    assert duplicates(["The gate", "the gate"], [LONG, LONG]) == [Dropped(1, "equal", 0)]


def test_what_was_dropped_keeps_nothing_else_out() -> None:
    """All of them lean on a passage that is kept, though each is nearer to the one before it."""
    chain = [LONG]
    for word in ("a long", "small", "the owners of", "back"):
        chain.append(chain[-1].replace(f"{word} ", ""))
    result = dropped(*chain)
    assert result
    kept = set(range(len(chain))) - {drop.row for drop in result}
    assert {drop.kept for drop in result} <= kept


def test_an_encyclopedia_says_nothing_twice(encyclopedia: Encyclopedia) -> None:
    titles = [document.title for document in encyclopedia.documents]
    texts = [document.text for document in encyclopedia.documents]
    assert duplicates(titles, texts) == []
    twice = duplicates(titles * 2, texts * 2)
    assert [(drop.row - len(titles), drop.reason) for drop in twice] == [(row, "equal") for row in range(len(titles))]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=12, max_size=14), min_size=2, max_size=6))
def test_near_means_the_shingles_in_common(texts: list[list[str]]) -> None:
    """Against the definition: whoever is dropped is alike to the one that is kept for it."""
    for drop in dropped(*(" ".join(text) for text in texts)):
        assert drop.kept is not None
        one, other = (
            {tuple(texts[row][k : k + 3]) for k in range(len(texts[row]) - 2)} for row in (drop.row, drop.kept)
        )
        assert len(one & other) >= ALIKE * len(one | other)


def test_what_was_left_out_is_listed_and_the_rest_is_marked(tmp_path: Path) -> None:
    found = DuplicateFilter()
    documents = [Document("a", "", LONG), Document("b", "", LONG.upper()), Document("c", "", "bread")]
    kept = [passage.id for document in documents for passage in found.pass_through(chunk(document))]
    assert kept == ["a#0", "c#0"]
    save_dropped(tmp_path, found.dropped, found.marks)
    assert load_dropped(tmp_path) == [{"document": "b", "passage": "b#0", "reason": "equal", "found_as": "a#0"}]
    marks = found.marks
    assert marks.shape == (2, 18)
    np.testing.assert_array_equal(marks[0], mark_of("", LONG).numbers)
    assert (mark_of("", LONG).numbers[:2] == mark_of("", LONG.upper()).numbers[:2]).all()
    near = mark_of("", LONG + " too").numbers
    assert not (marks[0][:2] == near[:2]).any()
    assert (marks[0][2:] == near[2:]).any()


@pytest.mark.parametrize("deleted", [False, True])
def test_additions_are_compared_with_the_living_passages_of_an_index(deleted: bool) -> None:
    first = DuplicateFilter()
    kept = [p for text in (LONG, "bread") for p in first.pass_through(chunk(Document(text[:3], "", text)))]
    tables = [(MarkTable(first.marks[:1]), 0), (MarkTable(first.marks[1:]), 1)]
    known = KnownPassages(tables, np.array([not deleted, True]), kept.__getitem__)
    later = DuplicateFilter(known)
    new = [p.id for text in (LONG + " too", "Bread!") for p in later.pass_through(chunk(Document(text[-3:], "", text)))]
    assert new == (["too#0"] if deleted else [])
    assert [entry["found_as"] for entry in later.dropped] == (["bre#0"] if deleted else ["Bru#0", "bre#0"])


def test_empty_texts_are_equal() -> None:
    assert dropped("", "?!", "a") == [Dropped(1, "equal", 0)]
