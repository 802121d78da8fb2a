"""Following every mention, by hand: who is reached, from whom, and in what order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from trailhound import Document, Index
from trailhound.agent._fixed_systems import DECAY, MOST_FOLLOWED, follow_mentions
from trailhound.agent._systems import open_system
from trailhound.retrievers.protocols import Encoder
from trailhound.retrievers.records import Hits

CHAIN = [
    Document("a", "Silver Gate", "Silver Gate is a film directed by Ada Brun.", atomic=True),
    Document("b", "Ada Brun", "Ada Brun is a director and the daughter of Lena Marsk.", atomic=True),
    Document("c", "Lena Marsk", "Lena Marsk was a painter from Torl Bay.", atomic=True),
    Document("d", "Torl Bay", "Torl Bay is a town with a market.", atomic=True),
    Document("e", "Market", "A place where bread is sold.", atomic=True),
]


@pytest.fixture(scope="module")
def chain(hashing_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Index:
    return Index.build(CHAIN, tmp_path_factory.mktemp("chain") / "chain.index", encoder=hashing_encoder)


def rows(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


def test_a_hop_goes_one_mention_further(chain: Index) -> None:
    fused = Hits(rows(4), np.array([0.03], np.float32))
    vector = np.zeros(64, np.float32)
    ranking, followed = follow_mentions(chain, fused, rows(0), vector, 10)
    assert sorted(ranking.rows.tolist()) == [0, 1, 4]
    assert [(source, brought.tolist()) for source, brought in followed] == [(0, [1])]
    scores = dict(zip(ranking.rows.tolist(), ranking.scores.tolist(), strict=True))
    assert (scores[0], scores[4]) == (1, 0.5)
    assert scores[1] == pytest.approx(DECAY / 2), "a cosine of 0 halves"


def test_a_passage_that_mentions_many_is_followed_to_those_nearest_the_question(
    hashing_encoder: Encoder, tmp_path: Path
) -> None:
    names = [f"{first} {last}" for first in ("Ada", "Bo", "Cyr", "Dag") for last in ("Brun", "Holt", "Quill")]
    head = Document("all", "Town Hall", f"Town Hall was built by {', '.join(names)}.", atomic=True)
    others = [Document(n, n, f"{n} baked bread {k} times.", atomic=True) for k, n in enumerate(names)]
    index = Index.build([head, *others], tmp_path / "x.index", encoder=hashing_encoder)
    vector = index.query(index.store.passage(12).text).vector
    assert vector is not None
    ranking, followed = follow_mentions(index, Hits(rows(), np.zeros(0, np.float32)), rows(0), vector, 50)
    assert len(followed[0][1]) == MOST_FOLLOWED < len(names)
    assert followed[0][1][0] == 12
    assert ranking.rows.tolist()[:2] == [0, 12]


def test_calls_are_three_questions_and_every_hop(chain: Index) -> None:
    one = open_system(chain, "hops").rank("What is Silver Gate?", 5)
    hops = [decision.detail for decision in one.decisions if decision.detail.startswith("follow")]
    assert "follow the mentions in Silver Gate" in hops
    assert one.calls == 3 + len(hops)
    assert {0, 1} <= set(one.rows.tolist())
