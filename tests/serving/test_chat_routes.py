"""Chat completions: what a client of OpenAI's expects, and every citation checked against what was shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.answering import Server, answering
from fixtures.served import QUESTION, Client, Reply
from trailhound.serving._chat import UNKNOWN
from trailhound.serving._chat_routes import CompletionBody

AT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def model() -> Iterator[Server]:
    with answering() as server:
        yield server


@pytest.fixture(scope="module")
def writing(isles: Path, serve: Any, model: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a server whose answers a model writes."""
    with serve(isles, tmp_path_factory.mktemp("writing"), answer_with=model.address) as client:
        yield client


def ask(client: Client, question: str = QUESTION, **about: Any) -> Reply:
    return client("POST", AT, {"model": "isles", "messages": [{"role": "user", "content": question}], **about})


def message(reply: Reply) -> str:
    said: str = reply.json["choices"][0]["message"]["content"]
    return said


def shown(model: Server) -> dict[str, int]:
    """Return the number of each passage that the model was shown last, by its title."""
    lines = model.asked[-1]["messages"][-1]["content"].splitlines()
    heads = [line for line in lines if line.startswith("[")]
    return {head.partition("] ")[2]: int(head[1 : head.index("]")]) for head in heads}


def numbers(client: Client, model: Server) -> dict[str, int]:
    model.says("The passages do not say.")
    ask(client)
    return shown(model)


def test_a_reply_has_every_field_of_the_schema(client: Client) -> None:
    reply = ask(client, temperature=0.5, tools=[])
    assert reply.status == 200
    assert CompletionBody.model_validate(reply.json).model_dump(mode="json") == reply.json
    assert reply.json["model"] == "isles"


def test_without_a_model_the_reader_answers_with_a_sentence_that_is_there(client: Client) -> None:
    told = ask(client).json["trailhound"]
    assert (told["answered_by"], told["searched_by"]) == ("reader", "policy that comes with the package")
    for citation in told["citations"]:
        whole = client("GET", f"/v1/workspaces/isles/documents/{citation['document']}").json
        assert whole["text"][citation["start"] : citation["end"]] == citation["text"]
        assert f"[{citation['number']}]" in message(ask(client))
    assert told["citations"]


def test_a_supported_answer_has_its_citations_and_nothing_below_it(writing: Client, model: Server) -> None:
    number = numbers(writing, model)["Mira Tolvane"]
    model.says(f"Mira Tolvane was born in the town of Sundsby [{number}].")
    reply = ask(writing)
    told = reply.json["trailhound"]
    assert message(reply) == f"Mira Tolvane was born in the town of Sundsby [{number}]."
    assert (told["supported"], told["answered_by"]) == (True, "small")
    [citation] = told["citations"]
    assert (citation["document"], citation["number"]) == ("people/tolvane", number)
    assert "Sundsby" in citation["text"]


@pytest.mark.parametrize(
    ("sentence", "problem"),
    [
        ("She was born in Sundsby [99].", "cites a passage that was not shown"),
        ("She was born in Sundsby.", "cites nothing"),
        ("She was born in Reykjavik in 1902 [{tolvane}].", "is not what the cited passage says"),
        ("She was born in the town of Sundsby [{orr}].", "is not what the cited passage says"),
    ],
    ids=["forged", "missing", "wrong fact", "wrong passage"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_citation_that_does_not_hold_is_caught(
    writing: Client, model: Server, sentence: str, problem: str, stream: bool
) -> None:
    known = numbers(writing, model)
    good = f"Mira Tolvane was an engineer [{known['Mira Tolvane']}]."
    bad = sentence.format(tolvane=known["Mira Tolvane"], orr=known["Cape Orr"])
    model.says(f"{good} {bad}")
    reply = ask(writing, stream=stream)
    if stream:
        chunks = [json.loads(data) for _, data in reply.events[:-1]]
        assert reply.events[-1][1] == "[DONE]"
        text = "".join(one["choices"][0]["delta"].get("content", "") for one in chunks)
        told = chunks[-1]["trailhound"]
    else:
        text, told = message(reply), reply.json["trailhound"]
    assert told["supported"] is False
    assert [claim["problem"] for claim in told["claims"]] == [None, problem]
    assert [one["number"] for one in told["citations"]] == [known["Mira Tolvane"]]
    assert text.startswith(f"{good} {bad}")
    assert text.endswith(f"“{bad}” {problem}")


def test_a_model_that_finds_no_answer_says_so(writing: Client, model: Server) -> None:
    model.says("The passages do not say.")
    reply = ask(writing)
    assert message(reply) == UNKNOWN
    assert reply.json["trailhound"]["supported"] is False


def test_a_search_has_what_the_model_wrote_where_an_answer_is_wanted(writing: Client, model: Server) -> None:
    model.says("She was born in Sundsby [99].")
    written = writing.search().json["written"]
    assert (written["written_by"], written["claims"][0]["problem"]) == ("small", "cites a passage that was not shown")
    asked = len(model.asked)
    assert writing.search(answer=False).json["written"] is None
    assert len(model.asked) == asked
    events = writing("POST", "/v1/workspaces/isles/search/stream", {"question": QUESTION}).events
    assert json.loads(events[-1][1])["written"] == written


def test_a_model_that_fails_is_an_error_of_the_server_behind(writing: Client, model: Server) -> None:
    model.status = 500
    try:
        refused = ask(writing)
        streamed = ask(writing, stream=True)
    finally:
        model.status = 200
    assert (refused.status, refused.json["error"]["type"]) == (502, "PolicyError")
    assert "error" in json.loads(streamed.events[-2][1])


def test_the_last_question_counts_and_parts_are_read(client: Client, model: Server) -> None:
    parts = [{"type": "text", "text": "Where is the market?"}, {"type": "image_url", "image_url": {"url": "x"}}]
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Who is Mira Tolvane?"},
        {"role": "assistant", "content": "An engineer."},
        {"role": "user", "content": parts},
    ]
    one, other = (
        client("POST", AT, {"model": "isles", "messages": asked}).json["trailhound"]
        for asked in (messages, [{"role": "user", "content": "Where is the market?"}])
    )
    assert one == other


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"model": "nowhere", "messages": [{"role": "user", "content": "x"}]}, 404),
        ({"model": "isles", "messages": []}, 422),
        ({"model": "isles", "messages": [{"role": "system", "content": "x"}]}, 400),
        ({"model": "isles", "messages": [{"role": "user", "content": "x" * 4001}]}, 400),
        ({"model": "isles"}, 422),
    ],
)
def test_what_cannot_be_answered_is_refused(client: Client, body: dict[str, Any], status: int) -> None:
    assert client("POST", AT, body).status == status


def test_workspaces_are_models(client: Client) -> None:
    assert [one["id"] for one in client("GET", "/v1/models").json["data"]] == ["isles"]
