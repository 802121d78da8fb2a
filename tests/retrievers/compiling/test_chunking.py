"""Every character is in one passage, no passage is longer than the encoder reads, and cuts hurt little."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trailhound.errors import CorpusError
from trailhound.retrievers.compiling._chunking import chunk
from trailhound.retrievers.compiling._sentences import sentence_spans
from trailhound.retrievers.compiling._window import Window
from trailhound.retrievers.protocols import Progress
from trailhound.retrievers.records import Document, Markup, Passage, Vectors
from trailhound.retrievers.vectors._encoder import MiniLMEncoder

WORDS = (
    "word|Word|Mr.|A.|U.S.|3.14|The|end.|what?|wow!|#tag|```|“|”|(|)|…|。|文|é|😀|a|<!--|-->|<div>|[x]: y|สวัสดี|"
    + "abc0" * 60
)
BREAKS = [
    *(
        "\n",
        "\n\n",
        "  ",
        "\t",
        "# Head\n",
        "```\n",
        "- ",
        "1. ",
        "\u2028",
        "\x1c",
        "|",
        "\r\n",
        "\r",
        "===\n",
        "---\n",
    ),
    *("| a | b |\n|---|---|\n", "| 1 | 2 |\n", "> ", "    ", "\x0b", "+++\n", "title: x\n", "• "),
]
fragments = st.sampled_from(BREAKS) | st.sampled_from(re.split(r"\|", WORDS))
texts = st.lists(fragments | st.text(max_size=3), max_size=60).map("".join) | st.lists(fragments).map(" ".join)
markups = st.sampled_from(["markdown", "plain", "code"])


@dataclass
class Counting:
    """An encoder that counts in a way of its own."""

    count: Callable[[str], int]
    max_tokens: int
    name: str = "counting"
    dimension: int = 1

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        raise NotImplementedError

    def count_tokens(self, text: str) -> int:
        return self.count(text)


def piece_count(text: str) -> int:
    """Count as a tokenizer with word pieces does: every letter run costs a piece per three letters."""
    return sum(-(-len(word) // 3) for word in re.findall(r"\w+|[^\w\s]", text))


def byte_count(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def uncovered(text: str, spans: list[tuple[int, int]]) -> str:
    """Check order and non-overlap, and return every character outside the spans."""
    outside, position = "", 0
    for start, end in spans:
        assert position <= start < end <= len(text)
        outside += text[position:start]
        position = end
    return outside + text[position:]


def check(document: Document, passages: list[Passage]) -> None:
    text = document.text
    assert not uncovered(text, [(passage.start, passage.end) for passage in passages]).strip()
    for number, passage in enumerate(passages):
        assert passage.text == text[passage.start : passage.end]
        assert (passage.id, passage.document_id) == (f"{document.id}#{number}", document.id)
        assert (passage.title, passage.source, passage.metadata) == ("Title", "d.txt", {"k": 1})
        assert not uncovered(passage.text, list(passage.sentences)).strip()


@given(texts, markups, st.integers(1, 30))
def test_passages_are_exact_ordered_complete_and_within_the_budget(text: str, markup: Markup, words: int) -> None:
    document = Document("d", "Title", text, "d.txt", metadata={"k": 1}, markup=markup)
    passages = chunk(document, words)
    check(document, passages)
    counts = Window().counts([passage.text for passage in passages])
    assert all(1 <= count <= words for count in counts)


@given(texts, markups, st.integers(8, 60), st.sampled_from([len, piece_count, byte_count]), st.booleans())
def test_no_passage_is_longer_than_the_encoder_reads(
    text: str, markup: Markup, tokens: int, count: Callable[[str], int], atomic: bool
) -> None:
    window = Window(Counting(count, tokens + 2))
    document = Document("d", "Title", text, "d.txt", atomic, {"k": 1}, markup)
    passages = chunk(document, 1_000_000, window)
    if not (atomic and [passage.id for passage in passages] == ["d"]):
        check(document, passages)
    for passage in passages:
        (embedded,) = window.embedded([passage], ["above > all"])
        assert count(embedded) <= tokens or len(passage.text) == 1
        assert embedded.endswith(passage.text)


@pytest.fixture(scope="module")
def minilm() -> Window:
    return Window(MiniLMEncoder(threads=1))


@given(texts, markups)
def test_the_built_in_encoder_reads_every_passage(minilm: Window, text: str, markup: Markup) -> None:
    passages = chunk(Document("d", "Title", text * 9, "d.txt", metadata={"k": 1}, markup=markup), 1_000, minilm)
    assert max(minilm.counts(minilm.embedded(passages, [""] * len(passages))), default=0) <= 254


def passages_of(text: str, words: int = 120, markup: Markup = "markdown") -> list[str]:
    return [passage.text for passage in chunk(Document("d", "", text, markup=markup), words)]


def test_whole_sentences_are_gathered_into_parts_of_about_one_size() -> None:
    assert passages_of("One two three. Four five. Six seven. Eight.", 5) == [
        "One two three. Four five.",
        "Six seven. Eight.",
    ]


def test_a_sentence_longer_than_the_budget_is_cut_into_equal_parts_between_words() -> None:
    assert passages_of("a b c d e f g h i.", 6) == ["a b c d e", "f g h i."]
    assert passages_of("a b c, d e f g h.", 6) == ["a b c,", "d e f g h."]


def test_small_sections_are_merged_with_their_neighbours() -> None:
    short = "\n\n".join(f"## Part {number}\n\nThree words here." for number in range(12))
    passages = passages_of(short, 30)
    assert [passage.split("\n")[0] for passage in passages] == ["## Part 0", "## Part 5", "## Part 10"]
    long = "# A\n\n" + "Many words here. " * 12
    assert [part.split("\n")[0] for part in passages_of(f"{long}\n\n# B\n\n{long[4:]}", 50)] == ["# A", "# B"]


def test_a_heading_stays_with_what_follows() -> None:
    assert passages_of("# Top\na b c d e f", 5) == ["# Top\na b c", "d e f"]
    assert passages_of("One two three four five six.\n\n# Top\n\n## Under\n\nOne two.", 7) == [
        "One two three four five six.",
        "# Top\n\n## Under\n\nOne two.",
    ]


def test_list_items_stay_whole_where_they_fit() -> None:
    text = "- One two. Three four.\n- Five six. Seven eight.\n- Nine ten. Eleven twelve."
    assert passages_of(text, 9) == text.split("\n")
    assert passages_of(text, 9, "plain") == text.split("\n")


def test_tables_are_cut_between_rows_and_repeat_their_header() -> None:
    rows = "\n".join(f"| Town{number} | {number * 7} m |" for number in range(60))
    text = f"# Heights\n\n| City | Height |\n|:----|------|\n{rows}\n\nText after. It ends."
    passages = chunk(Document("d", "T", text), 60)
    assert len(passages) > 3
    assert [passage.lead for passage in passages[1:]] == ["| City | Height |\n|:-|-|"] * (len(passages) - 1)
    assert passages[0].lead == ""
    lines = text.split("\n")
    assert all(line in lines for passage in passages for line in passage.text.split("\n"))
    assert all(Window().counts([f"{passage.lead}\n{passage.text}"])[0] <= 60 for passage in passages)


def test_a_header_that_leaves_no_room_for_rows_is_not_repeated() -> None:
    header = "| " + " | ".join(f"column {number}" for number in range(30)) + " |\n|" + "---|" * 30
    passages = chunk(Document("d", "", header + "\n" + "| 1 |\n" * 100), 60)
    assert {passage.lead for passage in passages} == {""}


def test_code_is_cut_between_lines_and_rather_between_functions() -> None:
    function = "def f{0}(x):\n    y = x + 1\n    return y + {0}"
    functions = [function.format(number) for number in range(9)]
    assert all(passage.startswith("def") for passage in passages_of("\n\n\n".join(functions), 28, "code"))
    fenced = "# Code\n\n```python\n" + "\n\n".join(functions) + "\n```\n"
    lines = fenced.split("\n")
    assert all(line in lines for passage in passages_of(fenced, 28) for line in passage.split("\n"))


@pytest.mark.parametrize("markup", ["markdown", "plain"])
def test_records_of_a_log_stay_whole(markup: Markup) -> None:
    lines = [f"2024-03-01T12:{i:02d}:33Z ERROR acme.Billing timeout after {i}ms. Trying again" for i in range(60)]
    passages = passages_of("\n".join(lines), 40, markup)
    assert len(passages) > 5
    assert all(line in lines for passage in passages for line in passage.split("\n"))


def test_plain_text_has_no_headings_and_code_no_list_items() -> None:
    text = "# not a heading\nsame paragraph\n- point"
    assert [text[a:b] for a, b in sentence_spans(text, "plain")] == ["# not a heading\nsame paragraph", "- point"]
    assert [text[a:b] for a, b in sentence_spans(text, "code")] == text.split("\n")


def test_text_without_spaces_cannot_outgrow_a_passage() -> None:
    assert max(map(len, passages_of("文" * 25, 10))) <= 10
    assert max(len(text) for text in passages_of("x" * 20_000, 10)) == 1000


def test_words_too_long_for_the_tokenizer_are_read_in_parts(minilm: Window) -> None:
    assert minilm.counts(["ab" * 5_000])[0] > 3_000
    thai = "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทยและมีแม่น้ำเจ้าพระยาไหลผ่าน" * 40
    assert minilm.counts([thai])[0] > 60
    passages = chunk(Document("d", "", thai), 160, minilm)
    assert max(minilm.counts([passage.text for passage in passages])) <= 160


def test_a_title_that_fills_the_window_is_shortened_in_what_is_embedded_only(minilm: Window) -> None:
    title = "Very long titles that say everything " * 60
    passages = chunk(Document("d", title, "Short text. " * 200), 160, minilm)
    embedded = minilm.embedded(passages, [""] * len(passages))
    assert {passage.title for passage in passages} == {title}
    assert all(text.startswith("Very long titles") and text.endswith("Short text.") for text in embedded)
    assert max(minilm.counts(embedded)) <= 254
    (whole,) = chunk(Document("d", "T" * 3000, "Short.", atomic=True), 160, minilm)
    assert minilm.counts(minilm.embedded([whole], [""]))[0] <= 254


def test_the_line_before_a_passage_is_shortened_rather_than_its_text(minilm: Window) -> None:
    passages = chunk(Document("d", "T", "Short text. " * 83, atomic=True), 160, minilm)
    (short, kept) = minilm.embedded([passages[0]] * 2, ["word " * 300, "word"])
    assert short.endswith(passages[0].text)
    assert short.startswith("T. word word")
    assert minilm.counts([short])[0] <= 254
    assert kept == f"T. word\n{passages[0].text}"


def test_an_atomic_document_is_one_passage_where_the_encoder_reads_it_whole(minilm: Window) -> None:
    text = " # A\n\n# B " * 20
    document = Document("p1", "T", text, "c.jsonl:1", atomic=True, metadata={"k": 1})
    spans = sentence_spans(text)
    assert chunk(document, 5, minilm) == [Passage("p1", "p1", "T", text, 0, len(text), spans, "c.jsonl:1", {"k": 1})]
    cut = chunk(Document("p1", "T", "Some words here. " * 100, atomic=True), 5, minilm)
    assert [passage.id for passage in cut] == ["p1#0", "p1#1"]
    assert len(chunk(Document("p1", "T", "Some words here. " * 100, atomic=True))) == 1


def test_passages_of_paged_documents_know_their_pages() -> None:
    text = "Page one.\n\nPage two.\n\nPage three."
    document = Document("d", "", text, metadata={"page_starts": [0, 11, 22], "k": 1, "file_hash": "f"})
    assert [passage.metadata for passage in chunk(document, 2)] == [
        {"k": 1, "page": page, "last_page": page} for page in (1, 2, 3)
    ]
    (whole,) = chunk(document)
    assert whole.metadata == {"k": 1, "page": 1, "last_page": 3}


def test_passages_know_their_lines() -> None:
    text = "One two three.\nFour five six.\n\n\nSeven eight nine.\n"
    document = Document("d", "", text, metadata={"first_line": 5})
    assert [(p.text, p.metadata) for p in chunk(document, 6)] == [
        ("One two three.\nFour five six.", {"line": 5, "last_line": 6}),
        ("Seven eight nine.", {"line": 9, "last_line": 9}),
    ]


def test_budget_below_one_is_refused() -> None:
    with pytest.raises(CorpusError, match="a passage of 0 tokens cannot be made"):
        chunk(Document("d", "", "x"), 0)


UNITS = [
    ".",
    "!)",
    "\n ",
    " ",
    "# ",
    "# \n",
    "a. ",
    "```\n",
    "Mr. ",
    "x",
    "「",
    "| a |\n",
    "- ",
    "- a\n",
    "a1 ",
    "> ",
    "[",
    "<a ",
]


@pytest.mark.parametrize("unit", UNITS)
def test_time_grows_with_length_only(unit: str) -> None:
    taken = []
    for length in (100_000, 400_000):
        text = "A" + unit * (length // len(unit)) + "Z"
        start = time.process_time()
        passages = chunk(Document("d", "", text))
        taken.append(time.process_time() - start)
        assert not uncovered(text, [(passage.start, passage.end) for passage in passages]).strip()
    assert taken[1] < 10 * taken[0] + 1  # seconds; a quadratic rule takes sixteen times as long


def test_counting_tokens_takes_linear_time() -> None:
    def counted(text: str) -> int:
        nonlocal characters
        characters += len(text)
        return piece_count(text)

    for text in ("word " * 4_000, "a" * 20_000, "Short one. " * 2_000, "# h\n" * 5_000):
        characters = 0
        chunk(Document("d", "", text), 100, Window(Counting(counted, 256)))
        assert characters < 40 * len(text)
