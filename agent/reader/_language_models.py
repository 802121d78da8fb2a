"""Any causal or sequence-to-sequence model of transformers as a reader, by teacher forcing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import PolicyError
from ...retrievers._places import in_full
from ...retrievers.records import Passage
from ...retrievers.vectors._minilm import quiet_transformers
from ._extractive import ExtractiveReader, has_reader, load_reader, shared_reader
from ._protocol import Reader, ReadingTask, cited_passage

if TYPE_CHECKING:
    from torch import Tensor

INSTRUCTION = "Answer the question from the passages, in a few words."


def prompt_for(question: str, passages: Sequence[Passage]) -> str:
    """Return the text that an answer follows; with the passages in the order they were found, from 1."""
    shown = [cited_passage(number, passage.title, in_full(passage)) for number, passage in enumerate(passages, start=1)]
    return "\n\n".join([INSTRUCTION, *shown, f"Question: {question}\nAnswer:"])


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
        import torch

        score = self._sequence_to_sequence if self._encoder_decoder else self._causal
        with torch.inference_mode():
            return np.array([min(score(task), 0.0) for task in tasks], np.float64)

    def _causal(self, task: ReadingTask) -> float:
        import torch

        prompt = self._tokens(prompt_for(task.question, task.passages))
        answer = self._answer(" " + task.answer)[: self._longest - 1]
        prompt = prompt[-(self._longest - len(answer)) :]
        tokens = torch.tensor([[*prompt, *answer]])
        logits = self._model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits[0]  # [t, v]
        return _log_probability(logits[len(prompt) - 1 : -1], answer)

    def _sequence_to_sequence(self, task: ReadingTask) -> float:
        import torch

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
    import torch

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


SHIPPED = Path(__file__).parents[1] / "shipped"


def open_reader(name: str) -> Reader:
    """Open a reader.

    Args:
        name: ``builtin`` is the reader that comes with the package; a folder holds one that ``trailhound train`` wrote,
            or a causal or sequence-to-sequence model that transformers can load.

    Raises:
        PolicyError: when there is no such reader, or it cannot be used.
    """
    if name == "builtin":
        return load_reader(SHIPPED)
    folder = Path(name)
    if has_reader(folder):
        return load_reader(folder)
    if (folder / "config.json").is_file():
        return LanguageModelReader(folder)
    raise PolicyError(
        f"there is no reader {name!r}: give builtin, coverage, or a folder with reader.json or with config.json"
        " (a model of transformers)"
    )


def answering_reader(policy: Path | None) -> ExtractiveReader | None:
    """Return the reader that answers beside a policy: its own, or the one that ships, if there is one."""
    for folder in (policy, SHIPPED):
        if folder is not None and has_reader(folder):
            return shared_reader(folder)
    return None
