r"""A cross-encoder of a question with its evidence and a candidate: MiniLM whose upper layers read the two together.

The two texts pass the lower layers apart, as in PreTTR (MacAvaney et al. 2020, arXiv:2004.14255, section 3) and
DeFormer (Cao et al. 2020, arXiv:2005.00697); in the upper layers the candidate's tokens attend to both texts, the
question's only to their own. So what is known of the question is computed once for all candidates, and the lower
layers of a candidate once for all paths: a tenth of the work of a cross-encoder that reads every pair from the start.

Letters: s states, n candidates, p word pieces of a state, c of a candidate, d = 384.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, scaled_dot_product_attention

from ...retrievers.vectors.adapter import Adapter
from ...retrievers.vectors.minilm import model_folder, quiet_transformers
from ..queries.low_rank import LowRankLinear

APART = 3
"""Layers, of six, that the two texts pass apart."""

STATE_TOKENS = 96
"""Word pieces of the question and its evidence that are read; what is cut off is the end of the latest evidence."""

CANDIDATE_TOKENS = 64
"""Word pieces of a candidate that are read."""


@dataclass(frozen=True, slots=True)
class Read:
    """Texts after the lower layers, without padding, which would be most of the work.

    Attributes:
        hidden: float32 [t, d], the tokens of all texts, one after the other.
        present: bool [n, l], which of the l places each of the n texts fills.
    """

    hidden: Tensor
    present: Tensor

    def padded(self, hidden: Tensor) -> Tensor:
        """Return [t, d] laid out as [n, l, d], zero where there is no token."""
        out = hidden.new_zeros(*self.present.shape, hidden.shape[1])
        out[self.present] = hidden
        return out

    def mean(self) -> Tensor:
        """Return the mean over the tokens of each text, [n, d]."""
        return self.padded(self.hidden).sum(dim=1) / self.present.sum(dim=1, keepdim=True)


class PairEncoder(nn.Module):
    """Scores candidates for a question and its evidence; the parameters are low-rank changes and a head.

    The score is ``a cos(m_s, m_c) + w [m_s * m_c; m_c] + b``, with the means ``m`` over the tokens of state and
    candidate after the last layer: untrained, it is the similarity of a sentence encoder.

    Args:
        rank: of the change of every linear layer that reads both texts.
        seed: of the random half of the changes.
        dropout: inside those layers, in training.
        device: where it computes.
        adapter: a tuned hop encoder to set out from; the published weights when None.
    """

    def __init__(self, rank: int, seed: int, dropout: float, device: str, adapter: Adapter | None = None) -> None:
        super().__init__()
        from tokenizers import Tokenizer
        from transformers import AutoModel

        with quiet_transformers():
            model: Any = AutoModel.from_pretrained(str(model_folder()), add_pooling_layer=False)
        if adapter is not None:
            weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
            model.load_state_dict({name: torch.from_numpy(w) for name, w in adapter.merged(weights).items()})
        self._tokenizer = Tokenizer.from_file(str(model_folder() / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._device = torch.device(device)
        self._model = [model.float().eval().to(self._device).requires_grad_(False)]  # frozen: no part of the state
        self._upper = list(model.encoder.layer[APART:])
        self.changes = nn.ModuleDict()
        generator = torch.Generator().manual_seed(seed)
        for number, layer in enumerate(self._upper):
            for name, parent in list(layer.named_modules()):
                for attribute, inner in list(parent.named_children()):
                    if isinstance(inner, nn.Dropout):
                        inner.p = dropout
                    if isinstance(inner, nn.Linear):
                        change = LowRankLinear(inner, rank, generator)
                        setattr(parent, attribute, change)
                        self.changes[f"{number}/{name}.{attribute}".replace(".", "/")] = change
        self.closeness = nn.Parameter(torch.tensor(10.0))
        self.head = nn.Linear(2 * model.config.hidden_size, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.to(self._device)

    def train(self, mode: bool = True) -> PairEncoder:
        """Switch the dropout of the upper layers on or off."""
        super().train(mode)
        for layer in self._upper:
            layer.train(mode)
        return self

    @torch.no_grad()
    def read(self, texts: Sequence[str], tokens: int) -> Read:
        """Pass texts through the lower layers, at most ``tokens`` word pieces of each."""
        self._tokenizer.enable_truncation(tokens)
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        lengths = torch.tensor([len(row) for row in ids], device=self._device)
        places = torch.arange(int(lengths.max()), device=self._device)
        present: Tensor = places < lengths.unsqueeze(1)  # [n, l]
        pieces = torch.tensor([piece for row in ids for piece in row], device=self._device)  # [t]
        positions = places.expand(present.shape)[present]
        hidden = self._model[0].embeddings(input_ids=pieces.unsqueeze(0), position_ids=positions.unsqueeze(0))
        read = Read(hidden.squeeze(0), present)
        for layer in self._model[0].encoder.layer[:APART]:
            read = _pass(layer, read)
        return read

    def forward(self, states: Read, candidates: Read, owner: Sequence[int]) -> Tensor:
        """Return the score of every candidate for the state that it belongs to, [n].

        Args:
            states: [s, p, d], by :meth:`read`.
            candidates: [n, c, d], by :meth:`read`.
            owner: the state of each candidate, [n].
        """
        of = list(owner)
        for layer in self._upper:
            candidates = _pass(layer, candidates, states, of)
            states = _pass(layer, states)
        state, candidate = states.mean()[of], candidates.mean()  # [n, d]
        combined = torch.cat((state * candidate, candidate), dim=1)
        scores: Tensor = self.closeness * cosine_similarity(state, candidate, dim=1) + self.head(combined).squeeze(1)
        return scores


def _pass(layer: Any, own: Read, other: Read | None = None, of: Sequence[int] = ()) -> Read:
    """Pass n texts through a layer; they attend to themselves, and each to the text ``of[n]`` of ``other``."""
    attention = layer.attention.self
    heads = attention.num_attention_heads

    def split(hidden: Tensor) -> Tensor:
        return hidden.view(*hidden.shape[:2], heads, -1).transpose(1, 2)  # [n, l, d] -> [n, h, l, d / h]

    keys, values = own.padded(attention.key(own.hidden)), own.padded(attention.value(own.hidden))  # [n, c, d]
    present = own.present
    if other is not None:
        keys = torch.cat((other.padded(attention.key(other.hidden))[of], keys), dim=1)  # [n, p + c, d]
        values = torch.cat((other.padded(attention.value(other.hidden))[of], values), dim=1)
        present = torch.cat((other.present[of], present), dim=1)
    queries = own.padded(attention.query(own.hidden))
    mixed = scaled_dot_product_attention(
        split(queries), split(keys), split(values), attn_mask=present[:, None, None, :]
    )
    merged = mixed.transpose(1, 2).flatten(2)[own.present]  # [n, h, c, d / h] -> [t, d]
    hidden = layer.attention.output(merged, own.hidden)
    return Read(layer.output(layer.intermediate(hidden), hidden), own.present)
