"""Passages with questions that hold together, and the built-in reader trained on them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from trailhound.agent.reading.extractive import ExtractiveReader
from trailhound.agent.reading.passage_reading import PassageAnalyser
from trailhound.agent.reading.reader_training import ReadingExample, train_reader
from trailhound.retrievers.records import Passage

_FIRST = ["Anna", "Bruno", "Clara", "David", "Elena", "Felix", "Greta", "Hugo", "Irene", "Jonas"]
_LAST = ["Arendt", "Bauer", "Corelli", "Dumas", "Ekholm", "Farkas", "Gallo", "Horvath"]
_TOWNS = ["Bergen", "Verona", "Lisbon", "Gdansk", "Leipzig", "Seville", "Tartu", "Ghent"]
_WORDS = ["Silver", "Quiet", "Burning", "Distant", "Hidden", "Broken", "Golden", "Restless"]
_THINGS = ["River", "Garden", "Window", "Harbour", "Mountain", "Letter", "Winter", "Bridge"]


def passage(title: str, text: str) -> Passage:
    return Passage(title, title, title, text, 0, len(text))


def film(number: int) -> tuple[Passage, Passage, int, str]:
    """Return a film, its director, the director's year of birth and place of birth."""
    name = f"{_FIRST[number % 10]} {_LAST[number * 3 % 8]}"
    title = f"The {_WORDS[number % 8]} {_THINGS[number // 8 % 8]}"
    born, town = 1900 + number * 37 % 80, _TOWNS[number * 5 % 8]
    about_film = f"{title} is a {born + 40} drama film directed by {name}."
    about_name = (
        f"{name} (born 4 May {born}) was a film director. {name.split()[1]} was born in {town} and lived abroad."
    )
    return passage(title, about_film), passage(name, about_name), born, town


def examples(count: int) -> list[ReadingExample]:
    out = []
    for number in range(count):
        first, director, born, town = film(number)
        second, other, later, _ = film(number + 1)
        if number % 3 == 0:
            question, answer = f"Where was the director of film {first.title} born?", town
        elif number % 3 == 1:
            question, answer = f"When was the director of film {first.title} born?", f"4 May {born}"
        else:
            question = f"Which film has the director who was born first, {first.title} or {second.title}?"
            answer = first.title if born < later else second.title
            out.append(ReadingExample(question, answer, (first, director, second, other)))
            continue
        out.append(ReadingExample(question, answer, (first, director), (second, other)))
    return out


@pytest.fixture(scope="session")
def analyser() -> PassageAnalyser:
    return PassageAnalyser()


@pytest.fixture(scope="session")
def small_reader(analyser: PassageAnalyser) -> ExtractiveReader:
    return train_reader(examples(48), 25, 0, analyser=analyser)


@pytest.fixture(scope="session")
def unseen() -> list[ReadingExample]:
    """Examples that the small reader was not trained on."""
    return examples(63)[51:]


def _tokenizer(folder: Path, **special: str) -> int:
    """Write a byte-level tokenizer trained on the examples; returns the size of its vocabulary."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(special.values()),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([p.text for e in examples(12) for p in e.evidence], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=256, **special)
    fast.save_pretrained(folder)
    return int(tokenizer.get_vocab_size())


@pytest.fixture(scope="session")
def causal_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random GPT-2 of a few thousand weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = tmp_path_factory.mktemp("gpt2")
    size = _tokenizer(folder, eos_token="<end>")
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=size, n_positions=256, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def sequence_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random T5 of a few thousand weights."""
    from transformers import T5Config, T5ForConditionalGeneration

    folder = tmp_path_factory.mktemp("t5")
    size = _tokenizer(folder, pad_token="<pad>", eos_token="<end>")
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=size, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2,
        pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


class CompletionsServer(ThreadingHTTPServer):
    """A real server of the completions API: a bigram model over words, whose log-probabilities can be worked by hand.

    A word that was said before in the prompt is 1/4 likely, any other 1/64.
    """

    daemon_threads = True

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.failures: list[int] = []
        """HTTP states to answer the next requests with."""
        self.body: bytes | None = None
        """What to answer in place of log-probabilities."""
        super().__init__(("127.0.0.1", 0), _Completions)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Completions(BaseHTTPRequestHandler):
    server: CompletionsServer

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append({"path": self.path, **request})
        self.server.headers.append(dict(self.headers))
        if self.server.failures:
            self._reply(self.server.failures.pop(0), b"busy, come again")
            return
        self._reply(200, self.server.body if self.server.body is not None else _told(request["prompt"]))

    def _reply(self, state: int, body: bytes) -> None:
        self.send_response(state)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *unused: object) -> None:
        """Stay silent."""


def _told(prompt: str) -> bytes:
    import math
    import re

    words = [(match.start(), match.group()) for match in re.finditer(r" ?\S+|\s", prompt)]
    said: set[str] = set()
    values: list[float | None] = []
    for number, (_, word) in enumerate(words):
        values.append(None if number == 0 else math.log(1 / 4 if word.strip() in said else 1 / 64))
        said.add(word.strip())
    told = {"tokens": [w for _, w in words], "token_logprobs": values, "text_offset": [s for s, _ in words]}
    return json.dumps({"choices": [{"text": prompt, "logprobs": told}]}).encode()


@pytest.fixture
def completions() -> Iterator[CompletionsServer]:
    server = CompletionsServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
