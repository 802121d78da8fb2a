"""Searching over HTTP gives what searching in Python gives, step by step where that is asked."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from fixtures.served import PATIENCE, QUESTION, Client
from trailhound import Index, SearchAgent, Where
from trailhound.serving._schemas import ResultBody


def without_time(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != "milliseconds"}


def test_a_result_is_that_of_python(client: Client, isles: Path) -> None:
    expected = SearchAgent(Index.open(isles)).search(QUESTION, 3).to_json()
    reply = client.search(limit=3)
    assert reply.status == 200
    assert without_time(reply.json) == without_time(expected)


def test_the_schema_names_every_field_of_a_result(client: Client) -> None:
    found = client.search().json
    assert ResultBody.model_validate(found).model_dump(mode="json") == found
    assert found["answer"] is not None


def test_no_answer_is_read_where_none_is_wanted(client: Client) -> None:
    assert client.search(answer=False).json["answer"] is None


def test_a_system_is_chosen_and_an_unknown_one_refused_with_those_there_are(client: Client) -> None:
    assert client.search(system="lexical").json["answered_by"] == "fixed system: lexical"
    refused = client.search(system="oracle")
    assert (refused.status, refused.json["error"]["type"]) == (404, "UnknownSystem")
    assert "hybrid" in refused.json["error"]["message"]


def test_what_where_hides_is_nowhere(client: Client, isles: Path) -> None:
    where = {"documents": ["orr", "lio"], "metadata": {"letters": {"$gt": 10}}}
    expected = SearchAgent(Index.open(isles)).search(QUESTION, where=Where(**where)).to_json()
    found = client.search(where=where).json
    assert without_time(found) == without_time(expected)
    assert {one["passage"]["document_id"] for one in found["evidence"]} == {"orr", "lio"}


def test_limits_of_steps_and_seconds_end_a_search(client: Client) -> None:
    assert client.search(steps=1).json["ended_by"] == "steps"
    assert client.search(seconds=0).json["ended_by"] == "seconds"


def test_a_stream_tells_every_step_and_then_the_result(client: Client) -> None:
    reply = client("POST", "/v1/workspaces/isles/search/stream", {"question": QUESTION})
    assert reply.headers["content-type"].startswith("text/event-stream")
    names = [name for name, _ in reply.events]
    assert names == ["step"] * (len(names) - 1) + ["result"]
    result = json.loads(reply.events[-1][1])
    assert [json.loads(data) for name, data in reply.events if name == "step"] == result["path"]
    assert without_time(result) == without_time(client.search().json)


def test_a_stream_is_refused_before_it_begins(client: Client) -> None:
    reply = client("POST", "/v1/workspaces/isles/search/stream", {"question": QUESTION, "system": "oracle"})
    assert reply.status == 404


def test_a_condition_that_cannot_be_understood_is_told(client: Client) -> None:
    condition = {"letters": {"$above": 3}}
    refused = client.search(where={"metadata": condition})
    assert (refused.status, refused.json["error"]["type"]) == (400, "QuestionsError")
    events = client("POST", "/v1/workspaces/isles/search/stream", {"question": "?", "where": {"metadata": condition}})
    assert b"$above" in events.content


def test_systems_are_compared(client: Client) -> None:
    body = {"question": QUESTION, "limit": 2, "systems": ["lexical", "policy"]}
    found = client("POST", "/v1/workspaces/isles/compare", body).json
    assert {name: one["answered_by"] for name, one in found.items()}["lexical"] == "fixed system: lexical"
    assert without_time(found["policy"]) == without_time(client.search(limit=2, system="policy").json)


def test_a_client_that_goes_away_leaves_the_server_free(client: Client) -> None:
    body = json.dumps({"question": QUESTION, "system": "exhaustive"}).encode()
    head = (
        "POST /v1/workspaces/isles/search/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    for _ in range(8):
        with socket.create_connection(("127.0.0.1", client.port)) as connection:
            connection.sendall(head.encode() + body)
            sleep(0.02)
    until = monotonic() + PATIENCE
    while b"trailhound_searches_inside 0.0" not in client("GET", "/metrics").content:
        assert monotonic() < until, "searches that nobody waits for go on"
        sleep(0.05)
    assert client.search().status == 200
