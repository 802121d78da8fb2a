"""The late-interaction sub-index: MaxSim as it is defined, codes that come close, files that belong together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from trailhound.errors import DamagedIndexError, EncoderError
from trailhound.retrievers.protocols import TokenEncoder
from trailhound.retrievers.records import Query
from trailhound.retrievers.vectors import _late_interaction as late_interaction
from trailhound.retrievers.vectors._late_interaction import LateInteractionIndex, centres_for
from trailhound.retrievers.vectors._residual_codes import ResidualCodec

if TYPE_CHECKING:
    from trailhound.index.index import Index


def built(folder: Path, texts: list[str], encoder: TokenEncoder, bits: int = 4) -> LateInteractionIndex:
    LateInteractionIndex.build(folder, texts, encoder, bits)
    return LateInteractionIndex(folder, lambda text: encoder.encode_tokens([text]).vectors)


def maxsim(query: str, text: str, encoder: TokenEncoder) -> float:
    """The definition, over the vectors as they were encoded."""
    asked, said = (encoder.encode_tokens([part]).vectors.astype(np.float64) for part in (query, text))
    return float((asked @ said.T).max(axis=1).sum())


@pytest.fixture(scope="module")
def texts(small_index: Index) -> list[str]:
    return [passage.text for passage in small_index.store]


def test_scores_are_maxsim_over_what_the_codes_say(
    tmp_path: Path, texts: list[str], word_vectors: TokenEncoder
) -> None:
    index = built(tmp_path / "late", texts, word_vectors, 2)
    codec = ResidualCodec.load(tmp_path / "late" / "codec.safetensors")
    pieces = word_vectors.encode_tokens(texts)
    decoded = codec.decode(codec.encode(pieces.vectors.astype(np.float32)))
    for query in (texts[3][:60], texts[77][20:90], "the harbour of an old town"):
        asked = word_vectors.encode_tokens([query]).vectors.astype(np.float64)
        hits = index.search(Query(query), len(texts))
        assert len(hits) > 20
        for row, score in zip(hits.rows.tolist(), hits.scores.tolist(), strict=True):
            said = decoded[pieces.offsets[row] : pieces.offsets[row + 1]]
            assert score == pytest.approx(float((asked @ said.T).max(axis=1).sum()), abs=1e-4)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_codes_find_what_exact_vectors_find(
    tmp_path: Path, texts: list[str], word_vectors: TokenEncoder, bits: int
) -> None:
    index = built(tmp_path / "late", texts, word_vectors, bits)
    found = 0
    for row in range(0, 150, 5):
        query = texts[row][-70:]
        exact = np.array([maxsim(query, text, word_vectors) for text in texts])
        best = np.lexsort((np.arange(len(texts)), -exact))[:3]
        found += len(set(best.tolist()) & set(index.search(Query(query), 5).rows.tolist()))
    assert found / 90 > (0.8 if bits == 1 else 0.9)


def test_centres_alone_keep_what_is_best(
    tmp_path: Path, texts: list[str], word_vectors: TokenEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = built(tmp_path / "late", texts, word_vectors)
    queries = [Query(text[:80]) for text in texts[::6]]
    whole = [index.search(query, 1).rows[0] for query in queries]
    monkeypatch.setattr(late_interaction, "COMPARED", 8)
    assert sum(index.search(query, 1).rows[0] == row for query, row in zip(queries, whole, strict=True)) >= 24


def test_texts_without_word_pieces_are_never_found(tmp_path: Path, word_vectors: TokenEncoder) -> None:
    index = built(
        tmp_path / "late", ["", "a baker sold bread", "?!", "the lighthouse of the harbour", "..."], word_vectors
    )
    assert len(index) == 5
    assert index.search(Query("bread in the harbour"), 5).rows.tolist() == [3, 1] or index.search(
        Query("bread in the harbour"), 5
    ).rows.tolist() == [1, 3]
    assert index.search(Query("baker"), 5).rows[0] == 1
    assert len(index.search(Query(""), 5)) == 0
    with pytest.raises(EncoderError, match="no word piece"):
        built(tmp_path / "none", ["", "?"], word_vectors)


def test_blocks_and_samples_change_nothing(
    tmp_path: Path, texts: list[str], word_vectors: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is encoded together: the codec is learned from the same sample, and every text is encoded once."""
    monkeypatch.setattr(late_interaction, "_SAMPLE", 40)
    built(tmp_path / "whole", texts, word_vectors)
    monkeypatch.setattr(late_interaction, "_BLOCK", 7)
    before = word_vectors.encoded
    built(tmp_path / "blocks", texts, word_vectors)
    assert word_vectors.encoded - before == len(texts)
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "blocks" / path.name).read_bytes()


@pytest.mark.parametrize(("tokens", "centres"), [(0, 16), (1, 16), (100, 128), (65_536, 4096), (1_000_000, 8192)])
def test_the_number_of_centres(tokens: int, centres: int) -> None:
    assert centres_for(tokens) == centres


def test_an_encoder_of_whole_texts_is_refused(tmp_path: Path, hashing_encoder: Any, word_vectors: TokenEncoder) -> None:
    with pytest.raises(EncoderError, match="hashing-64 gives no vectors of word pieces"):
        LateInteractionIndex.build(tmp_path / "late", ["a town"], hashing_encoder, 2)
    with pytest.raises(EncoderError, match="1, 2, 4 bits a number, not 3"):
        LateInteractionIndex.build(tmp_path / "late", ["a town"], word_vectors, 3)


@pytest.mark.parametrize(
    "name", ["codec.safetensors", "offsets.npy", "cells.npy", "codes.npy", "lengths.npy", "begins.npy", "postings.npy"]
)
def test_files_that_do_not_belong_are_noticed(
    tmp_path: Path, texts: list[str], word_vectors: TokenEncoder, name: str
) -> None:
    folder = tmp_path / "late"
    built(folder, texts, word_vectors)
    built(tmp_path / "other", texts[:40], word_vectors, 2)
    path = folder / name
    for content in ((tmp_path / "other" / name).read_bytes(), path.read_bytes()[:60], b"", None):
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(DamagedIndexError, match="build the index again"):
            LateInteractionIndex(folder, lambda text: word_vectors.encode_tokens([text]).vectors)
