"""Packs evidence into a prompt of so many tokens at most."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..retrievers._places import in_full, place_of
from ..retrievers.records import Passage
from .reader._protocol import cited_passage

Ranked = tuple[int, Passage]
"""A passage and its rank."""

_BETWEEN = "\n\n"


def packed(ranked: Sequence[Ranked], budget: int, count: Callable[[str], int]) -> str:
    """Return the passages that fit into a budget of tokens, best first.

    One of which no sentence fits is left out; the one that is cut at a sentence is the last. Every passage is counted
    by itself, so that the work grows with the text; the whole is counted in the end, and shortened until it fits.
    """
    parts: list[tuple[Ranked, int]] = []
    left, joint = budget, count(_BETWEEN)
    for one in ranked:
        used, sentences = _longest(one, left, count)
        if sentences:
            parts.append((one, sentences))
            left -= used + joint
        if 0 < sentences < len(one[1].sentences) or left <= 0:
            break
    too_many = 1
    while parts:
        whole = _BETWEEN.join(_shown(one, sentences) for one, sentences in parts)
        if count(whole) <= budget:
            return whole
        parts = _without(parts, too_many)
        too_many *= 2
    return ""


def _without(parts: list[tuple[Ranked, int]], sentences: int) -> list[tuple[Ranked, int]]:
    """Return the same without so many sentences at the end."""
    left = parts.copy()
    while left and sentences:
        one, held = left.pop()
        if held > sentences:
            left.append((one, held - sentences))
        sentences -= min(held, sentences)
    return left


def _longest(ranked: Ranked, budget: int, count: Callable[[str], int]) -> tuple[int, int]:
    """Return the tokens of the most of a passage that fits, and its number of sentences; 0 and 0 where not one fits."""
    low, high, used = 0, len(ranked[1].sentences), 0
    tried = high  # first the whole of it, then by halves
    while low < high:
        tokens = count(_shown(ranked, tried))
        if tokens <= budget:
            low, used = tried, tokens
        else:
            high = tried - 1
        tried = (low + high + 1) // 2
    return used, low


def _shown(ranked: Ranked, sentences: int) -> str:
    """Return the first sentences of a passage, as it stands in a prompt."""
    rank, passage = ranked
    cut = replace(passage, text=passage.text[: passage.sentences[sentences - 1][1]])
    return cited_passage(rank, passage.title, in_full(cut), place_of(passage))


_PARTS = re.compile(r"[A-Za-z]+|[\x00-\x7f]|.", re.DOTALL)


def most_tokens(text: str) -> int:
    """Return a number of tokens that a text is hardly ever cut into more of.

    Two letters of a word to a token, other ASCII characters one each but a single space, which goes with the word
    behind it, and the bytes of any other character: what a tokenizer falls back on for words it has never seen.
    """
    total = 0
    for found in _PARTS.finditer(text):
        part = found.group()
        if part.isascii():
            total += (
                -(-len(part) // 2) if part.isalpha() else part != " " or text[found.start() - 1 : found.start()] == " "
            )
        else:
            total += len(part.encode("utf-8", "surrogatepass"))
    return total
