from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trailhound.retrievers.words._title_forms import strip_parenthesis, title_forms
from trailhound.retrievers.words._titles import TitleMatcher, TitleMention

Found = list[tuple[str, tuple[int, ...], str, bool]]


def seen(text: str, mentions: list[TitleMention]) -> Found:
    return [(text[m.start : m.end], m.rows, m.kind, m.exact) for m in mentions]


def in_passage(text: str, *titles: str) -> Found:
    return seen(text, TitleMatcher(titles).find(text))


def in_question(text: str, *titles: str) -> Found:
    return seen(text, TitleMatcher(titles).find_in_question(text))


@pytest.mark.parametrize(
    ("title", "stripped"),
    [
        ("Theodred II (Bishop of Elmham)", "Theodred II"),
        ("Run (2013 film) ", "Run"),
        ("(500) Days of Summer", "(500) Days of Summer"),
        ("(untitled)", "(untitled)"),
        ("Odd (one", "Odd (one"),
        ("", ""),
    ],
)
def test_stripping_a_parenthesis(title: str, stripped: str) -> None:
    assert strip_parenthesis(title) == stripped


@pytest.mark.parametrize(
    ("title", "aliases"),
    [
        ("Maurice, Prince of Orange", {"Maurice of Orange"}),
        (
            "Esme Stewart, 1st Duke of Lennox",
            {"Esme Stewart", "Esme Stewart of Lennox", "1st Duke of Lennox"},
        ),
        ("Paris, Texas", set()),
        ("John F. Kennedy", {"John Kennedy"}),
        ("J. R. R. Tolkien", {"J. Tolkien"}),
        ("John Fitzgerald Kennedy", {"John Kennedy"}),
        ("Lord of Mine", set()),
        ("Al Gore Sr.", {"Al Gore"}),
        ("Sammy Davis, Jr.", {"Sammy Davis"}),
        ("Pele Jr", set()),
        ("The Rolling Stones", {"the Rolling Stones"}),
        ("The Who", set()),
        ("Beyoncé", {"Beyonce"}),
        ("Comma,", set()),
        ("C++ (language)", set()),
    ],
)
def test_aliases(title: str, aliases: set[str]) -> None:
    assert {form.text for form in title_forms(title) if form.kind == "alias"} - {"The Stones"} == aliases


def test_a_title_without_words_has_no_form() -> None:
    assert title_forms("") == title_forms(" … !? ") == title_forms("\u0301") == []


@given(st.text(max_size=40))
def test_forms_differ_and_the_title_comes_first(title: str) -> None:
    forms = title_forms(title)
    assert len({form.text for form in forms}) == len(forms)
    if forms:
        assert (forms[0].text, forms[0].kind) == (title.strip(), "title")


def test_a_title_of_blanks_costs_little() -> None:
    # A pattern that tries every length at every blank would take hours.
    assert len(title_forms("a" + " " * 200_000 + "b")) == 1


def test_a_title_is_known_with_and_without_its_parenthesis() -> None:
    titles = ("Theodred II (Bishop of Elmham)", "Theodred II (Bishop of London)")
    text = "After Theodred II (Bishop of London) came Theodred II and others."
    assert in_passage(text, *titles) == [
        ("Theodred II (Bishop of London", (1,), "title", True),
        ("Theodred II", (0, 1), "title", False),
    ]


def test_aliases_are_found_as_such() -> None:
    text = "He served Maurice of Orange and John Kennedy."
    assert in_passage(text, "Maurice, Prince of Orange", "John F. Kennedy") == [
        ("Maurice of Orange", (0,), "alias", False),
        ("John Kennedy", (1,), "alias", False),
    ]


def test_a_title_drives_out_an_alias_at_the_same_place() -> None:
    assert in_passage("by John Kennedy", "John F. Kennedy", "John Kennedy") == [("John Kennedy", (1,), "title", True)]


@pytest.mark.parametrize("written", ["J. R. R. Tolkien", "J.R.R. Tolkien", "J R R Tolkien"])
def test_initials_are_found_however_they_are_spaced(written: str) -> None:
    assert in_passage(f"a book by {written}.", "J. R. R. Tolkien") == [(written, (0,), "title", True)]


def test_case_counts_in_passages_but_not_in_questions() -> None:
    assert in_passage("a long night out", "A Long Night", "Long Night") == []
    assert in_question("who made a long night?", "A Long Night") == [("a long night", (0,), "title", True)]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("They went to Run again.", True),
        ("They run again.", False),
        ("Run is a film.", False),
        ("It ended. Run is a film.", False),
        ("It ended\n\nRun is a film", False),
        ("She saw Run", True),
        ("He met Run Smith.", False),
        ("He met John Run.", False),
        ("He met Jean-Run.", False),
        ("He met O'Run.", False),
        ("He met Run-Lola.", False),
        ("a Run-like film", True),
        ("of Run's cast", True),
        ("He met Runs.", False),
        ("with Smith, Run and others", True),
    ],
)
def test_a_title_of_one_word_must_stand_for_itself(text: str, named: bool) -> None:
    assert bool(in_passage(text, "Run")) is named


def test_the_punctuation_of_a_one_word_title_counts() -> None:
    titles = ("Help!", '"Heroes" (album)')
    assert in_passage("They made Help! in May.", *titles) == [("Help", (0,), "title", True)]
    assert in_passage("They made Help in May.", *titles) == []
    assert in_passage('They made "Heroes" in May.', *titles) == [("Heroes", (1,), "title", False)]
    assert in_passage("They met Heroes in May.", *titles) == []
    assert in_passage("Heroes", *titles) == []


@pytest.mark.parametrize("titles", [("Hello, Dolly", "Hello Dolly"), ("Hello Dolly", "Hello, Dolly")])
def test_titles_of_the_same_words_are_judged_each_by_its_own_punctuation(titles: tuple[str, ...]) -> None:
    plain, comma = titles.index("Hello Dolly"), titles.index("Hello, Dolly")
    assert in_passage("We sang Hello, Dolly again", *titles) == [("Hello, Dolly", (comma,), "title", True)]
    assert in_passage("We sang Hello Dolly again", *titles) == [("Hello Dolly", (0, 1), "title", True)]
    assert {plain, comma} == {0, 1}


def test_the_longest_title_wins() -> None:
    assert in_passage("the mayor of New York City", "New York", "New York City", "York City") == [
        ("New York City", (1,), "title", True)
    ]


@pytest.mark.parametrize("title", ["C++ (language) [x]", "What? (.*)", "a|b $1 ^c", r"\d+ Days", "Mr. [Foo] *Bar*"])
def test_titles_of_pattern_characters_are_taken_literally(title: str) -> None:
    text = f"we know {title} well"
    assert [rows for _, rows, _, _ in in_question(text, title)] == [(0,)]
    assert in_question("some entirely different words 12 Days", title) == []


def test_accents_may_be_decomposed_or_missing() -> None:
    assert in_question("Where was Beyonce\u0301 Knowles born?", "Beyoncé Knowles")[0][1] == (0,)
    assert in_question("Where was Beyonce Knowles born?", "Beyoncé Knowles") == [
        ("Beyonce Knowles", (0,), "title", True)
    ]
    assert in_passage("a song by Beyonce Knowles", "Beyoncé Knowles") == [("Beyonce Knowles", (0,), "alias", False)]


def test_indic_vowel_signs_tell_titles_apart() -> None:
    assert in_question("कि और", "का और") == []
    assert in_question("यह का और है", "का और")[0][1] == (0,)


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("Who directed Her?", True),
        ("Who is her mother?", False),
        ("Her mother is who?", False),
        ("what is rome?", False),
        ("What is Rome?", True),
        ("ROME is where?", True),
        ("What happened in 1984?", True),
    ],
)
def test_a_one_word_title_in_a_question(question: str, named: bool) -> None:
    assert bool(in_question(question, "Her", "Rome", "1984")) is named


def test_a_title_in_small_letters_is_found_as_written() -> None:
    assert in_question("who makes the iPhone?", "iPhone") == [("iPhone", (0,), "title", True)]


def test_the_exact_title_comes_before_those_with_a_parenthesis() -> None:
    assert in_question("Who made Sold?", "Sold (2014 film)", "Sold", "Sold (novel)") == [
        ("Sold", (1,), "title", True),
        ("Sold", (0, 2), "title", False),
    ]


@pytest.mark.parametrize(("copies", "named"), [(8, True), (9, False)])
def test_a_title_of_too_many_documents_names_none(copies: int, named: bool) -> None:
    titles = ["Green River"] * copies
    assert in_passage("by the Green River", *titles) == (
        [("Green River", tuple(range(copies)), "title", True)] if named else []
    )


@pytest.mark.parametrize(("copies", "named"), [(4, True), (5, False)])
def test_an_alias_of_too_many_documents_names_none(copies: int, named: bool) -> None:
    titles = [f"John {middle}. Smith" for middle in "ABCDEFGH"[:copies]]
    assert bool(in_passage("by John Smith", *titles)) is named


@pytest.mark.parametrize(("documents", "named"), [(8, True), (9, False)])
def test_documents_are_counted_and_not_their_passages(documents: int, named: bool) -> None:
    """Of a document cut into three passages all have its title, and one counts; in questions as in passages."""
    ids = [f"d{number}" for number in range(documents) for _ in range(3)]
    matcher = TitleMatcher(["Green River"] * len(ids), ids)
    rows = tuple(range(0, 3 * documents, 3))
    for found in (matcher.find("by the Green River"), matcher.find_in_question("who saw the green river?")):
        assert [mention.rows for mention in found] == ([rows] if named else [])


def test_different_writings_of_one_title_are_counted_together() -> None:
    titles = ["A. B. Green", "A.B. Green", "A B Green"] * 3
    assert in_passage("by A. B. Green", *titles) == []


def test_the_first_passage_stands_for_its_document() -> None:
    matcher = TitleMatcher(["Green River"] * 3 + ["Rome"], ["a", "a", "b", "a"])
    assert [m.rows for m in matcher.find("by the Green River")] == [(0, 2)]
    assert [m.rows for m in matcher.find("seen in Rome")] == [(3,)]


def test_as_many_document_ids_as_titles() -> None:
    with pytest.raises(ValueError, match="2 titles but 1 document ids"):
        TitleMatcher(["a", "b"], ["d"])


@pytest.mark.parametrize("titles", [[], ["", "", ""], [" ", "!?", "\u0301"]])
def test_without_titles_nothing_is_named(titles: list[str]) -> None:
    matcher = TitleMatcher(titles)
    for text in ("", "Some text, of Paris. And more!", " ! \u0301"):
        assert matcher.find(text) == matcher.find_in_question(text) == []


WORDS = st.sampled_from(["Run", "run", "New", "York", "of", "The", "John", "F.", "É", "(x)", "-", "!", ",", "II"])
PHRASES = st.lists(WORDS, max_size=5).map(" ".join)


@given(st.lists(PHRASES, max_size=8), PHRASES, PHRASES, st.randoms())
def test_mentions_are_ordered_apart_and_do_not_depend_on_the_order_of_the_titles(
    titles: list[str], before: str, after: str, random: object
) -> None:
    text = f"{before} {titles[0] if titles else ''} {after}"
    order = list(range(len(titles)))
    random.shuffle(order)  # type: ignore[attr-defined]
    one, other = TitleMatcher(titles), TitleMatcher([titles[row] for row in order])
    for find in ("find", "find_in_question"):
        mentions: list[TitleMention] = getattr(one, find)(text)
        shuffled: list[TitleMention] = getattr(other, find)(text)
        places = sorted({(m.start, m.end) for m in mentions})
        assert all(end <= start for (_, end), (start, _) in pairwise(places))
        assert all(0 <= m.start < m.end <= len(text) and m.rows for m in mentions)
        assert [(m.start, m.end, m.kind, m.exact, set(m.rows)) for m in mentions] == [
            (m.start, m.end, m.kind, m.exact, {order[row] for row in m.rows}) for m in shuffled
        ]


def test_threads_that_start_together_find_the_same() -> None:
    titles = [f"Place {number}" for number in range(3000)]
    texts = [f"from Place {number} to Place {number + 1}" for number in range(8)]
    matcher, barrier = TitleMatcher(titles), Barrier(8)

    def work(text: str) -> Found:
        barrier.wait()
        return seen(text, matcher.find(text) + matcher.find_in_question(text))

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, texts))
    alone = TitleMatcher(titles)
    assert results == [seen(text, alone.find(text) + alone.find_in_question(text)) for text in texts]
    assert len(results[0]) == 4
