"""An encoder behind an address, against a server over HTTP."""

import json
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trailhound.errors import EncoderError
from trailhound.index.index import Index
from trailhound.index.settings import IndexSettings
from trailhound.retrievers.protocols import Encoder, QueryEncoder
from trailhound.retrievers.records import Document
from trailhound.retrievers.vectors._conventions import Chosen
from trailhound.retrievers.vectors._encoder import load_encoder
from trailhound.retrievers.vectors._endpoint import TEXTS_PER_REQUEST, TRIES, EndpointEncoder
from trailhound.retrievers.vectors._vector_log import VectorLog


def vector_of(text: str) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(text.encode())).normal(size=8) * 3


class Server:
    """What an embeddings server does, and what it was asked; ``answers`` are given first, each to one request."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.answers: list[tuple[int, dict[str, str], Any]] = []
        self.breaks_after = 10**9
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.requests.append(asked)
                server.keys.append(self.headers.get("Authorization"))
                assert (self.path, self.headers["Content-Type"]) == ("/v1/embeddings", "application/json")
                code, headers, said = server.answer(asked)
                body = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(code)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, asked: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        if self.answers:
            return self.answers.pop(0)
        if len(self.requests) > self.breaks_after:
            return 400, {}, {"error": {"message": "no more credit"}}
        rows = [{"index": n, "embedding": vector_of(text).tolist()} for n, text in enumerate(asked["input"])]
        return 200, {}, {"data": rows[::-1], "model": asked["model"]}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server()
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    yield made
    made.close()


def unit(text: str) -> np.ndarray:
    return vector_of(text) / np.linalg.norm(vector_of(text))


def test_texts_are_sent_in_batches_and_their_vectors_have_length_one(server: Server) -> None:
    encoder = load_encoder(f"openai:small@{server.address}", chosen=Chosen("ask: ", "told: "))
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, QueryEncoder)
    assert encoder.dimension == 8
    texts, heard = [f"town {n}" for n in range(TEXTS_PER_REQUEST + 5)], list[tuple[int, int]]()
    vectors = encoder.encode(texts, lambda _, done, total: heard.append((done, total)))
    np.testing.assert_allclose(vectors, [unit(f"told: {text}") for text in texts], atol=1e-6)
    np.testing.assert_allclose(encoder.encode_queries(["mill"])[0], unit("ask: mill"), atol=1e-6)
    assert [len(asked["input"]) for asked in server.requests[1:]] == [TEXTS_PER_REQUEST, 5, 1]
    assert {asked["model"] for asked in server.requests} == {"small"}
    assert heard == [(TEXTS_PER_REQUEST, len(texts)), (len(texts), len(texts))]
    plain = EndpointEncoder(f"openai:small@{server.address}")
    assert plain.name == f"openai:small@{server.address}" != encoder.name
    assert np.isfinite(plain.encode(["", " "])).all()
    assert server.requests[-1]["input"] == [".", "."]


def test_the_key_is_sent_to_the_address_it_is_for_alone(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    EndpointEncoder(f"openai:small@{server.address}")
    monkeypatch.setenv("OPENAI_BASE_URL", server.address + "/")
    EndpointEncoder(f"openai:small@{server.address}")
    EndpointEncoder("openai:small")
    assert server.keys == [None, "Bearer secret", "Bearer secret"]
    server.answers = [(307, {"Location": server.address + "/embeddings"}, {})]
    with pytest.raises(EncoderError, match="answered 307"):
        EndpointEncoder("openai:small")
    assert len(server.keys) == 4


def test_a_busy_server_is_asked_again_with_longer_waits(server: Server) -> None:
    waits: list[float] = []
    encoder = EndpointEncoder(f"openai:small@{server.address}", wait=waits.append)
    server.answers = [(429, {"Retry-After": "7"}, {}), (503, {}, b"later"), (200, {}, b'{"da')]
    np.testing.assert_allclose(encoder.encode(["mill"])[0], unit("mill"), atol=1e-6)
    assert waits == [7, 14, 28]
    server.answers = [(500, {}, b"broken")] * TRIES
    with pytest.raises(EncoderError, match=rf"{server.address} .* 'small' answered 500 broken, {TRIES} times"):
        encoder.encode(["mill"])
    assert waits[3:] == [1, 2, 4, 8, 16]


def test_a_server_that_is_not_there_is_named() -> None:
    waits: list[float] = []
    with pytest.raises(EncoderError, match=r"http://127\.0\.0\.1:9/v1 .* did not answer \(.*refused.*\), 6 times"):
        EndpointEncoder("openai:small@http://127.0.0.1:9/v1", wait=waits.append)
    assert len(waits) == TRIES - 1


ROW = {"index": 0, "embedding": [1.0] * 8}
WRONG = {
    "no data": ({"ok": True}, r"otherwise than the embeddings interface does \(KeyError\('data'\)\)"),
    "no number": ({"data": [{"index": 0, "embedding": ["x"] * 8}]}, "otherwise than"),
    "too few": ({"data": []}, "answered 0 vectors to 1 texts"),
    "another index": ({"data": [{**ROW, "index": 3}]}, "answered 1 vectors to 1 texts"),
    "another dimension": ({"data": [{**ROW, "embedding": [1.0] * 5}]}, r"vectors of \(5,\) numbers, and of 8 before"),
    "not finite": ({"data": [{**ROW, "embedding": [float("nan")] * 8}]}, "not finite for the text 'mill'"),
}


@pytest.mark.parametrize(("said", "message"), WRONG.values(), ids=WRONG)
def test_an_answer_that_cannot_be(server: Server, said: object, message: str) -> None:
    encoder = EndpointEncoder(f"openai:small@{server.address}")
    server.answers = [(200, {}, said)]
    with pytest.raises(EncoderError, match=message):
        encoder.encode(["mill"])


def test_a_refusal_is_said_once_with_what_to_do(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers = [(401, {}, {"error": "no key"})]
    with pytest.raises(EncoderError, match=r"answered 401 .*no key.*OPENAI_API_KEY is sent to OPENAI_BASE_URL alone"):
        EndpointEncoder(f"openai:small@{server.address}")
    assert len(server.requests) == 1
    for name in ("openai:", "openai:a b", "openai:small@ftp://host", "openai:small@http://me:secret@host/v1"):
        with pytest.raises(EncoderError, match="is no endpoint: write openai:MODEL"):
            load_encoder(name)
    with pytest.raises(EncoderError, match="pools by itself"):
        EndpointEncoder("openai:small", Chosen(pooling="cls"))


def test_a_build_that_the_server_breaks_off_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    documents = [Document(f"d{n}", "", f"Town {n} has a mill and {n} wells.") for n in range(600)]
    settings = IndexSettings(encoder=f"openai:small@{server.address}")
    server.breaks_after = 7  # one for the dimension, four for a part of 256 texts
    with pytest.raises(EncoderError, match=r"answered 400 .*no more credit"):
        Index.build(documents, tmp_path / "i", settings=settings)
    server.breaks_after = 10**9
    before, kept = len(server.requests), VectorLog(tmp_path / "i").count()
    assert 256 <= kept < 600
    index = Index.build(documents, tmp_path / "i", settings=settings)
    sent = [text for asked in server.requests[before + 1 :] for text in asked["input"]]
    assert len(sent) == len(set(sent)) == 600 - kept
    np.testing.assert_allclose(index.dense.vectors, [unit(passage.text) for passage in index.store], atol=1e-6)
    vector = Index(tmp_path / "i").query("mill").vector
    np.testing.assert_allclose(vector, unit("mill"), atol=1e-6)
