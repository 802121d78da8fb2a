"""An endpoint writes answers: a real server on this machine, what it is asked, and what is made of its replies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fixtures.answering import Server, answering
from fixtures.reading import passage
from trailhound import Index, SearchAgent
from trailhound.agent.reader._endpoint import KEY, UNKNOWN, AnsweringEndpoint
from trailhound.cli import main
from trailhound.errors import PolicyError

FILM = passage("The Silver Gate", "The Silver Gate is a film directed by Ada Brun.")


@pytest.fixture
def server() -> Iterator[Server]:
    with answering() as server:
        yield server


@pytest.fixture
def address(server: Server) -> str:
    return server.address


def test_the_model_sees_numbered_passages_and_its_citations_are_checked(server: Server, address: str) -> None:
    server.says("Ada Brun directed it [1]. It was shot in Torl [1]. It is her first film [2].")
    answer = AnsweringEndpoint(address).write("Who directed The Silver Gate?", [FILM])
    assert answer is not None
    assert answer.written_by == "small"
    assert [claim.problem is None for claim in answer.claims] == [True, False, False]
    [asked] = server.asked
    assert (asked["path"], asked["model"], asked["temperature"]) == ("/v1/chat/completions", "small", 0)
    shown = asked["messages"][-1]["content"]
    assert shown.startswith(f"[1] The Silver Gate\n{FILM.text}")
    assert shown.endswith("Question: Who directed The Silver Gate?")


def test_a_key_is_sent_where_the_environment_has_one(
    server: Server, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.says("Ada Brun [1].")
    monkeypatch.delenv(KEY, raising=False)
    AnsweringEndpoint(address).write("Who?", [FILM])
    monkeypatch.setenv(KEY, "secret")
    AnsweringEndpoint(address).write("Who?", [FILM])
    assert server.keys == [None, "Bearer secret"]


@pytest.mark.parametrize("text", [UNKNOWN, "the passages do not say", "  "])
def test_where_the_passages_do_not_say_there_is_no_answer(server: Server, address: str, text: str) -> None:
    server.says(text)
    assert AnsweringEndpoint(address).write("Who shot it?", [FILM]) is None


@pytest.mark.parametrize("address", ["small", "http://localhost:1/v1", "ftp://localhost/#m", "#m", "http://#m"])
def test_what_names_no_endpoint_is_refused(address: str) -> None:
    with pytest.raises(PolicyError, match="names no endpoint: give URL#MODEL"):
        AnsweringEndpoint(address)


def test_what_goes_wrong_is_said(server: Server, address: str) -> None:
    endpoint = AnsweringEndpoint(address)
    for reply in (b"<html>", b"[]", b'{"choices": []}', b'{"choices": [{"message": null}]}'):
        server.reply = reply
        with pytest.raises(PolicyError, match="did not reply with a chat completion"):
            endpoint.write("Who?", [FILM])
    server.says(["no", "text"])
    with pytest.raises(PolicyError, match="no text"):
        endpoint.write("Who?", [FILM])
    server.status, server.reply = 404, b"no model called small"
    with pytest.raises(PolicyError, match=r"refused to answer.*404.*no model called small"):
        endpoint.write("Who?", [FILM])


def test_a_server_that_is_not_there_is_said() -> None:
    with pytest.raises(PolicyError, match=r"cannot be reached.*is the server running"):
        AnsweringEndpoint("http://127.0.0.1:9/v1#small").write("Who?", [FILM])


def test_an_agent_lets_the_endpoint_answer_from_what_it_shows(small_index: Index, server: Server, address: str) -> None:
    agent = SearchAgent(small_index, system="lexical", answer_with=address)
    server.says("It is said [1]. Nobody knows it [9].")
    result = agent.search("Which film was directed by whom?", 3)
    assert result.written is not None
    assert [claim.cites for claim in result.written.claims] == [(1,), (9,)]
    shown = server.asked[0]["messages"][-1]["content"]
    assert [f"[{rank}] {e.passage.title}\n" in shown for rank, e in enumerate(result.evidence, 1)] == [True] * 3
    assert result.to_json()["written"]["claims"][1]["problem"] == "cites a passage that was not shown"


def test_the_command_prints_what_is_not_supported(
    small_index: Index, server: Server, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.says("The moon is made of green cheese [1].")
    main(["search", str(small_index.path), "What is it?", "--system", "lexical", "--answer-with", address])
    lines = capsys.readouterr().out.splitlines()
    first = lines.index("Written by small from the passages below:")
    assert lines[first : first + 3] == [
        "Written by small from the passages below:",
        "   The moon is made of green cheese [1].",
        "   ✗ not supported: this is not what the cited passage says",
    ]
