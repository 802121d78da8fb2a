"""The late-interaction index with changes scores additions as its base does and finds the best of what is left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from trailhound.retrievers.changing.live_late import LateAdditions, LiveLate
from trailhound.retrievers.changing.snapshot import Snapshot
from trailhound.retrievers.records import Query
from trailhound.retrievers.vectors import late_interaction
from trailhound.retrievers.vectors.late_interaction import LateInteractionIndex
from trailhound.retrievers.vectors.residual_codes import ResidualCodec
from trailhound.retrievers.vectors.token_vectors import TokenEncoder

if TYPE_CHECKING:
    from trailhound.index.index import Index

BASE = 110


@pytest.fixture(scope="module")
def texts(small_index: Index) -> list[str]:
    """150 passages, two of them without a word piece; all from BASE on are added."""
    texts = [passage.text for passage in small_index.store]
    texts[4] = texts[BASE + 3] = "?!"
    return texts


@pytest.fixture(scope="module")
def base(
    texts: list[str], word_vectors: TokenEncoder, tmp_path_factory: pytest.TempPathFactory
) -> LateInteractionIndex:
    folder = tmp_path_factory.mktemp("live") / "late"
    LateInteractionIndex.build(folder, texts[:BASE], word_vectors, 2)
    return LateInteractionIndex(folder, lambda text: word_vectors.encode_tokens([text]).vectors)


def live(
    base: LateInteractionIndex, texts: list[str], encoder: TokenEncoder, died: dict[int, int] | None = None
) -> LiveLate:
    added = LateAdditions(base.width)
    for first in range(BASE, len(texts), 7):  # some at a time
        added.extend(base.coded(texts[first : first + 7], encoder))
    added.extend(base.coded(["later than the snapshot"], encoder))
    died = died or {}
    return LiveLate(base, added, Snapshot(BASE, len(texts), 1, len(texts) - len(died), len(texts), died))


@pytest.mark.parametrize("died", [{}, {0: 1, 60: 1, BASE: 1, 140: 1, 141: 2}], ids=["all", "some"])
def test_scores_of_both_are_maxsim_over_the_same_codes(
    base: LateInteractionIndex, texts: list[str], word_vectors: TokenEncoder, died: dict[int, int], tmp_path: Path
) -> None:
    index = live(base, texts, word_vectors, died)
    LateInteractionIndex.build(tmp_path / "late", texts[:BASE], word_vectors, 2)  # its codec once more
    codec = ResidualCodec.load(tmp_path / "late" / "codec.safetensors")
    pieces = word_vectors.encode_tokens(texts)
    decoded = codec.decode(codec.encode(pieces.vectors.astype(np.float32)))
    seen = [row for row in range(len(texts)) if died.get(row) != 1 and row not in (4, BASE + 3)]
    for text in (texts[140][:90], texts[60][10:70], "the harbour of an old town"):
        asked = word_vectors.encode_tokens([text]).vectors.astype(np.float64)
        scores = {
            row: float((asked @ decoded[pieces.offsets[row] : pieces.offsets[row + 1]].T).max(axis=1).sum())
            for row in seen
        }
        hits = index.search(Query(text), 12)
        best = sorted(scores.values(), reverse=True)[:12]
        np.testing.assert_allclose(hits.scores, best, atol=1e-4)
        np.testing.assert_allclose([scores[row] for row in hits.rows.tolist()], hits.scores, atol=1e-4)


def test_of_very_many_additions_the_centres_choose(
    base: LateInteractionIndex, texts: list[str], word_vectors: TokenEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = live(base, texts, word_vectors)
    queries = [Query(text[:80]) for text in texts[BASE + 5 :: 3]]
    whole = [index.search(query, 1).rows[0] for query in queries]
    monkeypatch.setattr(late_interaction, "COMPARED", 8)
    same = sum(index.search(query, 1).rows[0] == row for query, row in zip(queries, whole, strict=True))
    assert same >= 0.9 * len(queries)


def test_odd_questions_and_limits(base: LateInteractionIndex, texts: list[str], word_vectors: TokenEncoder) -> None:
    index = live(base, texts, word_vectors, dict.fromkeys(range(BASE), 1))
    assert len(index) == 150
    assert len(index.search(Query("?!"), 5)) == len(index.search(Query("harbour"), 0)) == 0
    assert set(index.search(Query("the harbour of a town"), 99).rows.tolist()) == set(range(BASE, 150)) - {BASE + 3}
    nothing = LiveLate(base, LateAdditions(base.width), Snapshot(BASE, BASE, 0, BASE, BASE, {}))
    one, other = nothing.search(Query("harbour town"), 9), base.search(Query("harbour town"), 9)
    assert (one.rows.tolist(), one.scores.tolist()) == (other.rows.tolist(), other.scores.tolist())
