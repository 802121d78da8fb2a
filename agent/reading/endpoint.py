"""An OpenAI-compatible completions endpoint as a reader: asked for the log-probabilities of what it is shown.

``POST {address}/completions`` with ``echo`` and ``logprobs``, and no new tokens: the endpoint returns the tokens of the
prompt with their log-probabilities, and those of the answer are added up. llama.cpp's server, vLLM and the OpenAI
completions API of base models answer in this form.
"""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import PolicyError
from .prompt import prompt_for
from .protocol import ReadingTask

KEY_VARIABLE = "TRAILHOUND_READER_KEY"
"""Environment variable with the endpoint's key, where it wants one."""

_AGAIN = frozenset((408, 425, 429, 500, 502, 503, 504))
"""HTTP states in which asking again may help."""


class EndpointReader:
    """Asks an endpoint how likely an answer is.

    Args:
        address: of the API, such as ``http://localhost:8000/v1``.
        model: the name the endpoint knows the model by; may be empty where it serves only one.
        timeout: seconds to wait for one reply.
        attempts: how often a request is tried when the endpoint is busy or cannot be reached.
        pause: seconds before the second attempt, doubled before each further one.
    """

    def __init__(
        self, address: str, model: str = "", *, timeout: float = 60.0, attempts: int = 4, pause: float = 0.5
    ) -> None:
        self.name = f"{model or 'model'} at {address}"
        self._url = address.rstrip("/") + "/completions"
        self._model = model
        self._timeout = timeout
        self._attempts = attempts
        self._pause = pause

    def log_likelihoods(self, tasks: Sequence[ReadingTask]) -> NDArray[np.float64]:
        """Return log p(answer | question, evidence) of every task, float64 [n].

        Raises:
            PolicyError: when the endpoint cannot be reached, refuses, or does not return log-probabilities.
        """
        return np.array([self._score(task) for task in tasks], np.float64)

    def _score(self, task: ReadingTask) -> float:
        prompt = prompt_for(task.question, task.passages)
        request = {"prompt": f"{prompt} {task.answer}", "max_tokens": 0, "echo": True, "logprobs": 1, "temperature": 0}
        if self._model:
            request["model"] = self._model
        reply = self._post(request)
        try:
            told = reply["choices"][0]["logprobs"]
            tokens, values, offsets = told["tokens"], told["token_logprobs"], told["text_offset"]
            ends = [offset + len(token) for offset, token in zip(offsets, tokens, strict=True)]
            # a token that reaches into the answer is the answer's: the space before it often belongs to it
            answer = [value for end, value in zip(ends, values, strict=True) if end > len(prompt)]
            total = float(sum(answer))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise PolicyError(
                f"{self._url} did not return the log-probabilities of its prompt: the reader needs a completions"
                " endpoint that serves echo with logprobs, as llama.cpp and vLLM do"
            ) from error
        if not answer or not np.isfinite(total):
            raise PolicyError(f"{self._url} returned no log-probability for the answer {task.answer[:80]!r}")
        return min(total, 0.0)

    def _post(self, request: dict[str, Any]) -> Any:
        """Return the endpoint's reply, asking again while it is busy or cannot be reached."""
        headers = {"Content-Type": "application/json"}
        if os.environ.get(KEY_VARIABLE):
            headers["Authorization"] = f"Bearer {os.environ[KEY_VARIABLE]}"
        message = urllib.request.Request(self._url, json.dumps(request).encode(), headers, method="POST")
        problem = ""
        for attempt in range(self._attempts):
            if attempt:
                time.sleep(self._pause * 2 ** (attempt - 1))
            try:
                with urllib.request.urlopen(message, timeout=self._timeout) as reply:
                    return json.loads(reply.read())
            except urllib.error.HTTPError as error:
                with error:
                    problem = f"HTTP {error.code}: {_shortened(error.read())}"
                if error.code not in _AGAIN:
                    break
            except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
                problem = str(getattr(error, "reason", error)) or type(error).__name__
            except ValueError as error:
                problem = f"its reply is not JSON ({error})"
                break
        raise PolicyError(
            f"the reader at {self._url} did not answer ({problem}): is the address right, does it serve completions?"
            f" A key is read from {KEY_VARIABLE}"
        )


def _shortened(body: bytes, length: int = 200) -> str:
    return " ".join(body.decode("utf-8", "replace").split())[:length]
