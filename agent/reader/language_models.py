"""Language models as readers: any model of transformers, or an OpenAI-compatible completions endpoint.

Both are shown the evidence, the question and the answer, and the log-probabilities of the answer's tokens are added up.
An endpoint is asked by ``POST {address}/completions`` with ``echo`` and ``logprobs``, and no new tokens: it returns the
tokens of the prompt with their log-probabilities. llama.cpp's server, vLLM and the OpenAI completions API of base
models answer in this form.
"""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import PolicyError
from ...retrievers.records import Passage
from ...retrievers.vectors.minilm import quiet_transformers
from .protocol import ReadingTask, cited_passage

INSTRUCTION = "Answer the question from the passages, in a few words."


def prompt_for(question: str, passages: Sequence[Passage]) -> str:
    """Return the text that an answer follows; with the passages in the order they were found, from 1."""
    parts = [INSTRUCTION]
    for number, passage in enumerate(passages, start=1):
        parts.append(cited_passage(number, passage.title, passage.text))
    parts.append(f"Question: {question}\nAnswer:")
    return "\n\n".join(parts)


class LanguageModelReader:
    """Scores an answer by the model's own probability of writing it: ``log p(y) = sum_t log p(y_t | y_<t, prompt)``.

    Tasks are scored one at a time, so a score does not depend on its company. A prompt that is too long for the model
    loses its beginning: what was found last, and the question, stay.

    Args:
        folder: holds ``config.json``, weights and tokenizer.

    Raises:
        PolicyError: when transformers cannot load a model that writes text from it.
    """

    def __init__(self, folder: Path) -> None:
        self.name = f"language model {folder.name}"
        self._tokenizer, self._model, self._encoder_decoder = _load(folder)
        positions = getattr(self._model.config, "max_position_embeddings", None) or self._tokenizer.model_max_length
        self._longest = int(min(positions, self._tokenizer.model_max_length))

    def log_likelihoods(self, tasks: Sequence[ReadingTask]) -> NDArray[np.float64]:
        """Return log p(answer | question, evidence) of every task, float64 [n]; the end of the answer counts too."""
        score = self._sequence_to_sequence if self._encoder_decoder else self._causal
        return np.array([min(score(task), 0.0) for task in tasks], np.float64)

    @torch.inference_mode()
    def _causal(self, task: ReadingTask) -> float:
        prompt = self._tokens(prompt_for(task.question, task.passages))
        answer = self._answer(" " + task.answer)
        answer = answer[: self._longest - 1]
        prompt = prompt[-(self._longest - len(answer)) :]
        tokens = torch.tensor([[*prompt, *answer]])
        logits = self._model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits[0]  # [t, v]
        return _log_probability(logits[len(prompt) - 1 : -1], answer)

    @torch.inference_mode()
    def _sequence_to_sequence(self, task: ReadingTask) -> float:
        prompt = self._tokens(prompt_for(task.question, task.passages))[-self._longest :]
        answer = self._answer(task.answer)[: self._longest]
        tokens = torch.tensor([prompt])
        labels = torch.tensor([answer])
        logits = self._model(input_ids=tokens, attention_mask=torch.ones_like(tokens), labels=labels).logits[0]
        return _log_probability(logits, answer)

    def _tokens(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False, truncation=False)["input_ids"])

    def _answer(self, text: str) -> list[int]:
        """Return the answer's tokens with the one that ends a text, where the model has one."""
        end = self._tokenizer.eos_token_id
        return self._tokens(text) + ([] if end is None else [int(end)])


def _log_probability(logits: Tensor, tokens: list[int]) -> float:
    """Return the log-probability of tokens [t] under logits [t, v]."""
    log_probabilities = logits.float().log_softmax(dim=-1)
    return float(log_probabilities.gather(1, torch.tensor(tokens).unsqueeze(1)).sum())


def _load(folder: Path) -> tuple[Any, Any, bool]:
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    try:
        with quiet_transformers():
            encoder_decoder = bool(AutoConfig.from_pretrained(folder).is_encoder_decoder)
            tokenizer = AutoTokenizer.from_pretrained(folder)
            kind = AutoModelForSeq2SeqLM if encoder_decoder else AutoModelForCausalLM
            model, info = kind.from_pretrained(folder, output_loading_info=True, use_safetensors=True)
    except (OSError, ValueError, ImportError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().split("\n")[0]
        raise PolicyError(
            f"cannot load a language model from {folder} ({reason}): give a folder with config.json, safetensors"
            " weights and a tokenizer of a causal or sequence-to-sequence model"
        ) from error
    if info["missing_keys"]:
        raise PolicyError(
            f"the weights in {folder} lack {len(info['missing_keys'])} of the model's tensors"
            f" ({sorted(info['missing_keys'])[0]}, ...): its config.json belongs to another model"
        )
    return tokenizer, model.float().eval(), encoder_decoder


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
