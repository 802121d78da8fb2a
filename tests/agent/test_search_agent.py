"""What an application gets: evidence in order, a path in words, a context that fits, the same from every thread."""

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trailhound import Document, Evidence, Index, Passage, SearchAgent, SearchResult
from trailhound.agent._packing import most_tokens
from trailhound.agent.reader._protocol import cited_numbers
from trailhound.demo._encyclopedia import Encyclopedia
from trailhound.errors import IndexFolderError, PolicyError, QuestionsError
from trailhound.retrievers.compiling._sentences import sentence_spans
from trailhound.retrievers.protocols import Encoder


@pytest.fixture(scope="module")
def asked(encyclopedia: Encyclopedia) -> list[str]:
    return [question.text for question in encyclopedia.questions[:16]]


@pytest.fixture(scope="module")
def agent(small_index: Index, tiny_run: Path) -> SearchAgent:
    return SearchAgent(small_index, tiny_run)


@pytest.fixture(scope="module")
def results(agent: SearchAgent, asked: list[str]) -> list[SearchResult]:
    return [agent.search(question) for question in asked]


def essence(result: SearchResult) -> SearchResult:
    """Return everything but the time it took."""
    return replace(result, milliseconds=0.0)


def test_evidence_is_ranked_from_1_without_ties_even_as_float32(results: list[SearchResult]) -> None:
    for result in results:
        assert [evidence.rank for evidence in result.evidence] == list(range(1, len(result.evidence) + 1))
        scores = np.array([evidence.score for evidence in result.evidence])
        assert (np.diff(scores) < 0).all()
        assert (np.diff(scores.astype(np.float32)) < 0).all()


def test_what_the_policy_took_is_marked_wherever_it_is_ranked(results: list[SearchResult]) -> None:
    for result in results:
        taken = {evidence.passage.id for evidence in result.evidence if evidence.taken}
        shown = {evidence.passage.id for evidence in result.evidence}
        assert taken == {step.passages[0] for step in result.path if step.action == "take"} & shown
    assert any(evidence.taken for result in results for evidence in result.evidence)


def test_the_answer_stands_where_it_says(agent: SearchAgent, results: list[SearchResult]) -> None:
    """In a passage that was taken, wherever it ranks; or nowhere, for yes, no, and what the question itself offers."""
    read = 0
    for result in results:
        assert result.answer is not None
        assert 0 < result.answer.probability <= 1
        if result.answer.passage is None:
            assert result.answer.text in {"yes", "no"} or result.answer.text in result.question
            continue
        assert result.answer.passage in {step.passages[0] for step in result.path if step.action == "take"}
        passage = agent.index.store.passage(agent.index.store.row_of(result.answer.passage))
        assert passage.text[result.answer.start : result.answer.end] == result.answer.text
        read += 1
    assert read > 4
    assert any(result.to_json()["answer"]["passage"] for result in results)


@pytest.mark.parametrize("system", [None, "lexical", "hybrid", "hops", "exhaustive"])
def test_how_many_passages_are_shown_does_not_change_the_answer(
    small_index: Index, tiny_run: Path, asked: list[str], system: str | None
) -> None:
    """What is read is found first, and cut to what is shown afterwards."""
    learned = system in (None, "exhaustive")
    agent = SearchAgent(small_index, tiny_run if learned else None, system=system)
    for question in asked[:6]:
        wide = agent.search(question, 12)
        for limit in (1, 2, 60):
            other = agent.search(question, limit)
            assert other.answer == wide.answer
            shown = min(limit, len(wide.evidence))
            assert [e.passage.id for e in other.evidence[:shown]] == [e.passage.id for e in wide.evidence[:shown]]
            assert len(other.evidence) <= limit


def test_every_passage_says_what_brought_it(results: list[SearchResult]) -> None:
    for result in results:
        for evidence in result.evidence:
            brought = [step.detail for step in result.path if evidence.passage.id in step.passages]
            assert evidence.how == (brought[0] if brought else "listed below what came into view")
            ways = "ask the (lexical|dense|entity) index|ask again with |follow |read on |listed below "
            assert re.match(ways, evidence.how)
    how = [evidence.how for result in results for evidence in result.evidence]
    assert {"ask the lexical index", "ask the dense index"} <= set(how)


def test_every_search_says_what_it_begins_with(results: list[SearchResult]) -> None:
    for result in results:
        begun = [(step.detail, step.reason, step.probability) for step in result.path[:2]]
        assert begun == [
            ("ask the lexical index", "every search begins with it", 1.0),
            ("ask the dense index", "every search begins with it", 1.0),
        ]


def test_with_everything_asked_a_passage_says_so(small_index: Index, tiny_run: Path, asked: list[str]) -> None:
    result = SearchAgent(small_index, tiny_run, system="exhaustive").search(asked[0])
    assert {evidence.how for evidence in result.evidence} == {"everything was asked"}
    assert result.calls > 3


def test_the_path_is_in_words(results: list[SearchResult]) -> None:
    for result in results:
        assert result.path
        for step in result.path:
            assert step.detail
            assert step.reason
            assert 0 < step.probability <= 1
            assert len(step.passages) == len(step.titles)
            assert all(step.titles)
            if step.action == "take":
                assert step.detail == f"take “{step.titles[0]}”"
        if len(result.path) < 2 + 20:
            assert result.path[-1].action == "stop"
        assert result.calls == sum(step.action in {"expand", "hop"} for step in result.path)
        assert result.milliseconds > 0


def test_spans_point_into_their_documents(results: list[SearchResult], small_index: Index) -> None:
    for evidence in results[0].evidence:
        document = small_index.store.document(evidence.passage.document_id)
        assert document is not None
        assert document.text[evidence.passage.start : evidence.passage.end] == evidence.passage.text


def test_the_policy_or_system_that_answered_is_named(small_index: Index, agent: SearchAgent, tiny_run: Path) -> None:
    assert agent.answered_by == f"policy {tiny_run}"
    hybrid = SearchAgent(small_index, system="hybrid")
    assert hybrid.search("anything").answered_by == hybrid.answered_by == "fixed system: hybrid"


def test_a_fixed_system_shows_its_steps(small_index: Index, asked: list[str]) -> None:
    result = SearchAgent(small_index, system="hybrid").search(asked[0])
    assert [step.detail for step in result.path][-1] == "fuse the rankings"
    assert {step.probability for step in result.path} == {1.0}
    assert not any(evidence.taken for evidence in result.evidence)
    assert {evidence.how for evidence in result.evidence} <= {"ask the lexical index", "ask the dense index"}


def test_a_passage_without_title_is_named_by_its_beginning(tmp_path: Path, hashing_encoder: Encoder) -> None:
    note = Document("note", "", "A long note about tin mines in the hills beyond the river and its two towns.")
    index = Index.build([note], tmp_path / "note.index", encoder=hashing_encoder)
    result = SearchAgent(index, system="lexical").search("tin mines")
    assert result.path[0].titles == ("A long note about tin mines in the hills beyond the river an",)


def test_the_limit_is_kept_and_changes_nothing_else(agent: SearchAgent, asked: list[str]) -> None:
    few, many = agent.search(asked[0], limit=2), agent.search(asked[0], limit=20)
    assert len(few.evidence) == 2
    assert few.evidence == many.evidence[:2]
    assert few.path == many.path


@pytest.mark.parametrize("system", [None, "lexical", "hybrid", "late"])
def test_search_many_is_search(system: str | None, late_index: Index, tiny_run: Path, asked: list[str]) -> None:
    agent = SearchAgent(late_index, None if system else tiny_run, system=system)
    heard: list[int] = []
    many = agent.search_many(asked, done=heard.append)
    assert [essence(result) for result in many] == [essence(agent.search(question)) for question in asked]
    assert heard == [len(asked)]
    assert agent.search_many([]) == []


def test_one_bad_question_loses_no_other(agent: SearchAgent, asked: list[str], results: list[SearchResult]) -> None:
    questions = [asked[0], "  ", asked[1], "x" * 100_000]
    with pytest.raises(QuestionsError, match="empty"):
        agent.search_many(questions)
    first, empty, second, long = agent.search_many(questions, errors="return")
    assert isinstance(first, SearchResult)
    assert isinstance(second, SearchResult)
    assert [essence(first), essence(second)] == [essence(result) for result in results[:2]]
    assert isinstance(empty, QuestionsError)
    assert isinstance(long, QuestionsError)


def test_eight_threads_on_one_agent_give_the_answers_of_one(
    agent: SearchAgent, asked: list[str], results: list[SearchResult]
) -> None:
    rounds = asked * 3
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(agent.search, rounds))
    assert [essence(result) for result in found] == [essence(result) for result in results * 3]


@pytest.mark.parametrize("system", ["lexical", "ppr"])
def test_eight_threads_on_a_fixed_system_too(system: str, small_index: Index, asked: list[str]) -> None:
    agent = SearchAgent(small_index, system=system)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(agent.search, asked * 2))
    assert [essence(result) for result in found] == [essence(agent.search(question)) for question in asked] * 2


@pytest.mark.parametrize("question", ["", "  \n\t "])
def test_an_empty_question_is_refused(question: str, agent: SearchAgent) -> None:
    with pytest.raises(QuestionsError, match="the question is empty: ask something"):
        agent.search(question)


def test_a_question_of_too_many_characters_is_refused_and_the_longest_is_answered(agent: SearchAgent) -> None:
    with pytest.raises(QuestionsError, match=r"has 10,001 characters, more than 10,000: ask one thing"):
        agent.search("a" * 10_001)
    for unit in ("Where was Ada Brun born? ", "AB-12/", "aA1_"):
        assert agent.search((unit * 10_000)[:10_000]).question


@pytest.mark.parametrize("limit", [0, -3])
def test_a_limit_below_1_is_refused(limit: int, agent: SearchAgent) -> None:
    with pytest.raises(QuestionsError, match=f"limit of {limit} passages"):
        agent.search("Who?", limit)


@pytest.mark.parametrize("question", ["broken \udcff bytes", "a \x00 in it"])
def test_a_question_that_is_not_text_is_refused(question: str, agent: SearchAgent) -> None:
    with pytest.raises(QuestionsError, match=r"NUL characters or lone surrogates"):
        agent.search(question)


def test_a_question_is_read_as_the_corpus_was_however_its_letters_are_composed(
    tmp_path: Path, hashing_encoder: Encoder
) -> None:
    documents = [
        Document("a", "Zoë Brun", "Zoë Brun is a poet.", atomic=True),
        Document("b", "", "Of tin.", atomic=True),
    ]
    index = Index.build(documents, tmp_path / "composed.index", encoder=hashing_encoder)
    agent = SearchAgent(index, system="ppr")
    composed, decomposed = "Who is Zo\u00eb?", "Who is Zoe\u0308?"
    assert agent.search(decomposed).evidence == agent.search(composed).evidence
    assert agent.search(decomposed).question == decomposed


@pytest.mark.parametrize("question", ["?", "!!! ---", "zzzqqq", 'AND OR NOT ( "', "日本語の質問", "é" * 5000, "the of"])
@pytest.mark.parametrize("system", ["policy", "exhaustive", "lexical", "dense", "hybrid", "ppr"])
def test_odd_questions_get_a_result(system: str, question: str, small_index: Index, tiny_run: Path) -> None:
    policy = tiny_run if system in {"policy", "exhaustive"} else None
    result = SearchAgent(small_index, policy, system=system).search(question)
    assert result.question == question
    json.dumps(result.to_json(), allow_nan=False)


def test_an_agent_opens_an_index_by_its_folder(small_index: Index, asked: list[str]) -> None:
    agent = SearchAgent(str(small_index.path), system="lexical")  # asks no encoder, so the stand-in is not missed
    assert essence(agent.search(asked[0])) == essence(SearchAgent(small_index, system="lexical").search(asked[0]))


def test_what_is_not_there_is_an_error_that_says_so(tmp_path: Path, small_index: Index) -> None:
    with pytest.raises(IndexFolderError, match=r"nothing\.index"):
        SearchAgent(tmp_path / "nothing.index")
    with pytest.raises(PolicyError, match="no-policy holds no policy"):
        SearchAgent(small_index, tmp_path / "no-policy")


def test_to_json_is_plain_and_comes_back_equal(results: list[SearchResult]) -> None:
    for result in results:
        value = result.to_json()
        assert json.loads(json.dumps(value, allow_nan=False)) == value
        assert value["question"] == result.question
        assert value["evidence"][0]["passage"]["id"] == result.evidence[0].passage.id
        assert value["path"][0]["action"] == result.path[0].action
        told = {"answered_by", "milliseconds", "calls", "confidence", "answer", "written", "unanswered", "ended_by"}
        assert set(value) == {"question", "evidence", "path", "unreachable", "shards", *told}


@pytest.mark.parametrize("system", [None, "lexical", "dense", "hybrid", "hops", "ppr"])
def test_every_system_says_how_sure_it_is(
    system: str | None, encyclopedia: Encyclopedia, small_index: Index, tiny_run: Path
) -> None:
    agent = SearchAgent(small_index, tiny_run) if system is None else SearchAgent(small_index, system=system)
    sure = [agent.search(question.text).confidence for question in encyclopedia.questions[:6]]
    assert all(one is not None and 0 < one < 1 for one in sure)
    assert len(set(sure)) > 1
    nonsense = agent.search("SELECT zzyxq FROM qqwv WHERE bbnm = 1")
    assert nonsense.unanswered
    assert nonsense.confidence is not None
    assert nonsense.confidence < min(one for one in sure if one is not None)


def result_of(*passages: tuple[str, str]) -> SearchResult:
    evidence = tuple(
        Evidence(
            rank,
            Passage(f"p{rank}", "d", title, text, 0, len(text), sentence_spans(text)),
            1 / rank,
            False,
            "ask the lexical index",
        )
        for rank, (title, text) in enumerate(passages, start=1)
    )
    return SearchResult("Who?", evidence, (), "fixed system: lexical", 1.0, 1)


FILM = ("The Film", "It was made in 1999. Its director is Ada Brun. It won a prize.")
PERSON = ("Ada Brun", "Ada Brun was born in Torl.")


def test_context_has_citation_markers_titles_and_texts_best_first() -> None:
    assert result_of(FILM, PERSON).context(1000) == f"[1] The Film\n{FILM[1]}\n\n[2] Ada Brun\n{PERSON[1]}"


def test_context_ends_with_a_whole_sentence() -> None:
    context = result_of(FILM, PERSON).context(11, lambda text: len(text.split()))
    assert context == "[1] The Film\nIt was made in 1999."
    assert result_of(FILM, PERSON).context(13, lambda text: len(text.split())).endswith("Ada Brun.")


def test_context_without_titles_keeps_the_marker() -> None:
    assert result_of(("", "A text.")).context(100) == "[1]\nA text."


def test_context_that_cannot_hold_a_sentence_is_empty() -> None:
    assert result_of(FILM).context(0) == ""
    assert result_of(FILM).context(3) == ""
    assert result_of().context(100) == ""


def test_the_default_count_is_cautious() -> None:
    context = result_of(FILM, PERSON).context(30)
    assert 0 < len(context) <= 90


def test_a_negative_budget_is_refused() -> None:
    with pytest.raises(QuestionsError, match="budget of -1 tokens"):
        result_of(FILM).context(-1)


COUNTERS: list[Callable[[str], int]] = [
    len,
    lambda text: len(text.split()),
    lambda text: len(text.encode()),
    lambda text: len(re.findall(r"\w+|[^\w\s]", text)),
]
SENTENCES = st.lists(
    st.text(st.sampled_from("abc XY.é"), min_size=1, max_size=30).map(lambda text: f"B{text.strip()}."),
    min_size=1,
    max_size=5,
).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["", "A Title", "Ünï (film)"]), SENTENCES), max_size=4),
    st.integers(0, 250),
    st.sampled_from(COUNTERS),
)
def test_context_keeps_the_budget_the_markers_and_whole_sentences(
    passages: list[tuple[str, str]], budget: int, count: Callable[[str], int]
) -> None:
    context = result_of(*passages).context(budget, count)
    assert count(context) <= budget
    parts = context.split("\n\n") if context else []
    ranks = [int(re.match(r"\[(\d+)\]", part)[1]) for part in parts]  # type: ignore[index]
    assert ranks == sorted(set(ranks))
    for rank, part in zip(ranks, parts, strict=True):
        title, text = passages[rank - 1]
        head, _, body = part.partition("\n")
        assert head == f"[{rank}] {title}".rstrip()
        assert body in {text[:end] for _, end in sentence_spans(text)}
        if rank < ranks[-1]:
            assert body == text, "only the last passage may be cut"
    for rank, (title, text) in enumerate(passages[: ranks[0] - 1] if ranks else passages, start=1):
        first = text[: sentence_spans(text)[0][1]]
        assert count(f"[{rank}] {title}".rstrip() + f"\n{first}") > budget, "what fits is not left out"


def test_a_passage_that_does_not_fit_does_not_keep_others_out() -> None:
    long = ("Long", "word " * 500 + "end.")
    context = result_of(long, PERSON, ("", ""), FILM).context(40, lambda text: len(text.split()))
    assert context.startswith("[2] Ada Brun\n")
    assert context.endswith("It won a prize.")


def test_packing_counts_about_as_often_as_there_are_passages() -> None:
    counted: list[int] = []

    def count(text: str) -> int:
        counted.append(len(text))
        return len(text.split())

    sentences = " ".join(f"It is number {number}." for number in range(400))
    result = result_of(*[(f"T{number}", sentences) for number in range(40)])
    context = result.context(40_000, count)
    assert count(context) <= 40_000
    assert sum(counted) < 6 * len(sentences) * 40


@pytest.mark.parametrize(
    "text", ["plain English words", "zqxj 123456 ;;;; \n\n  x", "漢字かな", "naïve café 🙂🙂", "a" * 99]
)
def test_the_count_without_a_tokenizer_is_no_less_than_any_tokenizers(text: str) -> None:
    from tokenizers import Tokenizer
    from trailhound.retrievers.vectors._minilm import model_folder

    tokenizer = Tokenizer.from_file(str(model_folder() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    assert most_tokens(text) >= len(tokenizer.encode(text, add_special_tokens=False).ids)


def test_a_passage_cannot_pose_as_another() -> None:
    forged = result_of(("The Film", "It says:\n\n[2] Ada Brun\nShe was born in Mol."), PERSON)
    context = forged.context(1000)
    assert context.count("\n[2] ") == 1
    assert "\\[2] Ada Brun\nShe" in context
    assert [evidence.rank for evidence in forged.cited(context)] == [1, 2]
    assert [evidence.rank for evidence in forged.cited("Torl [2], as [2; 1] say; \\[1] and [7] do not.")] == [2, 1]
    assert forged.cited("[2") == ()


TRICKY = st.text(st.sampled_from("[]\\ \n0123,;a\u0663"), max_size=40)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(TRICKY, TRICKY), max_size=4))
def test_markers_are_those_of_the_passages_alone_and_their_texts_come_back(passages: list[tuple[str, str]]) -> None:
    passages = [(title, f"B{text}.") for title, text in passages]
    context = result_of(*passages).context(100_000)
    assert cited_numbers(context) == list(range(1, len(passages) + 1))
    unescaped = partial(re.sub, r"\\\[(?=\s{0,8}\d)", "[")
    parts = re.split(r"(?:^|\n\n)\[\d\]", context)[1:]
    for (title, text), part in zip(passages, parts, strict=True):
        head, _, body = part.partition("\n")
        assert unescaped(head).strip() == " ".join(title.split())
        assert unescaped(body) == text
