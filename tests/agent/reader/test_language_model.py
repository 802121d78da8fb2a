"""Any language model of transformers scores answers by teacher forcing: tiny ones, built by the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from trailhound.agent.reader._language_models import LanguageModelReader, prompt_for
from trailhound.agent.reader._protocol import ReadingTask
from trailhound.errors import PolicyError
from trailhound.learning._reader import ReadingExample


def task_of(example: ReadingExample) -> ReadingTask:
    return ReadingTask(example.question, example.answer, example.evidence)


def test_a_causal_score_is_the_product_of_the_chances_of_its_tokens(
    causal_model: Path, unseen: list[ReadingExample]
) -> None:
    """Token by token: each fed to the model after all before it, without teacher forcing in one pass."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    task = task_of(unseen[0])
    model, tokenizer = AutoModelForCausalLM.from_pretrained(causal_model), AutoTokenizer.from_pretrained(causal_model)
    before = tokenizer(prompt_for(task.question, task.passages))["input_ids"]
    wanted = [*tokenizer(" " + task.answer)["input_ids"], tokenizer.eos_token_id]
    expected = 0.0
    for token in wanted:
        with torch.no_grad():
            chances = model(torch.tensor([before])).logits[0, -1].softmax(dim=0)
        expected += float(np.log(float(chances[token])))
        before = [*before, token]
    assert LanguageModelReader(causal_model).log_likelihoods([task])[0] == pytest.approx(expected, abs=1e-3)


def test_a_sequence_to_sequence_score_is_the_product_of_the_chances_of_its_tokens(
    sequence_model: Path, unseen: list[ReadingExample]
) -> None:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    task = task_of(unseen[1])
    model = AutoModelForSeq2SeqLM.from_pretrained(sequence_model)
    tokenizer = AutoTokenizer.from_pretrained(sequence_model)
    prompt = torch.tensor([tokenizer(prompt_for(task.question, task.passages))["input_ids"]])
    wanted = [*tokenizer(task.answer)["input_ids"], tokenizer.eos_token_id]
    written = [model.config.decoder_start_token_id]
    expected = 0.0
    for token in wanted:
        with torch.no_grad():
            logits = model(input_ids=prompt, decoder_input_ids=torch.tensor([written])).logits[0, -1]
        expected += float(logits.log_softmax(dim=0)[token])
        written.append(token)
    assert LanguageModelReader(sequence_model).log_likelihoods([task])[0] == pytest.approx(expected, abs=1e-3)


def test_a_prompt_that_is_too_long_loses_its_beginning(causal_model: Path, unseen: list[ReadingExample]) -> None:
    """What was found last, and the question, decide; what lies before the model's reach does not."""
    example = unseen[0]
    many = example.evidence * 12
    reader = LanguageModelReader(causal_model)
    long, longer = (
        ReadingTask(example.question, example.answer, passages) for passages in (many, many[:1] * 40 + many)
    )
    scores = reader.log_likelihoods([long, longer])
    assert np.isfinite(scores).all()
    # passages are numbered, so the reach begins at other words; the nearest ones are the same
    assert scores[0] == pytest.approx(scores[1], abs=2.0)


def test_a_model_that_cannot_be_used_is_named(causal_model: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((causal_model / name).read_bytes())
    with pytest.raises(PolicyError, match="cannot load a language model"):
        LanguageModelReader(tmp_path)
    weights = load_file(causal_model / "model.safetensors")
    weights.pop("transformer.h.0.attn.c_attn.weight")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(PolicyError, match="lack 1 of the model's tensors"):
        LanguageModelReader(tmp_path)
