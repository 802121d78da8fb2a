import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from trailhound.errors import CorpusError
from trailhound.retrievers.compiling._chunking import CountTokens, chunk, sentence_spans
from trailhound.retrievers.records import Document, Passage
from trailhound.retrievers.vectors._minilm import model_folder

WORDS = "word|Word|Mr.|A.|U.S.|3.14|The|end.|what?|wow!|#tag|```|“|”|(|)|…|。|文|é|😀|a"
BREAKS = ["\n", "\n\n", "  ", "\t", "# Head\n", "```\n", "- ", "1. ", "\u2028", "\x1c", "|"]
fragments = st.sampled_from(BREAKS) | st.sampled_from(re.split(r"\|", WORDS))
documents_text = st.lists(fragments | st.text(max_size=3), max_size=60).map("".join) | st.lists(fragments).map(" ".join)


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


def uncovered(text: str, spans: list[tuple[int, int]]) -> str:
    """Check order and non-overlap, and return every character outside the spans."""
    outside, position = "", 0
    for start, end in spans:
        assert position <= start < end <= len(text)
        outside += text[position:start]
        position = end
    return outside + text[position:]


@pytest.mark.parametrize(
    "expected",
    [
        ["Mr. Smith met Dr. J. R. R. Tolkien.", "They talked."],
        ["It costs 3.14 dollars.", "Pi is 3.14159."],
        ["He moved to the U.S. Senate.", "It was 1990."],
        ["He left the U.S.", "In 1990 he came back."],
        ["Sammy Davis Jr. Sings was sung by Warner Bros. Records."],
        ["It was No. 5 in Jan. 1990, vol. 3.", "Was it?", "Yes!", "No."],
        ["He said no.", "Nobody heard."],
        ['She said: "Stop!"', '"Why?" he asked.', "(It was late.)", "Then they went."],
        ["Yahoo! is a company.", "So is E.ON."],
        ["Well... maybe not.", "Well…", "Maybe."],
        ["See e.g. Smith et al. 1990.", "See Fig. 3 as well."],
        ["Vitamin C.", "The rest."],
        ["我们走。", "他来了！", "「好。」", "完"],
        ["Niles P. Johnston lived at 210 W. 10th St. in Kansas."],
    ],
)
def test_sentences_end_where_a_reader_would_end_them(expected: list[str]) -> None:
    joined = "".join(expected) if "我" in expected[0] else " ".join(expected)
    assert sentences(joined) == expected


def test_empty_lines_headings_list_items_and_fences_end_sentences() -> None:
    text = (
        "# A heading\nfirst\nline\n\n  second paragraph  \n- item one\n- item two\n1. Number. More\n"
        "```\n# code\n```\nafter"
    )
    assert sentences(text) == [
        "# A heading",
        "first\nline",
        "second paragraph",
        "- item one",
        "- item two",
        "1. Number.",
        "More",
        "```\n# code\n```",
        "after",
    ]


def test_nothing_but_white_space_has_no_sentences() -> None:
    assert sentence_spans("") == sentence_spans(" \n\t\n ") == ()


@given(documents_text)
def test_sentence_spans_cover_all_but_white_space_in_order(text: str) -> None:
    spans = sentence_spans(text)
    assert not uncovered(text, spans).strip()
    assert all(text[start:end] == text[start:end].strip() for start, end in spans)


@given(documents_text, st.integers(1, 12))
def test_passages_are_exact_ordered_complete_and_within_the_budget(text: str, words: int) -> None:
    document = Document("d", "Title", text, "d.txt", metadata={"k": 1})
    passages = chunk(document, words)
    assert not uncovered(text, [(passage.start, passage.end) for passage in passages]).strip()
    for number, passage in enumerate(passages):
        assert passage.text == text[passage.start : passage.end]
        assert 1 <= len(passage.text.split()) <= words
        assert (passage.id, passage.document_id) == (f"d#{number}", "d")
        assert (passage.title, passage.source, passage.metadata) == ("Title", "d.txt", {"k": 1})


@given(documents_text)
def test_headings_stand_first_in_their_passage(text: str) -> None:
    for passage in chunk(Document("d", "", text), 1_000):
        lines = [line for line in passage.text.split("\n") if line.strip()]
        fenced = [index for index, line in enumerate(lines) if line.lstrip(" ").startswith("```")]
        headings = [bool(re.match(r" {0,3}#{1,6}([ \t]|$)", line)) for line in lines]
        if not fenced and "```" not in text:
            assert headings == sorted(headings, reverse=True)


def passages_of(text: str, words: int = 120) -> list[str]:
    return [passage.text for passage in chunk(Document("d", "", text), words)]


def test_whole_sentences_are_gathered_up_to_the_budget() -> None:
    assert passages_of("One two three. Four five. Six seven. Eight.", 5) == [
        "One two three. Four five.",
        "Six seven. Eight.",
    ]


def test_sentence_longer_than_the_budget_is_cut_between_words() -> None:
    assert passages_of("Ay. b c d e f g h. I j.", 3) == ["Ay. b c", "d e f", "g h. I", "j."]


def test_each_section_is_its_own_passage_with_its_headings() -> None:
    text = "# Top\n## First\nText one.\n\n## Second\nText two.\n"
    assert passages_of(text) == ["# Top\n## First\nText one.", "## Second\nText two."]


def test_heading_stays_with_the_long_sentence_after_it() -> None:
    assert passages_of("# Top\na b c d e f", 5) == ["# Top\na b c", "d e f"]


def test_text_without_spaces_cannot_outgrow_a_passage() -> None:
    assert [len(text) for text in passages_of("文" * 25, 10)] == [10, 10, 5]
    assert max(len(text) for text in passages_of("x" * 20_000, 10)) == 640


def test_atomic_document_is_one_passage_whole() -> None:
    document = Document("p1", "T", " # A\n\n# B " * 100, "c.jsonl:1", atomic=True, metadata={"k": 1})
    text = document.text
    assert chunk(document, 5) == [
        Passage("p1", "p1", "T", text, 0, len(text), sentence_spans(text), "c.jsonl:1", {"k": 1})
    ]


def test_passages_of_paged_documents_know_their_page() -> None:
    text = "Page one.\n\nPage two.\n\nPage three."
    document = Document("d", "", text, metadata={"page_starts": [0, 11, 22], "k": 1})
    assert [passage.metadata for passage in chunk(document, 2)] == [{"k": 1, "page": page} for page in (1, 2, 3)]


def test_budget_below_one_is_refused() -> None:
    with pytest.raises(CorpusError, match="a passage of 0 words cannot be made"):
        chunk(Document("d", "", "x"), 0)


@pytest.mark.parametrize("unit", [".", "!)", "\n ", " ", "# ", "a. ", "```\n", "Mr. ", "x", "「"])
def test_time_grows_with_length_only(unit: str) -> None:
    text = "A" + unit * (400_000 // len(unit)) + "Z"
    start = time.process_time()
    passages = chunk(Document("d", "", text))
    assert time.process_time() - start < 5  # seconds; a quadratic rule takes minutes here
    assert not uncovered(text, [(passage.start, passage.end) for passage in passages]).strip()


def character_count(text: str) -> int:
    return len(text)


def piece_count(text: str) -> int:
    """Count as a tokenizer with word pieces does: every letter run costs a piece per three letters."""
    return sum(-(-len(word) // 3) for word in re.findall(r"\w+|[^\w\s]", text))


@given(documents_text, st.integers(1, 30), st.sampled_from([character_count, piece_count]))
def test_no_passage_is_more_tokens_than_the_budget(text: str, tokens: int, count: CountTokens) -> None:
    document = Document("d", "title", text)
    passages = chunk(document, tokens=tokens, count_tokens=count)
    assert uncovered(text, [(passage.start, passage.end) for passage in passages]).strip() == ""
    for number, passage in enumerate(passages):
        assert passage.text == text[passage.start : passage.end]
        assert passage.id == f"d#{number}"
        assert count(passage.text) <= tokens


def test_sentences_are_gathered_up_to_the_budget_of_tokens() -> None:
    text = "Abcdef ghi. Jkl mno. Pqr.\n\n# Stu\n\nVwx."
    passages = chunk(Document("d", "", text), tokens=7, count_tokens=piece_count)
    # 4 and 3 pieces; 2 and then a heading, which begins a passage
    assert [passage.text for passage in passages] == ["Abcdef ghi. Jkl mno.", "Pqr.", "# Stu\n\nVwx."]


def test_a_sentence_of_too_many_tokens_is_cut_between_words_and_a_word_inside() -> None:
    text = "Abcdef ghi jklmnopqr stu vwxyz. End."
    passages = chunk(Document("d", "", text), tokens=2, count_tokens=piece_count)
    assert [passage.text for passage in passages] == ["Abcdef", "ghi", "jklmno", "pqr stu", "vwxyz", ".", "End."]


def test_tokens_of_the_built_in_encoder() -> None:
    tokenizer = Tokenizer.from_file(str(model_folder() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    sentence = "Kierkegaard's internationalization of Zürich's harbour 文字 took 1,234,567 years. "
    text = f"# Heading\n\n{sentence * 40}\n\n{'word ' * 500}\n\n{'x' * 300}"
    passages = chunk(Document("d", "", text), tokens=50, count_tokens=count)
    sizes = [count(passage.text) for passage in passages]
    assert max(sizes) <= 50
    one = count(sentence)
    assert all(size > 50 - one for size in sizes[: sum(map(count, text.split("\n\n")[1:2])) // 50 - 1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"tokens": 0, "count_tokens": len}, "0 tokens"), ({"tokens": 5}, "need count_tokens")],
)
def test_a_budget_of_tokens_that_cannot_be_used(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        chunk(Document("d", "", "text"), **arguments)


def test_counting_tokens_takes_linear_time() -> None:
    def counted(text: str) -> int:
        nonlocal characters
        characters += len(text)
        return piece_count(text)

    for text in ("word " * 4_000, "a" * 20_000, "Short one. " * 2_000, "# h\n" * 5_000):
        characters = 0
        chunk(Document("d", "", text), tokens=100, count_tokens=counted)
        assert characters < 40 * len(text)
