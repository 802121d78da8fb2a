"""Documents are parted by what they are about: alike ones together, in shards of one size, whatever their order."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trailhound.agent.search_agent import SearchAgent
from trailhound.errors import DamagedIndexError, IndexFolderError
from trailhound.index.index import Index
from trailhound.index.settings import IndexSettings
from trailhound.retrievers.protocols import Encoder, Progress
from trailhound.retrievers.records import Document, Vectors
from trailhound.sharding import _partition
from trailhound.sharding._building import ShardedBuild
from trailhound.sharding._linking import link
from trailhound.sharding._regions import Regions
from trailhound.sharding._tasks import run_here
from trailhound.sharding._topics import Sample, TopicPartition
from trailhound.sharding.sharded_index import ShardedIndex

TOPICS = ["harbour ferry tide", "violin sonata bow", "granite basalt quartz"]


def documents(each: int = 30) -> list[Document]:
    """So many of every topic, in turn."""
    rng = np.random.default_rng(1)
    made = []
    for number in range(each * len(TOPICS)):
        words = " ".join(rng.choice(TOPICS[number % len(TOPICS)].split(), 12))
        made.append(Document(f"d{number}", "", f"{words} {number}.", metadata={"topic": number % len(TOPICS)}))
    return made


class Counting:
    """An encoder that counts what it encodes."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.name, self.dimension = encoder.name, encoder.dimension
        self.texts: list[str] = []

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        self.texts += texts
        return self._encoder.encode(texts, progress)


def build(place: Path, corpus: list[Document], encoder: Any, shards: int = len(TOPICS)) -> ShardedIndex:
    return ShardedIndex.build(corpus, place, shards, encoder=encoder, partition="topics")


def held(index: ShardedIndex) -> dict[str, set[str]]:
    found = {}
    for name in index.about.shards:
        with Index.open(index.path / name, verify=False) as shard:
            found[name] = set(shard.store.document_ids())
    return found


def topic_of(names: set[str]) -> int:
    """Return the topic of nearly all of some documents."""
    (topic, count), *_ = Counter(int(name[1:]) % len(TOPICS) for name in names).most_common()
    assert count > 0.9 * len(names)
    return topic


@pytest.fixture(scope="module")
def index(hashing_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> ShardedIndex:
    return build(tmp_path_factory.mktemp("topics") / "s", documents(), hashing_encoder)


def test_a_shard_holds_a_topic(index: ShardedIndex) -> None:
    parts = held(index)
    assert sorted(map(topic_of, parts.values())) == [0, 1, 2]
    assert sum(map(len, parts.values())) == 90


def test_neither_the_order_of_documents_nor_blocks_change_what_is_found(
    index: ShardedIndex, hashing_encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with build(tmp_path / "b", documents()[::-1], hashing_encoder) as other:
        assert held(other) == held(index)
    monkeypatch.setattr(_partition, "_BLOCK", 30)
    monkeypatch.setattr(_partition, "_SAMPLE", 60)
    with build(tmp_path / "c", documents(), hashing_encoder) as blocks:
        assert sorted(map(topic_of, held(blocks).values())) == [0, 1, 2]
        for question in ("the tide of the harbour", "quartz 17"):
            found = [
                [p.passage.id for p in SearchAgent(one, system="hybrid").search(question, 5).evidence]
                for one in (index, blocks)
            ]
            assert found[0] == found[1]


def test_a_first_passage_is_encoded_once(
    hashing_encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_partition, "_BLOCK", 400)
    corpus = documents(100)
    counting = Counting(hashing_encoder)
    build(tmp_path / "s", corpus, counting).close()
    assert len(counting.texts) == len(set(counting.texts)) == len(corpus)
    assert [path.name for path in tmp_path.glob("s/.*")] == []


def test_an_interrupted_build_encodes_nothing_twice(hashing_encoder: Encoder, tmp_path: Path) -> None:
    corpus = documents(100)
    counting: Any = Counting(hashing_encoder)
    how = ShardedBuild(tmp_path / "s", 3, IndexSettings(late_interaction=False), counting, 1, "topics")

    def broken_off(tasks: Sequence[Any], *given: Any) -> None:
        """Do blocks, and end at the third shard."""
        run_here(tasks[:2] if len(tasks) == 3 else tasks, *given)
        if len(tasks) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        how.write(corpus, print, None, False, broken_off, link)
    seen = len(counting.texts)
    how.write(corpus, print, None, False, run_here, link)
    assert len(counting.texts) == seen
    with ShardedIndex(tmp_path / "s", hashing_encoder) as index:
        assert sum(map(len, held(index).values())) == len(corpus)


def test_shards_stay_when_nothing_changed(index: ShardedIndex, hashing_encoder: Encoder) -> None:
    before = {path: path.stat().st_mtime_ns for path in index.path.glob("shard-*/manifest.json")}
    build(index.path, documents(), hashing_encoder).close()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(list(index.path.glob("regions-*"))) == 1
    assert list(index.path.glob(".*")) == []


def test_what_is_new_goes_to_its_topic_and_what_is_there_stays(hashing_encoder: Encoder, tmp_path: Path) -> None:
    with build(tmp_path / "s", documents(), hashing_encoder) as index:
        before = held(index)
        of_topic = {topic_of(names): name for name, names in before.items()}
        added = [Document(f"new{number}", "", f"{words} {words}") for number, words in enumerate(TOPICS)]
        assert index.add(added).added == 3
        moved = Document("d0", "", "violin sonata bow, no longer of the sea")
        assert index.change([moved], replace=True).replaced == 1
        assert index.delete(["d1"]).deleted == 1
        after = held(index)
        for number in range(3):
            assert f"new{number}" in after[of_topic[number]]
        assert "d0" in after[of_topic[0]]
        assert all("d1" not in names for names in after.values())
        assert (
            SearchAgent(index, system="lexical").search("no longer of the sea", 1).evidence[0].passage.document_id
            == "d0"
        )


def test_no_shard_is_too_heavy_though_all_documents_are_alike() -> None:
    vectors = np.tile(np.eye(8, dtype=np.float32)[0], (100, 1))
    partition = TopicPartition.learned(vectors, np.ones(100), 4, np.random.default_rng(0))
    assert np.bincount(partition.placed(vectors, np.ones(100)), minlength=4).max() <= np.ceil(25 * 1.15)


def test_documents_of_many_passages_count_for_as_many() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((200, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    weights = np.where(vectors[:, 0] > 0, 5.0, 1.0)
    placed = TopicPartition.learned(vectors, weights, 4, rng).placed(vectors, weights)
    assert np.bincount(placed, weights, 4).max() <= np.ceil(weights.sum() / 4 * 1.15)


def test_a_document_is_drawn_to_those_that_it_mentions() -> None:
    axes = np.eye(3, dtype=np.float32)
    known = [
        Document("a", "Ada Lovelace", "A countess."),
        Document("b", "Torl Bridge", "It was built by Ada Lovelace."),
    ]
    sample = Sample(known, axes[:2])
    np.testing.assert_allclose(sample.smoothed, [[0.5**0.5, 0.5**0.5, 0]] * 2, atol=1e-6)
    other = [Document("c", "Engine", "Ada Lovelace wrote of it."), Document("d", "Ada", "No one.")]
    near = sample.smoothed_with(other, axes[[2, 2]])
    np.testing.assert_allclose(near, [[0.5**0.5, 0, 0.5**0.5], [0, 0, 1]], atol=1e-6)


def test_more_shards_than_documents_leave_some_out(hashing_encoder: Encoder, tmp_path: Path) -> None:
    with build(tmp_path / "s", documents(1)[:3], hashing_encoder, shards=8) as index:
        assert len(index.about.shards) == 3
        assert SearchAgent(index, system="lexical").search("tide", 3).evidence[0].passage.document_id == "d0"


def test_damaged_regions_are_refused(hashing_encoder: Encoder, tmp_path: Path) -> None:
    with build(tmp_path / "s", documents(3), hashing_encoder) as index:
        file = index.path / index.about.regions
        content = bytearray(file.read_bytes())
        content[-3] ^= 1
        file.write_bytes(content)
        with pytest.raises(DamagedIndexError, match="regions"):
            Regions.load(file)


def test_an_unknown_partition_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IndexFolderError, match="hash or topics"):
        ShardedBuild(tmp_path, 2, IndexSettings(), None, 1, "colours")  # type: ignore[arg-type]
