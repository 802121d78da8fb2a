import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trailhound.retrievers.words._phrases import PhraseTable, fold, joins, without_marks, word_spans, words_of


def everything(first: int, last: int, entries: list[str]) -> list[str]:
    return entries


def table_of(*phrases: str) -> PhraseTable[str]:
    table: PhraseTable[str] = PhraseTable()
    for phrase in phrases:
        table.add(phrase.split(), phrase.upper())
    return table


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("J.R.R. Tolkien's lay-abbot", ["J", "R", "R", "Tolkien", "s", "lay", "abbot"]),
        ("cafe\u0301 noir", ["cafe\u0301", "noir"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("\u0301 a \u0302\u0303!", ["a"]),
        ("… — !?", []),
        ("", []),
    ],
)
def test_words_are_letters_with_their_marks(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@given(st.text())
def test_words_are_what_their_spans_cut_out_and_never_fold_to_nothing(text: str) -> None:
    assert words_of(text) == [text[start:end] for start, end in word_spans(text)]
    assert all(fold(word) and " " not in fold(word) for word in words_of(text))


@given(st.text())
def test_folding_ignores_how_accents_are_written(text: str) -> None:
    assert fold(unicodedata.normalize("NFD", text)) == fold(unicodedata.normalize("NFC", text))


def test_folding_drops_case_and_accents() -> None:
    assert fold("ÉCOLE") == fold("école") == "ecole"
    assert fold("Kraków") == "krakow"
    assert without_marks("Beyoncé Éa") == "Beyonce Ea"


@pytest.mark.parametrize(
    ("text", "allowed", "one"),
    [
        ("New York", "", True),
        ("New, York", "", False),
        ("New, York", "New, York", True),
        ("J. Tolkien", "J Tolkien", True),
        ("war. Peace", "war Peace", True),
        ("Wars. Peace", "Wars Peace", False),
        ("one: two", "one two", False),
        ("one (two", "one two", True),
        ("New\n\nYork", "New York", False),
        ("New\nYork", "New York", True),
    ],
)
def test_a_phrase_does_not_run_over_the_end_of_a_clause(text: str, allowed: str, one: bool) -> None:
    assert joins(text, word_spans(text), allowed) is one


def test_the_longest_phrase_wins_and_none_overlap() -> None:
    table = table_of("new york", "new york city", "york", "city hall")
    assert table.find(["in", "new", "york", "city", "hall", "york"], everything) == [
        (1, 4, ["NEW YORK CITY"]),
        (5, 6, ["YORK"]),
    ]


def test_a_shorter_phrase_is_taken_where_the_longer_is_refused() -> None:
    table = table_of("a b c", "a b", "b")

    def short_only(first: int, last: int, entries: list[str]) -> list[str]:
        return entries if last - first < 3 else []

    assert table.find(["a", "b", "c"], short_only) == [(0, 2, ["A B"])]


def test_a_phrase_is_not_found_beyond_the_end_of_the_text() -> None:
    assert table_of("a b c", "a").find(["x", "a", "b"], everything) == [(1, 2, ["A"])]
    assert table_of().find(["a"], everything) == []


def test_a_phrase_may_stand_for_several_entries() -> None:
    table: PhraseTable[int] = PhraseTable()
    table.add(["a"], 1)
    table.add(["a"], 2)
    assert len(table) == 1
    assert list(table.items()) == [("a", [1, 2])]


@given(
    st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), max_size=8),
    st.lists(st.sampled_from("abcd"), max_size=30),
)
def test_find_equals_trying_every_phrase_at_every_word(phrases: list[list[str]], words: list[str]) -> None:
    table = table_of(*(" ".join(phrase) for phrase in phrases))
    expected, place = [], 0
    while place < len(words):
        fits = [len(phrase) for phrase in phrases if words[place : place + len(phrase)] == phrase]
        if fits:
            expected.append((place, place + max(fits)))
        place += max(fits, default=1)
    assert [(first, last) for first, last, _ in table.find(words, lambda first, last, entries: entries)] == expected
