"""Questions that say it in other words than the corpus: a ranker learns from them when not to trust words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...envs._question_view import QuestionView
from ...envs._world import QuestionWorld
from ...envs.settings import QUESTION_WORDS
from ...retrievers.words._analyser import STOP_WORDS

_LEAST, _MOST = 0.3, 0.9
"""Share of a question's words that changes."""

_SAMPLED = 60
"""Passages of an index whose words stand in for others."""

_LETTERS = "bcdfghjklmnpqrstvwxz"


def misworded(worlds: Sequence[QuestionWorld], generator: np.random.Generator) -> list[QuestionWorld]:
    """Return the questions over texts in other words, with their own vectors and word pieces.

    Of the words that change a third is left out, a third is words of other passages, and a third is in no passage. It
    is domain randomisation (Tobin et al. 2017, arXiv:1703.06907): between corpora that say things as their readers ask,
    and corpora like code, where a question's words mislead and its vector does not.
    """
    words: dict[int, list[str]] = {}  # by the id of an index
    asked = []
    for world in worlds:
        view, index = world.view, world.index
        if index.facts is not None:
            continue
        if id(index) not in words:
            passages = index.store.passages(generator.integers(0, len(index), _SAMPLED).tolist())
            words[id(index)] = [word for passage in passages for word in passage.text.split() if len(word) > 3]
        text = _reworded(view.text, words[id(index)], generator)
        other = replace(QuestionView.of(index, text, view.vector), pieces=world.pieces, form=view.form)
        asked.append(world.asking(other))
    return asked


def _reworded(text: str, others: Sequence[str], generator: np.random.Generator) -> str:
    chance = generator.uniform(_LEAST, _MOST)
    said = []
    for word in text.split():
        plain = word.lower().strip("?,.")
        if plain in STOP_WORDS or plain in QUESTION_WORDS or generator.random() > chance:
            said.append(word)
            continue
        how = generator.integers(3)
        if how == 1 and others:
            said.append(others[int(generator.integers(len(others)))])
        elif how == 2:
            said.append("".join(generator.choice(list(_LETTERS), 7)))
    return " ".join(said) or text
