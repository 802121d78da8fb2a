"""An endpoint is asked for log-probabilities over real HTTP; what goes wrong is said, or tried again."""

from __future__ import annotations

import json
import math
import socket
from typing import Any

import pytest
from trailhound.agent.reader.language_models import KEY_VARIABLE, EndpointReader
from trailhound.agent.reader.protocol import ReadingTask
from trailhound.errors import PolicyError
from trailhound.retrievers.records import Passage

PASSAGE = Passage("p", "p", "Anna Gallo", "Anna Gallo was born in Gdansk", 0, 29, ((0, 29),))
TASK = ReadingTask("Where was Anna Gallo born?", "in Gdansk today", (PASSAGE,))


def test_the_score_adds_up_the_tokens_of_the_answer(completions: Any) -> None:
    """By the server's rule: "in" and "Gdansk" were said in the passage (1/4 each), "today" was not (1/64)."""
    reader = EndpointReader(completions.address, "tiny")
    assert reader.log_likelihoods([TASK])[0] == pytest.approx(math.log(1 / 4 * 1 / 4 * 1 / 64))
    [request] = completions.requests
    assert request["path"] == "/v1/completions"
    assert (request["model"], request["echo"], request["max_tokens"], request["logprobs"]) == ("tiny", True, 0, 1)
    assert request["prompt"].endswith("Question: Where was Anna Gallo born?\nAnswer: in Gdansk today")
    assert "[1] Anna Gallo\nAnna Gallo was born in Gdansk" in request["prompt"]


def test_a_busy_endpoint_is_asked_again(completions: Any) -> None:
    completions.failures = [503, 429]
    reader = EndpointReader(completions.address, pause=0.01)
    assert reader.log_likelihoods([TASK])[0] < 0
    assert len(completions.requests) == 3
    assert "model" not in completions.requests[0]


def test_an_endpoint_that_stays_busy_is_given_up_on(completions: Any) -> None:
    completions.failures = [503] * 9
    with pytest.raises(PolicyError, match=r"did not answer \(HTTP 503: busy, come again\)"):
        EndpointReader(completions.address, attempts=3, pause=0.01).log_likelihoods([TASK])
    assert len(completions.requests) == 3


def test_a_refusal_is_not_tried_again(completions: Any) -> None:
    completions.failures = [401]
    with pytest.raises(PolicyError, match=f"HTTP 401.*{KEY_VARIABLE}"):
        EndpointReader(completions.address).log_likelihoods([TASK])
    assert len(completions.requests) == 1


def test_the_key_is_sent_where_there_is_one(completions: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    EndpointReader(completions.address).log_likelihoods([TASK])
    monkeypatch.setenv(KEY_VARIABLE, "a-key")
    EndpointReader(completions.address).log_likelihoods([TASK])
    assert [headers.get("Authorization") for headers in completions.headers] == [None, "Bearer a-key"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "not JSON"),
        (b'{"choices": []}', "did not return the log-probabilities"),
        (b'{"choices": [{"text": "", "logprobs": null}]}', "echo with logprobs"),
        (
            json.dumps(
                {"choices": [{"logprobs": {"tokens": ["a"], "token_logprobs": [-1.0], "text_offset": [0]}}]}
            ).encode(),
            "no log-probability for the answer 'in Gdansk today'",
        ),
    ],
)
def test_a_reply_that_cannot_be_used_says_what_is_wanted(completions: Any, body: bytes, said: str) -> None:
    completions.body = body
    with pytest.raises(PolicyError, match=said):
        EndpointReader(completions.address, pause=0.01).log_likelihoods([TASK])


def test_nobody_there_and_nobody_answering() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(PolicyError, match=r"did not answer .*refused"):
            EndpointReader(address, attempts=2, pause=0.01).log_likelihoods([TASK])
        listening.listen()
        with pytest.raises(PolicyError, match=r"did not answer .*timed out"):
            EndpointReader(address, attempts=1, timeout=0.1).log_likelihoods([TASK])
