"""Sentences end where a reader would end them, at exact offsets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trailhound.retrievers.compiling._sentences import sentence_spans

texts = st.text(st.sampled_from("aB1.!?。 \n\t#-|`…é「」\u2028\x1c") | st.characters(), max_size=80)


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


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
        "```",
        "# code",
        "```",
        "after",
    ]


def test_nothing_but_white_space_has_no_sentences() -> None:
    assert sentence_spans("") == sentence_spans(" \n\t\n ") == ()


@given(texts)
def test_sentence_spans_cover_all_but_white_space_in_order(text: str) -> None:
    spans = sentence_spans(text)
    outside, position = "", 0
    for start, end in spans:
        assert position <= start < end <= len(text)
        outside, position = outside + text[position:start], end
    assert not (outside + text[position:]).strip()
    assert all(text[start:end] == text[start:end].strip() for start, end in spans)
