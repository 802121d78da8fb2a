"""The MCP server: what its tools and resources give, in this process, over stdin and stdout, and over HTTP."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from trailhound import Document, Index, SearchAgent
from trailhound.cli import main
from trailhound.demo._encyclopedia import Encyclopedia
from trailhound.retrievers.protocols import Encoder

pytest.importorskip("mcp", reason="the extra mcp is not installed")

from jsonschema import validate
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.shared.exceptions import MCPError
from trailhound.adapters.mcp import create_server


def asked(server: Any, talk: Callable[[Client], Awaitable[Any]]) -> Any:
    """Return what a conversation with a server comes to."""

    async def connected() -> Any:
        async with Client(server) as client:
            return await talk(client)

    return asyncio.run(connected())


def called(server: Any, tool: str, **arguments: Any) -> Any:
    async def talk(client: Client) -> Any:
        return await client.call_tool(tool, arguments)

    return asked(server, talk)


def told(server: Any, tool: str, **arguments: Any) -> dict[str, Any]:
    """Return the structured output of a tool."""
    result = called(server, tool, **arguments)
    assert not result.is_error, result.content
    return dict(result.structured_content)


def refused(server: Any, tool: str, **arguments: Any) -> str:
    """Return what a client is told of a call that failed."""
    result = called(server, tool, **arguments)
    assert result.is_error
    return str(result.content[0].text)


def read(server: Any, uri: str) -> str:
    async def talk(client: Client) -> Any:
        return await client.read_resource(uri)

    return str(asked(server, talk).contents[0].text)


def unread(server: Any, uri: str) -> str:
    """Return what a client is told of a resource that it cannot read."""

    async def talk(client: Client) -> Any:
        with pytest.raises(MCPError) as told:
            await client.read_resource(uri)
        return told.value

    return str(asked(server, talk))


@pytest.fixture(scope="module")
def server(agent: SearchAgent) -> Any:
    return create_server({"small": agent})


@pytest.fixture(scope="module")
def two(agent: SearchAgent, library: SearchAgent) -> Any:
    return create_server({"small": agent, "library": library}, principals=["ada"])


def test_a_search_says_what_the_agent_says(server: Any, agent: SearchAgent, question: str) -> None:
    result = agent.search(question, 3)
    found = told(server, "search_evidence", question=question, limit=3)
    assert [hit["passage_id"] for hit in found["evidence"]] == [one.passage.id for one in result.evidence]
    assert [hit["probability"] for hit in found["evidence"]] == [one.probability for one in result.evidence]
    assert found["path"] == [step.detail for step in result.path]
    assert result.answer is not None
    assert (found["answer"], found["answer_stated"]) == (result.answer.text, result.answer.stated)
    first = found["evidence"][0]
    assert first["text"] == agent.index.store.document(first["document_id"]).text[first["start"] : first["end"]]
    assert read(server, first["uri"]) == first["text"]


def test_tools_say_what_they_take_and_give_and_that_they_change_nothing(server: Any, question: str) -> None:
    async def talk(client: Client) -> Any:
        return (await client.list_tools()).tools, (await client.list_resource_templates()).resource_templates

    tools, templates = asked(server, talk)
    assert {tool.name for tool in tools} == {"search_evidence", "read_document", "list_documents"}
    assert all(tool.annotations.read_only_hint for tool in tools)
    (search,) = (tool for tool in tools if tool.name == "search_evidence")
    assert search.input_schema["required"] == ["question"]
    assert search.input_schema["properties"]["question"]["maxLength"] == 4000
    validate(told(server, "search_evidence", question=question), search.output_schema)
    assert {one.uri_template for one in templates} == {
        "trailhound://{index}/documents/{document_id}",
        "trailhound://{index}/passages/{passage_id}",
    }


def test_documents_are_listed_part_by_part_and_read(server: Any, encyclopedia: Encyclopedia) -> None:
    documents, after = [], None
    while True:
        part = told(server, "list_documents", limit=60, after=after)
        documents += part["documents"]
        after = part["next"]
        if after is None:
            break
    assert [one["document_id"] for one in documents] == [one.id for one in encyclopedia.documents]
    assert part["total"] == len(documents)
    some = encyclopedia.documents[7]
    assert read(server, documents[7]["uri"]) == some.text
    whole = told(server, "read_document", document_id=some.id)
    assert (whole["text"], whole["end"]) == (some.text, whole["characters"])
    rest = told(server, "read_document", document_id=some.id, start=9)
    assert rest["text"] == some.text[9:]


def test_a_long_document_is_read_in_parts(hashing_encoder: Encoder, tmp_path: Path) -> None:
    text = "The ferry leaves at nine. " * 2000
    index = Index.build([Document("long", "Long", text)], tmp_path / "long.index", encoder=hashing_encoder)
    server = create_server({"long": SearchAgent(index)})
    first = told(server, "read_document", document_id="long")
    assert (len(first["text"]), first["characters"]) == (20_000, len(index.store.document("long").text))
    rest = told(server, "read_document", document_id="long", start=first["end"])
    assert rest["start"] == 20_000


def test_several_indexes_are_searched_as_one_or_one_by_name(two: Any) -> None:
    found = told(two, "search_evidence", question="When does the ferry to Torl leave?", limit=5)
    assert {hit["index"] for hit in found["evidence"]} == {"small", "library"}
    found = told(two, "search_evidence", question="When does the ferry to Torl leave?", index="library")
    assert {hit["index"] for hit in found["evidence"]} == {"library"}
    assert "list_documents" in refused(two, "list_documents", index="libary")
    assert "library" in refused(two, "list_documents")


def test_ids_of_any_letters_have_an_address(two: Any) -> None:
    listed = told(two, "list_documents", index="library")["documents"]
    assert [one["document_id"] for one in listed] == ["guide/ferry.md", "guide/tide #2.md"]
    assert "tide" in read(two, listed[1]["uri"])
    assert listed[1]["uri"] == "trailhound://library/documents/guide%2Ftide%20%232.md"


def test_what_the_reader_may_not_read_is_nowhere(two: Any, library: SearchAgent) -> None:
    question = "When will the ferry be sold?"
    assert "minutes" in {one.passage.document_id for one in library.search(question).evidence}
    for limits in ({}, {"metadata": {"year": 2024}}, {"documents": ["minutes"]}):
        found = told(two, "search_evidence", question=question, index="library", **limits)
        assert "minutes" not in {hit["document_id"] for hit in found["evidence"]}
    assert told(two, "list_documents", index="library")["total"] == 2
    assert "minutes" in refused(two, "read_document", document_id="minutes", index="library")
    for uri in ("trailhound://library/documents/minutes", "trailhound://library/passages/minutes%230"):
        assert unread(two, uri).startswith("nothing is called 'minutes")


def test_conditions_choose_documents(two: Any) -> None:
    found = told(two, "search_evidence", question="ferry", index="library", metadata={"year": {"$gte": 2020}})
    assert [hit["document_id"] for hit in found["evidence"]] == ["guide/tide #2.md"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"question": " "}, "ask something"),
        ({"question": "ferry" * 1000}, "4000"),
        ({"question": "ferry", "limit": 1001}, "1000"),
        ({"question": "ferry", "seconds": 31}, "30"),
        ({"question": "ferry", "metadata": {"$near": 1}}, "$near"),
        ({}, "question"),
    ],
)
def test_what_cannot_be_asked_is_an_error_that_says_why(server: Any, arguments: dict[str, Any], message: str) -> None:
    assert message in refused(server, "search_evidence", **arguments)


def test_stdin_and_stdout_carry_nothing_else(small_index: Index, question: str) -> None:
    arguments = ["-m", "trailhound", "mcp", str(small_index.path), "--system", "lexical"]

    server = StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))

    async def talk() -> tuple[Any, Any]:
        async with Client(stdio_client(server)) as client:
            found = await client.call_tool("search_evidence", {"question": question, "limit": 2})
            refusal = await client.call_tool("search_evidence", {"question": " "})
            document = found.structured_content["evidence"][0]["document_id"]
            return await client.call_tool("read_document", {"document_id": document}), refusal

    document, refusal = asyncio.run(talk())
    assert not document.is_error
    assert refusal.is_error


def test_http_serves_the_same(small_index: Index, question: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "trailhound", "mcp", str(small_index.path), "--system", "lexical"]
    with subprocess.Popen([*command, "--http", f"127.0.0.1:{port}"], stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == f"http://127.0.0.1:{port}/mcp serves small\n"
            wait_for(port, running)
            found = told(f"http://127.0.0.1:{port}/mcp", "search_evidence", question=question, limit=2)
            assert len(found["evidence"]) == 2
        finally:
            running.terminate()
    assert running.returncode is not None


def wait_for(port: int, running: subprocess.Popen[str]) -> None:
    """Wait until the server listens."""
    while running.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.1)


def test_the_command_refuses_what_it_cannot_serve(small_index: Index, capsys: pytest.CaptureFixture[str]) -> None:
    for address, message in (("0.0.0.0:80", "nobody would ask who calls"), ("localhost", "must be HOST:PORT")):
        with pytest.raises(SystemExit):
            main(["mcp", str(small_index.path), "--http", address])
        assert message in capsys.readouterr().err
    assert main(["mcp", str(small_index.path), str(small_index.path)]) == 2
    assert "rename" in capsys.readouterr().err
