"""Question and passages as one text for the encoder: ``[CLS] question [SEP] title : text [SEP] ...``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import EncoderError
from ...retrievers.records import Passage
from ...retrievers.vectors._minilm import Adapter, converted_model, model_folder
from ._candidate_features import AnswerCandidates
from ._network import States

LONGEST = 256
"""Word pieces of question and passages together; of longer ones, the ends of the longest passages are unread."""

LONGEST_QUESTION = 64
LONGEST_TITLE = 24

Offsets = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class JointText:
    """One text of a question and its passages, cut into word pieces.

    Attributes:
        ids: of the word pieces.
        kinds: 0 for those of the question, 1 for those of the passages.
        question: characters of the question's pieces, int64 [l, 2]; they begin at the piece 1.
        passages: of each passage the place of its text's first piece, and the characters of those read.
    """

    ids: tuple[int, ...]
    kinds: tuple[int, ...]
    question: Offsets
    passages: tuple[tuple[int, Offsets], ...]

    def place(self, offsets: Offsets, first: int, start: int, end: int) -> tuple[int, int] | None:
        """Return the first and last piece of characters ``[start, end)``; None where they are not all read."""
        begin = int(np.searchsorted(offsets[:, 1], start, side="right"))
        last = int(np.searchsorted(offsets[:, 0], end, side="left")) - 1
        if not begin <= last < len(offsets) or offsets[last, 1] < end:
            return None
        return first + begin, first + last


class CloseEncoder:
    """Reads a question and its passages together, with a change of the built-in encoder that was trained for it.

    Args:
        adapter: that change; None for the encoder as it is.
    """

    def __init__(self, adapter: Adapter | None) -> None:
        self.adapter = adapter

    def states(self, question: str, passages: Sequence[Passage], candidates: AnswerCandidates) -> States:
        """Return the states of all word pieces, float32, and where the candidates stand among them."""
        joint = self.join(question, passages)
        made = self._model.forward_batch([list(joint.ids)], token_type_ids=[list(joint.kinds)])
        states = np.array(made.last_hidden_state, np.float32)[0]
        return States(states, *places_of(candidates, joint, question))

    def join(self, question: str, passages: Sequence[Passage]) -> JointText:
        """Put question and passages into one text of LONGEST word pieces at most."""
        asked = self._cut(question)
        head = asked.ids[:LONGEST_QUESTION]
        titles = [[*self._cut(p.title).ids[:LONGEST_TITLE], self._colon] if p.title else [] for p in passages]
        texts = [self._cut(p.text) for p in passages]
        ids, kinds = [self._begin, *head, self._end], [0] * (len(head) + 2)
        wanted = [len(title) + len(text.ids) + 1 for title, text in zip(titles, texts, strict=True)]
        places = []
        for title, text, room in zip(titles, texts, shared_room(wanted, LONGEST - len(ids)), strict=True):
            body = text.ids[: max(room - len(title) - 1, 0)]
            places.append((len(ids) + len(title), _offsets(text.offsets[: len(body)])))
            ids += [*title, *body, self._end]
            kinds += [1] * (len(title) + len(body) + 1)
        return JointText(tuple(ids), tuple(kinds), _offsets(asked.offsets[: len(head)]), tuple(places))

    def _cut(self, text: str) -> Any:
        return self._tokenizer.encode(text, add_special_tokens=False)

    @cached_property
    def _model(self) -> Any:
        import ctranslate2

        folder, _ = converted_model(self.adapter)
        try:
            return ctranslate2.Encoder(str(folder), device="cpu", compute_type="int8", inter_threads=1, intra_threads=1)
        except RuntimeError as error:
            raise EncoderError(
                f"cannot load the reader's encoder ({error}): delete {folder}, it is made anew"
            ) from error

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(model_folder() / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    @cached_property
    def _begin(self) -> int:
        return int(self._tokenizer.token_to_id("[CLS]"))

    @cached_property
    def _end(self) -> int:
        return int(self._tokenizer.token_to_id("[SEP]"))

    @cached_property
    def _colon(self) -> int:
        return int(self._tokenizer.token_to_id(":"))


def _offsets(pairs: Sequence[tuple[int, int]]) -> Offsets:
    return np.array(pairs, np.int64).reshape(-1, 2)


def shared_room(wanted: Sequence[int], room: int) -> list[int]:
    """Share out room: who wants less than an equal share gets it, and what is left is shared among the others."""
    given = [0] * len(wanted)
    for done, k in enumerate(sorted(range(len(wanted)), key=lambda k: wanted[k])):
        given[k] = max(min(wanted[k], room // (len(wanted) - done)), 0)
        room -= given[k]
    return given


def places_of(
    candidates: AnswerCandidates, joint: JointText, question: str
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return first and last piece of every candidate, int64 [n, 2], and which are read at all, float32 [n].

    What the question offers stands in the question; yes, no and the unknown stand nowhere.
    """
    spans = np.zeros((len(candidates.answers), 2), np.int64)
    read = np.zeros(len(spans), np.float32)
    for k, (number, start, end) in enumerate(candidates.places.tolist()):
        first, offsets = joint.passages[number] if number >= 0 else (1, joint.question)
        if number < 0:
            surface = candidates.surfaces[k]
            start = question.find(surface) if surface not in ("", "yes", "no") else -1
            end = start + len(surface)
        found = joint.place(offsets, first, start, end) if start >= 0 else None
        if found is not None:
            spans[k], read[k] = found, 1
    return spans, read
