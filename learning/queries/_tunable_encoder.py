"""The built-in encoder in torch with low-rank changes that can be trained, and what both tuners of it share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import RecipeError
from ...index.index import Index
from ...retrievers.vectors._minilm import Adapter, model_folder, quiet_transformers
from ..training_questions import TrainingSource

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")

MAX_TOKENS = 128
"""Word pieces of a query that are read in tuning: a question and three sentences of evidence."""


class LowRankLinear(nn.Module):
    r"""A frozen linear layer with a trained change, ``y = W x + b + U D x`` (LoRA, arXiv:2106.09685, eq. 3).

    Args:
        linear: the frozen layer.
        rank: r; D is [r, inputs], drawn at random, and U [outputs, r], zero, so that tuning begins at W.
        generator: draws D.
    """

    def __init__(self, linear: nn.Linear, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        self._frozen = [linear]  # in a list: what is not trained is not part of the state to save
        self.down = nn.Parameter(torch.randn(rank, linear.in_features, generator=generator) / linear.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output [..., outputs] for ``x`` [..., inputs]."""
        base: Tensor = self._frozen[0](x)
        return base + (x @ self.down.T) @ self.up.T


class TunableEncoder(nn.Module):
    """all-MiniLM-L6-v2 in fp32 whose linear layers have low-rank changes; the parameters are the changes alone.

    Args:
        rank: of every change.
        seed: of the random half of the changes.
        dropout: inside the transformer, in training.
        device: where it computes.
    """

    def __init__(self, rank: int, seed: int, dropout: float, device: torch.device | str) -> None:
        super().__init__()
        from tokenizers import Tokenizer
        from transformers import AutoModel

        with quiet_transformers():
            model: Any = AutoModel.from_pretrained(str(model_folder()), add_pooling_layer=False)
        self._tokenizer = Tokenizer.from_file(str(model_folder() / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._device = torch.device(device)
        self._model = [model.float().to(self._device).requires_grad_(False)]
        for part in model.modules():
            if isinstance(part, nn.Dropout):
                part.p = dropout
        self.changes = nn.ModuleDict()
        generator = torch.Generator().manual_seed(seed)
        for name, parent in list(model.named_modules()):
            for attribute, layer in list(parent.named_children()):
                if isinstance(layer, nn.Linear):
                    change = LowRankLinear(layer, rank, generator).to(self._device)
                    setattr(parent, attribute, change)
                    self.changes[f"{name}.{attribute}".replace(".", "/")] = change

    def train(self, mode: bool = True) -> TunableEncoder:
        """Switch the transformer's dropout on or off."""
        super().train(mode)
        self._model[0].train(mode)
        return self

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Return how many word pieces of each text are read."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(list(texts))]

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors [b, 384], each the mean over the text's tokens."""
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        longest = max(len(row) for row in ids)
        tokens = torch.zeros(len(ids), longest, dtype=torch.long)  # [b, l]
        present = torch.zeros(len(ids), longest)
        for k, row in enumerate(ids):
            tokens[k, : len(row)] = torch.tensor(row)
            present[k, : len(row)] = 1
        tokens, present = tokens.to(self._device), present.to(self._device)
        hidden = self._model[0](input_ids=tokens, attention_mask=present).last_hidden_state  # [b, l, 384]
        mean = (hidden * present.unsqueeze(2)).sum(dim=1) / present.sum(dim=1, keepdim=True)
        return nn.functional.normalize(mean, dim=1)

    def adapter(self, about: dict[str, Any]) -> Adapter:
        """Return the changes as they are stored."""
        matrices = {}
        for name, change in self.changes.items():
            pair = [parameter.detach().cpu().numpy().astype(np.float16) for _, parameter in change.named_parameters()]
            matrices[name.replace("/", ".")] = (pair[0], pair[1])
        return Adapter(matrices, about)


def tuning_described(
    command: str, settings: DataclassInstance, seed: int, sources: Sequence[TrainingSource]
) -> dict[str, Any]:
    """Return everything that decides what a tuning leads to, as JSON values."""
    described = [source.describe() for source in sources]
    return {"command": command, "settings": asdict(settings), "seed": seed, "sources": described}


def set_aside(questions: Sequence[T], share: float, seed: int) -> tuple[list[T], list[T]]:
    """Return a share of the questions, one at least, drawn to be held out, and the others in random order."""
    order = np.random.default_rng([seed, 2**31]).permutation(len(questions))
    aside = max(1, round(len(questions) * share))
    return [questions[k] for k in order[:aside]], [questions[k] for k in order[aside:]]


def passage_vectors(index: Index, device: torch.device) -> Tensor:
    """Return the vectors of all passages of an index [N, d]."""
    return torch.from_numpy(index.dense.reconstruct(np.arange(len(index)))).to(device)


def check_ranges(settings: object, least: Mapping[str, int], shares: Sequence[str]) -> None:
    """Check the numbers of a tuner's settings: the least of whole ones, shares between 0 and 1, and dropout.

    Raises:
        RecipeError: when one is out of its range.
    """
    for name, smallest in least.items():
        if getattr(settings, name) < smallest:
            raise RecipeError(f"{name} must be {smallest} or more, not {getattr(settings, name)}")
    for name in (*shares, "dropout"):
        value = getattr(settings, name)
        if not 0 <= value < 1 or (value == 0 and name != "dropout"):
            low = "from 0 to" if name == "dropout" else "above 0 and"
            raise RecipeError(f"{name} must be {low} below 1, not {value}")
