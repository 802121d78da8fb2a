"""The sentence that supports a question: found by the word pieces that are kept, where there are any."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures.encoders import HashingTokens
from numpy.typing import NDArray
from trailhound import Document, Index, IndexSettings, SearchAgent, ShardedIndex
from trailhound.agent._sentences import SupportingSentences
from trailhound.retrievers.records import SupportingSentence

QUESTION = "When does the red ferry cross the lake?"
TEXTS = (
    "The ferry was built by two brothers. The ferry crosses the lake at noon. It is old.",
    "A lake lies in the north. The red boat and the ferry wait.",
    "Nothing is said here. Not a word.",
)


class Unplaced(HashingTokens):
    """Cannot say where word pieces stand."""

    def piece_spans(self, text: str) -> NDArray[np.int64]:
        return np.zeros((0, 2), np.int64)


def built(folder: Path, encoder: HashingTokens, pieces: bool = True) -> Index:
    documents = [Document(f"d{number}", "Ferries", text) for number, text in enumerate(TEXTS)]
    return Index.build(documents, folder, encoder=encoder, settings=IndexSettings(late_interaction=pieces))


def chosen(index: Index, question: str = QUESTION) -> list[SupportingSentence | None]:
    rows = np.arange(len(TEXTS))
    return SupportingSentences(index, question, index.query(question), rows).best(index.store.passages(rows.tolist()))


def test_nothing_is_encoded_where_word_pieces_are_kept(tmp_path: Path) -> None:
    encoder = HashingTokens()
    index = built(tmp_path / "i", encoder)
    query = index.query(QUESTION)
    before = encoder.encoded
    found = SupportingSentences(index, QUESTION, query, np.array([0])).best(index.store.passages([0]))
    assert encoder.encoded == before
    assert found[0] is not None
    assert TEXTS[0][found[0].start : found[0].end] == "The ferry crosses the lake at noon."


@pytest.mark.parametrize(("encoder", "pieces"), [(HashingTokens(), False), (Unplaced(), True)])
def test_sentences_are_encoded_where_pieces_are_not_kept_or_placed(
    tmp_path: Path, encoder: HashingTokens, pieces: bool
) -> None:
    index = built(tmp_path / "i", encoder, pieces)
    query = index.query(QUESTION)
    before = encoder.encoded
    sought = SupportingSentences(index, QUESTION, query, np.arange(3))
    found = sought.best(index.store.passages([0, 1, 2]))
    assert encoder.encoded - before == sum(text.count(".") for text in TEXTS)
    assert all(one is not None for one in found)


def test_the_score_is_the_share_of_words_and_the_mean_of_the_most_similar_pieces(tmp_path: Path) -> None:
    index = built(tmp_path / "i", HashingTokens())
    by_words = SupportingSentences(index, "lake", None, np.arange(3)).best(index.store.passages([0, 1, 2]))
    with_pieces = chosen(index, "lake")
    for before, now in zip(by_words[:2], with_pieces[:2], strict=True):
        assert before is not None
        assert now is not None
        assert (before.start, before.score) == (now.start, pytest.approx(1))
        assert 1.3 < now.score <= 2  # of codes the inner product of a word with itself is less than 1


def test_shards_and_a_closed_index_name_the_same_sentences(tmp_path: Path) -> None:
    encoder = HashingTokens()
    documents = [Document(f"d{number}", "Ferries", text) for number, text in enumerate(TEXTS)]
    one = Index.build(documents, tmp_path / "one", encoder=encoder)
    shards = ShardedIndex.build(documents, tmp_path / "s", 2, encoder=encoder)
    wanted = {found.passage.id: found.sentence for found in SearchAgent(one, system="hybrid").search(QUESTION).evidence}
    result = SearchAgent(shards, system="hybrid").search(QUESTION)
    shards.close()
    assert {found.passage.id: found.sentence for found in result.evidence} == wanted
    assert all(wanted.values())
