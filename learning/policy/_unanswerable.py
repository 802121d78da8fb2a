"""Questions that a corpus does not answer, made of those that it does: confidence learns from them when to be low."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...envs._question_view import QuestionView
from ...envs._world import QuestionWorld
from ...retrievers.protocols import Encoder
from ...retrievers.records import Hits, Rows

_PROGRAMS = (
    "SELECT {0} FROM {1} WHERE {2} = 1",
    "def {0}({1}): return {2}",
    "{0}.{1}({2});",
    "/{0}/{1}?{2}=1",
    "<{0}>{1}</{2}>",
    "{0}_{1} = {2}[0]",
)
_SHARES = (1 / 4, 3 / 8, 3 / 8)


class WithoutEvidence(QuestionWorld):
    """A question over an index as if what meets its labels were not there."""

    def __init__(self, world: QuestionWorld, hop_encoder: Encoder | None) -> None:
        named = {row: features for row, features in world.view.named.items() if row not in world.meets}
        self._gone = np.array(sorted(world.meets), np.int64)
        super().__init__(world.index, replace(world.view, named=named), world.settings, hop_encoder=hop_encoder)

    def seen(self, sub_index: int, held: tuple[int, ...]) -> Hits:
        """Return what a sub-index says, without what is not there."""
        hits = super().seen(sub_index, held)
        there = ~np.isin(hits.rows, self._gone)
        return Hits(hits.rows[there], hits.scores[there])

    def visible(self, rows: Rows) -> Rows:
        """Return those rows that are there."""
        return rows[~np.isin(rows, self._gone)]


def unanswerable(
    worlds: Sequence[QuestionWorld], generator: np.random.Generator, hop_encoder: Encoder | None
) -> list[QuestionWorld]:
    """Return about as many questions as ``worlds`` that their corpora do not answer.

    Some are those questions without their evidence, some those of another corpus (where there is only one, nonsense
    takes their place), some nonsense: words of the corpus, in no order, as programs write them, or with their letters
    shuffled. Without evidence there often is another passage that is nearly as good: of those there are fewer.
    """
    made: list[QuestionWorld] = []
    for place in generator.permutation(len(worlds)).tolist():
        world = worlds[place]
        others = [other for other in worlds if other.index is not world.index]
        kind = generator.choice(("without evidence", "of another corpus", "nonsense"), p=_SHARES)
        if kind == "without evidence":
            made.append(WithoutEvidence(world, hop_encoder))
        elif kind == "of another corpus" and others:
            made.append(asked_over(world, others[int(generator.integers(len(others)))].view.text, hop_encoder))
        else:
            made.append(asked_over(world, nonsense(world, generator), hop_encoder))
    return made


def asked_over(like: QuestionWorld, text: str, hop_encoder: Encoder | None) -> QuestionWorld:
    """Return the world of another question over the index of one."""
    return QuestionWorld(like.index, QuestionView.of(like.index, text), like.settings, hop_encoder=hop_encoder)


def nonsense(like: QuestionWorld, generator: np.random.Generator) -> str:
    """Return a question that means nothing, of as many words of the corpus as another has; three in code."""
    index, count = like.index, max(len(like.view.text.split()), 3)
    passages = index.store.passages(generator.integers(0, len(index), count).tolist())
    words = [str(generator.choice(passage.text.split() or [passage.id])) for passage in passages]
    shape = generator.random()
    if shape < 0.5:
        return " ".join(words)
    if shape < 0.75:
        return " ".join("".join(generator.permutation(list(word))) for word in words)
    return str(generator.choice(_PROGRAMS)).format(*words)
