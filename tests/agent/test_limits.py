"""A search ends when its time, its steps or its asker says so, and tells of its steps as it goes."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from threading import Event
from threading import enumerate as threads_now

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trailhound import Index, SearchAgent, SearchResult, Step, Where
from trailhound.demo._encyclopedia import Encyclopedia
from trailhound.errors import QuestionsError, SearchCancelledError


@pytest.fixture(scope="module")
def agent(small_index: Index, tiny_run: Path) -> SearchAgent:
    return SearchAgent(small_index, tiny_run)


@pytest.fixture(scope="module")
def question(agent: SearchAgent, encyclopedia: Encyclopedia) -> str:
    """A question whose search has many steps."""
    return max((one.text for one in encyclopedia.questions[:20]), key=lambda text: len(agent.search(text).path))


def essence(result: SearchResult) -> SearchResult:
    return replace(result, milliseconds=0.0)


def test_a_step_budget_cuts_the_path_and_ranks_what_was_seen(agent: SearchAgent, question: str) -> None:
    whole = agent.search(question)
    assert whole.ended_by == "policy"
    begun = sum(step.reason == "every search begins with it" for step in whole.path)
    own = len(whole.path) - begun
    assert own > 2
    for steps in range(own - 1):
        found = agent.search(question, steps=steps)
        assert found.ended_by == "steps"
        assert found.path[:-1] == whole.path[: begun + steps]
        assert found.path[-1].action == "stop"
        assert found.path[-1].reason == "it was given no more steps"
        assert found.evidence
    assert essence(agent.search(question, steps=own)) == essence(whole)


def test_without_time_a_search_returns_what_its_first_lists_gave(agent: SearchAgent, question: str) -> None:
    found = agent.search(question, seconds=0)
    assert found.ended_by == "seconds"
    assert found.path[-1].reason == "the time that it was given is over"
    assert found.evidence
    assert essence(agent.search(question, seconds=3600)) == essence(agent.search(question))


def test_many_searches_share_the_time(agent: SearchAgent, question: str) -> None:
    assert [one.ended_by for one in agent.search_many([question] * 3, seconds=0)] == ["seconds"] * 3


@pytest.mark.parametrize("system", [None, "hybrid"])
def test_a_cancelled_search_is_an_error(system: str | None, small_index: Index, tiny_run: Path, question: str) -> None:
    cancelled = Event()
    cancelled.set()
    agent = SearchAgent(small_index, None if system else tiny_run, system=system)
    with pytest.raises(SearchCancelledError):
        agent.search(question, cancelled=cancelled)
    with pytest.raises(SearchCancelledError):
        agent.search_many([question, question], errors="return", cancelled=cancelled)


def test_a_search_can_be_cancelled_at_any_step(agent: SearchAgent, question: str) -> None:
    for last in range(1, len(agent.search(question).path)):
        cancelled, heard = Event(), list[Step]()

        def hear(step: Step, heard: list[Step] = heard, last: int = last, cancelled: Event = cancelled) -> None:
            heard.append(step)
            if len(heard) == last:
                cancelled.set()

        with pytest.raises(SearchCancelledError):
            agent.search(question, cancelled=cancelled, on_step=hear)
        assert len(heard) <= max(last, 2)


@pytest.mark.parametrize("system", [None, "hops"])
def test_steps_are_heard_as_they_are_done(
    system: str | None, small_index: Index, tiny_run: Path, question: str
) -> None:
    agent = SearchAgent(small_index, None if system else tiny_run, system=system)
    whole = agent.search(question)
    *steps, result = agent.stream(question)
    assert isinstance(result, SearchResult)
    assert essence(result) == essence(whole)
    assert steps == list(whole.path)


def test_a_stream_that_is_left_ends_its_search(agent: SearchAgent, question: str) -> None:
    stream = agent.stream(question)
    assert isinstance(next(stream), Step)
    stream.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threads_now() if thread.name == "trailhound-search"]


def test_an_error_reaches_whoever_reads_the_stream(agent: SearchAgent) -> None:
    with pytest.raises(QuestionsError, match="empty"):
        list(agent.stream(" "))


def test_what_a_listener_raises_ends_the_search(agent: SearchAgent, question: str) -> None:
    def refuse(step: Step) -> None:
        raise RuntimeError(step.action)

    with pytest.raises(RuntimeError, match="expand"):
        agent.search(question, on_step=refuse)


def test_searches_can_be_awaited(agent: SearchAgent, question: str) -> None:
    async def ask() -> tuple[SearchResult, list[SearchResult], list[Step | SearchResult]]:
        one, many = await asyncio.gather(agent.asearch(question), agent.asearch_many([question, question]))
        return one, many, [found async for found in agent.astream(question)]  # type: ignore[return-value]

    one, many, streamed = asyncio.run(ask())
    whole = agent.search(question)
    assert essence(one) == essence(whole)
    assert [essence(result) for result in many] == [essence(whole)] * 2
    assert streamed[:-1] == list(whole.path)
    assert isinstance(streamed[-1], SearchResult)
    assert essence(streamed[-1]) == essence(whole)


def test_cancelling_the_task_cancels_the_search(agent: SearchAgent, question: str) -> None:
    async def ask() -> None:
        heard: list[Step] = []
        hold = Event()

        def wait(step: Step) -> None:
            heard.append(step)
            hold.wait(60)

        task = asyncio.ensure_future(agent.asearch(question, on_step=wait))
        while not heard:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        hold.set()
        await asyncio.sleep(0.2)
        assert len(heard) <= 2, "the search went on"

    asyncio.run(ask())


def test_leaving_an_asynchronous_stream_ends_it(agent: SearchAgent, question: str) -> None:
    async def ask() -> None:
        stream = agent.astream(question)
        async for found in stream:
            assert isinstance(found, Step)
            break
        await stream.aclose()  # type: ignore[attr-defined]

    asyncio.run(ask())


WRONG = [
    {"limit": 0}, {"limit": -1}, {"limit": 2.5}, {"limit": "10"}, {"limit": True}, {"limit": None},
    {"seconds": -1}, {"seconds": "1"}, {"seconds": float("nan")}, {"seconds": True},
    {"steps": -1}, {"steps": 1.5}, {"steps": "3"}, {"steps": True},
    {"where": {"lang": "en"}}, {"where": "x"}, {"cancelled": True}, {"question": None}, {"question": b"Who?"},
    {"question": 7}, {"question": ["Who?"]},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_every_wrong_argument_is_a_typed_error(wrong: dict[str, object], agent: SearchAgent) -> None:
    given = {"question": "Who?", **wrong}
    with pytest.raises(QuestionsError):
        agent.search(**given)  # type: ignore[arg-type]
    if "question" not in wrong and "cancelled" not in wrong:
        with pytest.raises(QuestionsError):
            agent.search_many(["Who?"], **wrong)  # type: ignore[call-overload]
        with pytest.raises(QuestionsError):
            list(agent.stream(**given))  # type: ignore[arg-type]


def test_one_question_is_no_list_of_questions(agent: SearchAgent) -> None:
    with pytest.raises(QuestionsError, match="is one question"):
        agent.search_many("Who?")
    with pytest.raises(QuestionsError, match="errors='hide'"):
        agent.search_many(["Who?"], errors="hide")  # type: ignore[call-overload]


def test_a_result_comes_back_from_json(agent: SearchAgent, encyclopedia: Encyclopedia) -> None:
    for asked in encyclopedia.questions[:5]:
        result = agent.search(asked.text)
        written = json.loads(json.dumps(result.to_json()))
        again = SearchResult.from_json(written)
        assert again == result
        assert again.to_json() == written
        assert again.context(500) == result.context(500)


@given(st.sampled_from(["question", "evidence", "path", "answer", "ended_by"]), st.none() | st.integers() | st.text())
def test_what_is_no_result_is_refused(agent: SearchAgent, question: str, name: str, value: object) -> None:
    written = agent.search(question).to_json()
    del written[name]
    with pytest.raises(QuestionsError, match="no result of a search"):
        SearchResult.from_json(written)
    if name in ("evidence", "path"):
        with pytest.raises(QuestionsError, match="no result of a search"):
            SearchResult.from_json({**agent.search(question).to_json(), name: [value]})


def test_scores_of_parts_are_theirs(agent: SearchAgent, question: str) -> None:
    index, result = agent.index, agent.search(question, 50)
    query = index.query(question)
    by_words = index.lexical.search(query, 100)
    expected = dict(zip(by_words.rows.tolist(), by_words.scores.tolist(), strict=True))
    for evidence in result.evidence:
        row = index.store.row_of(evidence.passage.id)
        assert evidence.bm25 == expected.get(row)
        assert evidence.cosine == pytest.approx(float(index.dense.reconstruct([row])[0] @ query.vector), abs=1e-5)
    assert any(evidence.bm25 for evidence in result.evidence)
    lexical = SearchAgent(index, system="lexical").search(question)
    assert all(evidence.bm25 and evidence.cosine is None for evidence in lexical.evidence)


def test_conditions_on_facts_are_refused_with_the_remedy(agent: SearchAgent) -> None:
    assert agent.search("Who?", where=Where(documents=[])).evidence == ()
