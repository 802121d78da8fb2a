"""Teaches the encoder to read a question together with its passages, and a network to choose by what it makes of them.

First the upper half of the encoder gets a low-rank change, with a network on top, in torch; what the lower half makes
of a text is computed once. Then the changed encoder is converted to the int8 form that searches use, and a new network
is trained on its states: it has then seen nothing but what it will see.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..agent.reader._candidate_features import AnswerCandidates, read_candidates
from ..agent.reader._certainty import SIGNALS, Certainty, signals_of
from ..agent.reader._extractive import CloseReading, ExtractiveReader
from ..agent.reader._joint_text import CloseEncoder, JointText, places_of
from ..agent.reader._network import CandidateBatch, ReaderSettings, States
from ..agent.reader._passage_analysis import PassageAnalyser
from ..agent.reader._protocol import exact_match
from ..retrievers._calibration import fit_curve
from ..retrievers.records import Passage
from ..retrievers.vectors._minilm import Adapter, model_folder, quiet_transformers
from ._low_rank import LowRankLinear
from ._reader import ReadingExample, fit_network, presented, targets_of
from ._reader_network import TrainableNetwork, negative_log_likelihood

FROZEN_LAYERS = 3
RANK = 16
ENCODER_EPOCHS = 3
NETWORK_EPOCHS = 8
PRESENTATIONS = 2
"""Times that a question is read for the network, each time with other passages beside its evidence."""

ENCODER_RATE = 1e-3
NETWORK_RATE = 2e-3
QUESTIONS_PER_STEP = 8
DROPOUT = 0.05
CLOSE = ReaderSettings(width=96, dropout=0.3, state_width=64)
"""Sizes of the network that reads closely."""

Report = Callable[[str], None]


@dataclass(slots=True)
class _Text:
    """A question to learn from: its candidates, which are right, its text, and what the lower layers make of it."""

    candidates: AnswerCandidates
    right: NDArray[np.bool_]
    joint: JointText
    spans: NDArray[np.int64]
    read: NDArray[np.float32]
    lower: NDArray[np.float16]


class _UpperLayers(nn.Module):
    """The encoder in fp32; its lower layers are frozen, the others have low-rank changes."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        from transformers import AutoModel

        with quiet_transformers():
            model: Any = AutoModel.from_pretrained(str(model_folder()), add_pooling_layer=False)
        self._model = [model.float().requires_grad_(False).eval()]
        self.changes = nn.ModuleDict()
        generator = torch.Generator().manual_seed(seed)
        for number, layer in enumerate(model.encoder.layer):
            if number < FROZEN_LAYERS:
                continue
            for name, parent in list(layer.named_modules()):
                for attribute, linear in list(parent.named_children()):
                    if isinstance(linear, nn.Linear):
                        change = LowRankLinear(linear, RANK, generator)
                        setattr(parent, attribute, change)
                        self.changes[f"encoder/layer/{number}/{name}/{attribute}".replace(".", "/")] = change
                    elif isinstance(linear, nn.Dropout):
                        linear.p = DROPOUT

    @torch.no_grad()
    def lower(self, joint: JointText) -> NDArray[np.float16]:
        """Return what the frozen layers make of a text, float16 [t, 384]."""
        model = self._model[0]
        states = model.embeddings(input_ids=torch.tensor([joint.ids]), token_type_ids=torch.tensor([joint.kinds]))
        for layer in model.encoder.layer[:FROZEN_LAYERS]:
            states = _output(layer(states))
        return np.asarray(states[0].numpy(), np.float16)

    def forward(self, lower: Sequence[NDArray[np.float16]]) -> Tensor:
        """Return the states of all texts' word pieces, one text after the other [t, 384]."""
        longest = max(map(len, lower))
        states = torch.zeros(len(lower), longest, lower[0].shape[1])
        absent = torch.zeros(len(lower), 1, 1, longest)
        for k, one in enumerate(lower):
            states[k, : len(one)] = torch.from_numpy(one.astype(np.float32))
            absent[k, ..., len(one) :] = -1e9
        model = self._model[0]
        model.train(self.training)
        for layer in model.encoder.layer[FROZEN_LAYERS:]:
            states = _output(layer(states, attention_mask=absent))
        return torch.cat([states[k, : len(one)] for k, one in enumerate(lower)])

    def adapter(self, about: dict[str, Any]) -> Adapter:
        """Return the changes as they are stored."""
        matrices = {}
        for name, change in self.changes.items():
            down, up = (parameter.detach().numpy().astype(np.float16) for parameter in change.parameters())
            matrices[name.replace("/", ".")] = (down, up)
        return Adapter(matrices, about)


def _output(output: Any) -> Tensor:
    """Return a layer's states, whichever version of transformers computes them."""
    states: Tensor = output[0] if isinstance(output, tuple) else output
    return states


def train_encoder(
    examples: Sequence[ReadingExample],
    seed: int,
    analyser: PassageAnalyser,
    report: Report,
    epochs: int = ENCODER_EPOCHS,
) -> Adapter:
    """Return the encoder's change that makes right candidates likely; questions without any are left out.

    Args:
        examples: to learn from.
        seed: of everything random.
        analyser: of passages.
        report: is told how far it is.
        epochs: passes over the examples.
    """
    generator = np.random.default_rng([seed, 17])
    torch.manual_seed(int(generator.integers(2**31)))
    encoder, texts = _UpperLayers(seed), CloseEncoder(None)
    learned: list[_Text] = []
    for example in examples:
        passages = presented(example, generator, incomplete=0)
        candidates = read_candidates(example.question, analyser.read(passages), analyser.vectors)
        right = targets_of(example.answer, candidates)
        if not right[-1]:
            joint = texts.join(example.question, passages)
            lower = encoder.lower(joint)
            learned.append(_Text(candidates, right, joint, *places_of(candidates, joint, example.question), lower))
    network = TrainableNetwork(CLOSE)
    network.standardise(np.concatenate([text.candidates.features for text in learned]))
    groups = [(encoder, ENCODER_RATE), (network, NETWORK_RATE)]
    optimizer = torch.optim.AdamW([{"params": list(m.parameters()), "lr": rate, "top": rate} for m, rate in groups])
    encoder.train()
    network.train()
    steps, step = epochs * -(-len(learned) // QUESTIONS_PER_STEP), 0
    for epoch in range(epochs):
        losses = []
        for chosen in _batches([len(text.joint.ids) for text in learned], generator):
            for group in optimizer.param_groups:
                group["lr"] = group["top"] * (1 - step / steps)
            step += 1
            part = [learned[k] for k in chosen]
            states = encoder([text.lower for text in part])
            batch = CandidateBatch.of(
                [text.candidates for text in part], [States(text.lower, text.spans, text.read) for text in part]
            )
            wanted = torch.from_numpy(np.concatenate([text.right for text in part]))
            loss = negative_log_likelihood(network(batch, states), torch.from_numpy(batch.owner), wanted, len(part))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_([*encoder.parameters(), *network.parameters()], 1.0)
            optimizer.step()
            losses.append(float(loss.detach()))
        report(f"reading together, epoch {epoch + 1} of {epochs}: loss {np.mean(losses):.3f}")
    return encoder.adapter({"questions": len(learned), "epochs": epochs, "seed": seed})


def _batches(lengths: Sequence[int], generator: np.random.Generator) -> list[list[int]]:
    """Return texts of about the same length together, in random order."""
    order = np.argsort(np.array(lengths) + generator.normal(0, 12, len(lengths)))
    parts = np.array_split(order, -(-len(order) // QUESTIONS_PER_STEP))
    return [parts[k].tolist() for k in generator.permutation(len(parts))]


def train_close_network(
    examples: Sequence[ReadingExample],
    encoder: CloseEncoder,
    seed: int,
    analyser: PassageAnalyser,
    report: Report,
    epochs: int = NETWORK_EPOCHS,
) -> CloseReading:
    """Return a close reading whose network was trained on the states of the encoder as it is searched with."""
    generator = np.random.default_rng([seed, 18])
    read: list[AnswerCandidates] = []
    right: list[NDArray[np.bool_]] = []
    states: list[States] = []
    for number, example in enumerate(example for _ in range(PRESENTATIONS) for example in examples):
        passages = presented(example, generator)
        candidates = read_candidates(example.question, analyser.read(passages), analyser.vectors)
        made = encoder.states(example.question, passages, candidates)
        read.append(candidates)
        right.append(targets_of(example.answer, candidates))
        states.append(States(made.states.astype(np.float16), made.spans, made.read))
        if number % 500 == 499:
            report(f"reading together: {number + 1} of {PRESENTATIONS * len(examples)} texts")
    network = fit_network(CLOSE, read, right, epochs, generator, states)
    return CloseReading(encoder, network.exported())


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer that was judged: what it looked like, and whether it was right."""

    signals: NDArray[np.float64]
    right: bool


def judge(reader: ExtractiveReader, question: str, passages: Sequence[Passage], answer: str | None) -> Judged | None:
    """Return how a reader answers and whether it is right; never where there is no answer (None)."""
    reading = reader.read(question, passages)
    if not reading.total:
        return None
    chosen = max(reading.total, key=lambda text: reading.total[text])
    places = [k for k, text in enumerate(reading.candidates.answers) if text == chosen]
    at = max(places, key=lambda k: reading.probabilities[k])
    signals = signals_of(question, reading.candidates, reading.probabilities, reading.total, at)
    return Judged(signals, answer is not None and exact_match(chosen, answer) == 1)


WANTED = 0.8
"""Share of the answers stated that is to be right."""

PRIOR = 3.0
"""Precision of the prior of the weights of the certainty's curve."""


def fit_certainty(judged: Sequence[Judged], wanted: float = WANTED) -> Certainty:
    """Fit the chance of being right, and the chance from which answers are stated.

    That is the lowest from which on ``wanted`` of the answers are right, by chances that a curve fitted to the other
    folds of the answers gave, with a margin of one standard error.

    Args:
        judged: answers that were not learned, right ones and wrong ones.
        wanted: share of right ones among those stated.
    """
    signals, right = np.stack([one.signals for one in judged]), np.array([one.right for one in judged])
    assert signals.shape[1] == len(SIGNALS)
    folds = np.arange(len(right)) % 5
    chances = np.zeros(len(right))
    for fold in range(5):
        kept = folds != fold
        chances[~kept] = fit_curve(signals[kept], _targets(right[kept]), PRIOR)(signals[~kept])
    order = np.argsort(-chances)
    stated = np.arange(1, len(order) + 1)
    share = right[order].cumsum() / stated
    enough = share - np.sqrt(share * (1 - share) / stated) >= wanted
    at = int(np.flatnonzero(enough)[-1]) if enough.any() else 0
    return Certainty(fit_curve(signals, _targets(right), PRIOR), float(chances[order][at]))


def _targets(right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return chances to fit to: some wrong answers do not make it certain that all are (Platt 1999, section 2.2)."""
    count = int(right.sum())
    return np.where(right, (count + 1) / (count + 2), 1 / (len(right) - count + 2))
