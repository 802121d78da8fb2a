"""Few shards are asked where documents are parted by topics: those of the question, and the result names them."""

from pathlib import Path

import numpy as np
import pytest
from trailhound.agent.search_agent import SearchAgent
from trailhound.errors import IndexFolderError, ShardError
from trailhound.retrievers.protocols import Encoder
from trailhound.retrievers.records import Document
from trailhound.retrievers.words._analyser import words
from trailhound.sharding._routing import Choosing, known_of
from trailhound.sharding.sharded_index import ShardedIndex

TOPICS = {
    "sea": "harbour ferry tide anchor sail",
    "music": "violin sonata bow concert hall",
    "stone": "granite basalt quartz marble slate",
    "farm": "barley wheat harvest plough field",
}


MIXED = "ferry violin granite barley harbour sonata basalt wheat"


def documents() -> list[Document]:
    rng = np.random.default_rng(3)
    made = []
    for number in range(80):
        topic = list(TOPICS)[number % 4]
        text = " ".join(rng.choice(TOPICS[topic].split(), 14))
        made.append(Document(f"{topic}-{number}", f"Torl {topic.title()} {number}", f"{text} in {1900 + number}."))
    return made


@pytest.fixture(scope="module")
def folder(hashing_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("routing") / "s"
    ShardedIndex.build(documents(), place, 4, encoder=hashing_encoder, partition="topics").close()
    return place


def opened(folder: Path, encoder: Encoder, **asked: float) -> ShardedIndex:
    return ShardedIndex(folder, encoder, **asked)  # type: ignore[arg-type]


def calls_of(index: ShardedIndex, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the shards that are asked what they find, as it happens."""
    asked: list[str] = []

    class Listening:
        def __init__(self, shard: object) -> None:
            self._shard = shard
            self.name = shard.name  # type: ignore[attr-defined]

        def call(self, method: str, *given: object) -> object:
            if method == "ask":
                asked.append(self.name)
            return self._shard.call(method, *given)  # type: ignore[attr-defined]

        def close(self) -> None:
            self._shard.close()  # type: ignore[attr-defined]

    monkeypatch.setattr(index, "shards", tuple(Listening(shard) for shard in index.shards))
    return asked


@pytest.mark.parametrize("system", ["lexical", "dense", "hybrid"])
def test_the_shards_of_the_subject_are_asked_and_no_others(
    folder: Path, hashing_encoder: Encoder, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(folder, hashing_encoder) as whole, opened(folder, hashing_encoder, ask=0.25) as quarter:
        everywhere, few = SearchAgent(whole, system=system), SearchAgent(quarter, system=system)
        asked = calls_of(quarter, monkeypatch)
        for question in ("Which ferry left the harbour at high tide?", "a violin sonata", "granite and basalt"):
            asked.clear()
            all_found, found = everywhere.search(question, 5), few.search(question, 5)
            assert all_found.shards == whole.about.shards
            assert len(found.shards) == 1
            assert set(asked) == set(found.shards)
            assert [e.passage.id for e in found.evidence] == [e.passage.id for e in all_found.evidence]
            np.testing.assert_allclose([e.score for e in found.evidence], [e.score for e in all_found.evidence])


def test_a_mass_asks_as_many_as_a_question_needs(folder: Path, hashing_encoder: Encoder) -> None:
    with opened(folder, hashing_encoder, ask_mass=0.95) as index:
        clear, mixed = (index.shards_asked(question) for question in ("the violin sonata", MIXED))
        assert len(clear) < len(mixed)
    with opened(folder, hashing_encoder, ask_mass=0.95, ask=0.5) as index:
        assert len(index.shards_asked(MIXED)) == 2


def test_what_shards_know_is_what_their_documents_say(folder: Path, hashing_encoder: Encoder) -> None:
    question = "Was Torl Sea 4 the ferry of the harbour?"
    with opened(folder, hashing_encoder) as index, index.snapshot():
        state = index._state
        known = state.known(question)
        numbers = list(known.by_shard)
        found = known_of(known.asked, known.by_shard, dict.fromkeys(numbers, 20), question, known.entity)
        shard_of = {name: place for place, number in enumerate(numbers) for name in _ids(folder, index, number)}
        by_word = {value: place for place, value in enumerate(known.asked.hashes.tolist())}
        counts, in_titles = np.zeros_like(found.counts), np.zeros_like(found.in_titles)
        from trailhound.retrievers.words._terms import hashes_of

        for document in documents():
            place = shard_of[document.id]
            for array, text in ((counts, f"{document.title}\n{document.text}"), (in_titles, document.title)):
                for value in set(hashes_of(words(text)).tolist()).intersection(by_word):
                    array[by_word[value], place] += 1
        np.testing.assert_array_equal(found.counts, counts)
        np.testing.assert_array_equal(found.in_titles, in_titles)
        assert set(found.named.tolist()) == {shard_of["sea-4"]}


def _ids(folder: Path, index: ShardedIndex, number: int) -> list[str]:
    from trailhound.index.index import Index

    with Index.open(folder / index.about.shards[number], verify=False) as shard:
        return list(shard.store.document_ids())


def test_shards_parted_by_hash_must_all_be_asked(hashing_encoder: Encoder, tmp_path: Path) -> None:
    ShardedIndex.build(documents()[:8], tmp_path / "s", 2, encoder=hashing_encoder).close()
    with pytest.raises(IndexFolderError, match="--partition topics"):
        ShardedIndex(tmp_path / "s", hashing_encoder, ask=0.5)


def test_a_share_is_rounded_up_and_a_mass_is_reached() -> None:
    likely = np.array([0.1, 0.5, 0.05, 0.35], np.float32)
    assert Choosing(0.25).chosen(likely).tolist() == [1]
    assert Choosing(0.3).chosen(likely).tolist() == [1, 3]
    assert Choosing(mass=0.8).chosen(likely).tolist() == [1, 3]
    assert Choosing(mass=0.9).chosen(likely).tolist() == [1, 3, 0]
    assert Choosing(0.5, 0.9).chosen(likely).tolist() == [1, 3]
    assert Choosing().chosen(likely).tolist() == [1, 3, 0, 2]
    for wrong in (0.0, 1.5, -1.0):
        with pytest.raises(ShardError, match="more than 0"):
            Choosing(wrong)
