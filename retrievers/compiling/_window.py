"""How long texts are to an encoder, and what is embedded of a passage: no more than the encoder reads."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..protocols import Encoder, TokenCounter
from ..records import Passage
from ..vectors._encoder import embedding_text

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Scripts without spaces, and strings without any (base64, addresses), must not make a word without end.
WORD = re.compile(rf"[{_IDEOGRAPHS}]|[^\s{_IDEOGRAPHS}]{{1,100}}")
"""A run of characters without white space, of which a passage is made; at most 100, and ideographs and kana alone."""

_SPECIAL = 2
"""Tokens that an encoder puts around a text."""

_MOST_KNOWN = 1 << 18
"""Words whose length is remembered."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Window:
    """What an encoder reads at once.

    A text is as long as its words together: they are looked up, and the passages that are made of them are counted as
    they will be embedded. Without a counting encoder every word counts as one, and there is no limit.

    Attributes:
        limit: tokens that the encoder reads of a text; None where it does not say.
    """

    def __init__(self, encoder: Encoder | None = None) -> None:
        self._counter = encoder if isinstance(encoder, TokenCounter) else None
        self.limit = None if self._counter is None else max(1, self._counter.max_tokens - _SPECIAL)
        self._known: dict[str, int] = {}
        self._titles: dict[str, str] = {}

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of every text."""
        if self._counter is None:
            return [sum(1 for _ in WORD.finditer(text)) for text in texts]
        texts = [text if text.isascii() else _LONE_SURROGATE.sub("?", text) for text in texts]
        return token_counts(self._counter, texts)

    def word_sizes(self, words: Sequence[str]) -> list[int]:
        """Return the tokens of every word, 1 or more: what an encoder does not know takes room too."""
        known = self._known
        new = [word for word in dict.fromkeys(words) if word not in known]
        if new:
            if len(known) > _MOST_KNOWN:
                known.clear()
                new = list(dict.fromkeys(words))
            known.update(zip(new, (max(1, count) for count in self.counts(new)), strict=True))
        return [known[word] for word in words]

    def title(self, title: str) -> str:
        """Return what is embedded of a title: a quarter of the window at most."""
        if self.limit is None or fits_surely(title, self.limit // 4):
            return title
        if title not in self._titles:
            if len(self._titles) > _MOST_KNOWN:
                self._titles.clear()
            long = self.counts([embedding_text(title, "")])[0] > self.limit // 4
            self._titles[title] = self._first_words(title, self.limit // 4 - 1) if long else title
        return self._titles[title]

    def embedded(self, passages: Sequence[Passage], lines: Sequence[str]) -> list[str]:
        """Return what is embedded of every passage: title, line, lead and text; a line that is too long is shortened.

        Args:
            passages: of documents.
            lines: what is put before each to find it by.
        """
        texts = [text_with_lead(passage) for passage in passages]
        chosen = list(lines)
        placed = [place for place, line in enumerate(lines) if line]
        if placed and self.limit is not None:
            whole = self.counts([self._joined(passages[place], lines[place], texts[place]) for place in placed])
            for place, count in zip(placed, whole, strict=True):
                if count > self.limit:
                    chosen[place] = self._shortened_line(passages[place], lines[place], texts[place])
        return [self._joined(*each) for each in zip(passages, chosen, texts, strict=True)]

    def _joined(self, passage: Passage, line: str, text: str) -> str:
        return embedding_text(self.title(passage.title), f"{line}\n{text}" if line else text)

    def _shortened_line(self, passage: Passage, line: str, text: str) -> str:
        """Return as much of the line as there is room for."""
        without = self.counts([self._joined(passage, "", text)])[0]
        short = self._first_words(line, (self.limit or 0) - without)
        while short and self.counts([self._joined(passage, short, text)])[0] > (self.limit or 0):
            short = short.rpartition(" ")[0]
        return short

    def _first_words(self, text: str, room: int) -> str:
        """Return as many words of a text as are ``room`` tokens."""
        end = 0
        words = [match.span() for match in WORD.finditer(text)]
        for (start, stop), size in zip(words, self.word_sizes([text[a:b] for a, b in words]), strict=True):
            room -= size
            if room < 0:
                return text[:end] or self._first_characters(text[start:stop], room + size)
            end = stop
        return text[:end]

    def _first_characters(self, word: str, room: int) -> str:
        while word and self.counts([word])[0] > room:
            word = word[: len(word) // 2]
        return word


def text_with_lead(passage: Passage) -> str:
    """Return the text of a passage with what is repeated before it."""
    return f"{passage.lead}\n{passage.text}" if passage.lead else passage.text


def fits_surely(text: str, tokens: int) -> bool:
    """Return whether no encoder makes more than so many tokens of a text: it has no more bytes."""
    return len(text) <= tokens and len(text.encode("utf-8", "replace")) < tokens


def token_counts(counter: TokenCounter, texts: Sequence[str]) -> list[int]:
    """Return the tokens of every text, counted together where the encoder offers that."""
    together = getattr(counter, "count_all_tokens", None)
    return list(together(texts)) if together is not None else [counter.count_tokens(text) for text in texts]
