"""An encoder behind an address: any server with the embeddings interface of OpenAI."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from hashlib import blake2b
from http.client import HTTPException
from textwrap import shorten
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

import numpy as np

from ...errors import EncoderError
from ..protocols import Progress
from ..records import Vectors
from ._conventions import Chosen
from ._texts import check_characters, unit

PREFIX = "openai:"
TEXTS_PER_REQUEST = 64
TRIES = 6
"""Times that a request is made in all, where the server is busy or cannot be reached; the waits between double."""

_ADDRESS = "https://api.openai.com/v1"
_FORM = re.compile(r"openai:(?P<model>[^@\s]+)(?:@(?P<address>https?://[^\s@?#]+))?")
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_TIMEOUT = 60.0
_BUSY = (408, 409, 425, 429, 500, 502, 503, 504)
_LARGEST_ANSWER = 1 << 28


class EndpointEncoder:
    """Texts are sent to ``ADDRESS/embeddings``; what comes back is scaled to length 1.

    The key in ``OPENAI_API_KEY`` is sent to one address alone, ``OPENAI_BASE_URL`` (by default OpenAI's own): an index
    that somebody else made cannot have it sent elsewhere. Redirections are not followed.

    Args:
        name: ``openai:MODEL`` or ``openai:MODEL@ADDRESS``.
        chosen: the prompts that the model wants before texts.
        wait: is called with the seconds between two tries.

    Attributes:
        name: model and address, with a hash of the prompts where there are any.
        dimension: of the vectors, as the server first gives them.

    Raises:
        EncoderError: the name has another form, or the server does not answer as it must.
    """

    def __init__(self, name: str, chosen: Chosen | None = None, wait: Callable[[float], None] = time.sleep) -> None:
        form = _FORM.fullmatch(name)
        if form is None:
            raise EncoderError(f"{name!r} is no endpoint: write openai:MODEL, or openai:MODEL@https://ADDRESS/v1")
        self._chosen = chosen or Chosen()
        if self._chosen.pooling:
            raise EncoderError(f"the endpoint {name} pools by itself: leave --pooling out")
        keys_address = (os.environ.get("OPENAI_BASE_URL") or _ADDRESS).rstrip("/")
        self._model, self._address = form["model"], (form["address"] or keys_address).rstrip("/")
        self._key = os.environ.get("OPENAI_API_KEY", "") if self._address == keys_address else ""
        self._wait = wait
        prompts = f"{self._chosen.query_prompt}\0{self._chosen.passage_prompt}"
        told = "" if prompts == "\0" else "~" + blake2b(prompts.encode(), digest_size=4).hexdigest()
        self.name = f"{PREFIX}{self._model}@{self._address}{told}"
        self.dimension = 0
        self.dimension = self._asked(["How long is a vector?"]).shape[1]

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode passages into unit vectors, float32 [n, dimension].

        Raises:
            EncoderError: a text has a lone surrogate, or the server does not answer as it must.
        """
        return self._encoded(texts, self._chosen.passage_prompt, progress)

    def encode_queries(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode queries, as :meth:`encode` does passages, behind the prompt of queries."""
        return self._encoded(texts, self._chosen.query_prompt, progress)

    def _encoded(self, texts: Sequence[str], prompt: str, progress: Progress | None) -> Vectors:
        check_characters(texts)
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for first in range(0, len(texts), TEXTS_PER_REQUEST):
            part = [prompt + text for text in texts[first : first + TEXTS_PER_REQUEST]]
            vectors[first : first + len(part)] = self._asked(part)
            if progress is not None:
                progress("encoding passages", first + len(part), len(texts))
        return unit(vectors, texts)

    def _asked(self, texts: list[str]) -> Vectors:
        """Return what one request gives, float32 [n, d], in the order of the texts."""
        # Servers refuse a text of nothing.
        sent = {"model": self._model, "input": [text if text.strip() else "." for text in texts]}
        answer = self._answer(json.dumps({**sent, "encoding_format": "float"}).encode())
        try:
            rows = sorted(answer["data"], key=lambda row: int(row["index"]))
            places = [int(row["index"]) for row in rows]
            vectors = np.array([row["embedding"] for row in rows], np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise self._error(f"answered otherwise than the embeddings interface does ({error!r})") from error
        if places != list(range(len(texts))):
            raise self._error(f"answered {len(places)} vectors to {len(texts)} texts")
        if vectors.ndim != 2 or vectors.shape[1] == 0 or self.dimension not in (0, vectors.shape[1]):
            raise self._error(f"gave vectors of {vectors.shape[1:]} numbers, and of {self.dimension} before")
        return vectors

    def _answer(self, body: bytes) -> Any:
        """Return what the server says; asks again where it is busy."""
        headers = {"Content-Type": "application/json", "User-Agent": "trailhound"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = Request(f"{self._address}/embeddings", body, headers, method="POST")
        pause, reason = _FIRST_WAIT, ""
        for tried in range(TRIES):
            if tried:
                self._wait(pause)
            try:
                with _opener().open(request, timeout=_TIMEOUT) as response:
                    return json.loads(response.read(_LARGEST_ANSWER))
            except HTTPError as error:
                reason = self._refusal(error)
                if error.code not in _BUSY:
                    raise self._error(reason) from error
                pause = max(2 * pause, _asked_to_wait(error))
            except (URLError, OSError, HTTPException, ValueError) as error:
                reason, pause = f"did not answer ({getattr(error, 'reason', error)})", 2 * pause
            pause = min(pause, _LONGEST_WAIT)
        raise self._error(f"{reason}, {TRIES} times")

    def _refusal(self, error: HTTPError) -> str:
        """Return what a server said when it refused."""
        said = shorten(error.read(2000).decode("utf-8", "replace"), 300)
        hint = ""
        if error.code in (401, 403):
            hint = (
                ": set OPENAI_API_KEY"
                if self._key == "" and self._address == _ADDRESS
                else f": OPENAI_API_KEY is sent to OPENAI_BASE_URL alone, set both for {self._address}"
            )
        return f"answered {error.code} {said}{hint}"

    def _error(self, what: str) -> EncoderError:
        return EncoderError(f"the endpoint {self._address} with the model {self._model!r} {what}")


class _NoRedirection(HTTPRedirectHandler):
    """A redirection is a refusal: it would take the key along."""

    def redirect_request(self, *_: Any) -> None:
        """Return nothing to be asked instead."""


def _opener() -> Any:
    return build_opener(_NoRedirection)


def _asked_to_wait(error: HTTPError) -> float:
    """Return the seconds that a busy server asks to wait, 0 where it does not say."""
    try:
        return float(error.headers.get("Retry-After") or 0)
    except ValueError:
        return 0.0
