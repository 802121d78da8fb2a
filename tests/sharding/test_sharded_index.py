"""A sharded index ranks as one index of the same documents, and says which shards it could not reach."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from trailhound.errors import CorpusError, IndexFolderError, PolicyError, QuestionsError, ShardError
from trailhound.index.index import Index
from trailhound.index.settings import IndexSettings
from trailhound.retrievers._folder import MANIFEST
from trailhound.retrievers.protocols import Encoder
from trailhound.retrievers.records import Document
from trailhound.sharding._building import ShardedBuild, shard_of
from trailhound.sharding._shard import LocalShard, Shard, Waiting
from trailhound.sharding._shard_server import ShardQuestion, ShardServer
from trailhound.sharding.sharded_index import ShardedIndex, ShardedResult

SHARDS = (1, 2, 4, 8)
SYSTEMS = ("lexical", "dense", "hybrid")
COLOURS = ["red", "green", "blue", "black", "white", "amber", "violet"]


def documents() -> list[Document]:
    """Long and short ones, one text that stands twice, and identifiers that few have."""
    generator = np.random.default_rng(5)
    made = []
    for number in range(120):
        words = generator.choice(COLOURS, int(generator.integers(4, 60)), p=[0.4, 0.2, 0.15, 0.1, 0.08, 0.05, 0.02])
        year = generator.integers(1900, 2000)
        text = f"Part number PX-{number // 3:04d} is {' '.join(words)}. It was painted in {year}."
        made.append(Document(f"d{number}", f"Colour card {number}", text))
    return [*made, Document("twin-a", "Twin", "violet amber twins"), Document("twin-b", "Twin", "violet amber twins")]


QUESTIONS = [
    "which card is violet and amber",
    "what is part PX-0007",
    "red red green",
    "painted in 1950 in black",
    "amber twins",
    "is the",
]


@pytest.fixture(scope="module")
def one_index(hashing_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Index:
    return Index.build(documents(), tmp_path_factory.mktemp("one") / "index", encoder=hashing_encoder)


@pytest.fixture(scope="module")
def sharded(hashing_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> dict[int, ShardedIndex]:
    place = tmp_path_factory.mktemp("sharded")
    return {n: ShardedIndex.build(documents(), place / f"{n}", n, encoder=hashing_encoder) for n in SHARDS}


def listed(result: ShardedResult) -> list[str]:
    return [found.passage.id for found in result.passages]


@pytest.mark.parametrize("shards", SHARDS[1:])
@pytest.mark.parametrize("system", SYSTEMS)
def test_any_number_of_shards_ranks_as_one(sharded: dict[int, ShardedIndex], system: str, shards: int) -> None:
    for question in QUESTIONS:
        one, many = (sharded[n].search(question, 20, system) for n in (1, shards))
        assert listed(many) == listed(one), question
        scores = [[found.score for found in result.passages] for result in (one, many)]
        np.testing.assert_allclose(scores[1], scores[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("system", ["lexical", "dense"])
def test_scores_are_those_of_an_index_that_is_not_sharded(
    sharded: dict[int, ShardedIndex], one_index: Index, system: str
) -> None:
    for question in QUESTIONS:
        hits = one_index.sub_indexes[system].search(one_index.query(question), 20)
        found = sharded[4].search(question, 20, system)
        np.testing.assert_allclose([one.score for one in found.passages], hits.scores, rtol=1e-6, atol=1e-6)


def test_every_document_is_in_the_shard_that_its_id_says(sharded: dict[int, ShardedIndex]) -> None:
    found = []
    for number, name in enumerate(sharded[4].about.shards):
        with Index.open(sharded[4].path / name, verify=False) as shard:
            ids = shard.store.document_ids()
            assert {shard_of(one, 4) for one in ids} == {number}
            found += ids
    assert sorted(found) == sorted(document.id for document in documents())
    assert sharded[4].about.documents == len(found)


def test_an_addition_to_a_shard_is_found_at_once_with_the_scores_of_one_index(
    hashing_encoder: Encoder, tmp_path: Path
) -> None:
    new = Document("new", "Ochre card", "ochre and violet, and nothing else")
    with (
        ShardedIndex.build(documents(), tmp_path / "s", 3, encoder=hashing_encoder) as index,
        Index.build([*documents(), new], tmp_path / "one", encoder=hashing_encoder) as one,
    ):
        before = index.search("violet ochre", 5, "lexical")
        with Index.open(index.path / index.about.shards[shard_of("new", 3)], encoder=hashing_encoder) as shard:
            shard.add([new])
        after = index.search("violet ochre", 5, "lexical")
        assert "new" not in [found.passage.document_id for found in before.passages]
        assert after.passages[0].passage.document_id == "new"
        scores = one.lexical.search(one.query("violet ochre"), 5).scores
        np.testing.assert_allclose([found.score for found in after.passages], scores, rtol=1e-6)


class LosableShard:
    """A shard in this process whose machine can be taken away."""

    def __init__(self, folder: Path) -> None:
        self.name, self._shard, self.there = folder.name, LocalShard(folder), True

    def call(self, method: str, *given: object) -> Waiting[object]:
        if self.there:
            return self._shard.call(method, *given)

        def lost() -> None:
            raise ShardError(f"{self.name} is away")

        return lost

    def close(self) -> None:
        self._shard.close()


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_lost_shard_is_named_and_the_others_answer(
    sharded: dict[int, ShardedIndex], hashing_encoder: Encoder, system: str
) -> None:
    made: list[LosableShard] = []

    def opened(folder: Path) -> Shard:
        made.append(LosableShard(folder))
        return made[-1]

    with ShardedIndex(sharded[4].path, hashing_encoder, open_shard=opened) as index:
        made[1].there = False
        result = index.search("red green violet", 200, system)
        assert result.unreachable == ("shard-0001",)
        assert {found.shard for found in result.passages} == {"shard-0000", "shard-0002", "shard-0003"}
        made[1].there = True
        assert index.search("red green violet", 200, system).unreachable == ()
        for shard in made:
            shard.there = False
        with pytest.raises(ShardError, match="none of the shards"):
            index.search("red", 5, system)


def test_a_build_that_is_repeated_makes_only_what_is_missing_or_changed(
    hashing_encoder: Encoder, tmp_path: Path
) -> None:
    ShardedIndex.build(documents(), tmp_path / "s", 4, encoder=hashing_encoder).close()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "s").glob(f"shard-*/{MANIFEST}")}
    lost, *_ = kept
    lost.unlink()  # as if its build had been stopped
    changed = [document for document in documents() if document.id != "twin-a"]
    ShardedIndex.build(changed, tmp_path / "s", 4, encoder=hashing_encoder).close()
    same = {path for path, when in kept.items() if path.stat().st_mtime_ns == when}
    without = tmp_path / "s" / f"shard-{shard_of('twin-a', 4):04d}" / MANIFEST
    assert same == kept.keys() - {lost, without}


def test_fewer_shards_leave_none_of_the_old_ones(hashing_encoder: Encoder, tmp_path: Path) -> None:
    ShardedIndex.build(documents(), tmp_path / "s", 4, encoder=hashing_encoder).close()
    with ShardedIndex.build(documents(), tmp_path / "s", 2, encoder=hashing_encoder) as index:
        assert index.about.shards == ("shard-0000", "shard-0001")
        assert len(index) == len(documents())
    folders = {path.name for path in (tmp_path / "s").iterdir() if path.is_dir()}
    assert folders == {"shard-0000", "shard-0001"}


def test_what_depends_on_the_whole_corpus_is_refused(tmp_path: Path) -> None:
    for settings in (
        IndexSettings(drop_duplicates=True),
        IndexSettings(context="corpus"),
        IndexSettings(dimension=8),
        IndexSettings(mask=("email",)),
    ):
        with pytest.raises(IndexFolderError, match=r"depends on the whole corpus|nothing is masked"):
            ShardedBuild(tmp_path / "s", 2, settings, None, None)
    with pytest.raises(IndexFolderError, match="0 shards"):
        ShardedBuild(tmp_path / "s", 0, IndexSettings(), None, None)


def test_a_folder_that_is_something_else_is_left_alone(
    one_index: Index, hashing_encoder: Encoder, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    for folder in (one_index.path, tmp_path / "mine"):
        before = sorted(path.name for path in folder.iterdir())
        with pytest.raises(IndexFolderError, match="no sharded index"):
            ShardedIndex.build(documents(), folder, 2, encoder=hashing_encoder)
        assert sorted(path.name for path in folder.iterdir()) == before
    with pytest.raises(CorpusError, match="no text"):
        ShardedIndex.build([Document("a", "A", " ")], tmp_path / "s", 2, encoder=hashing_encoder)


def test_what_cannot_be_asked_says_why(sharded: dict[int, ShardedIndex]) -> None:
    with pytest.raises(PolicyError, match="choose one of lexical, dense, hybrid"):
        sharded[2].search("red", 5, "policy")
    with pytest.raises(QuestionsError, match="ask for one or more"):
        sharded[2].search("red", 0)


def test_passages_are_those_that_were_ranked_though_the_shard_has_changed_since(
    sharded: dict[int, ShardedIndex], hashing_encoder: Encoder, tmp_path: Path
) -> None:
    folder = tmp_path / "shard"
    shutil.copytree(sharded[1].path / "shard-0000", folder)
    server = ShardServer(folder)
    answer = server.ask(ShardQuestion("red", hashing_encoder.encode(["red"])[0], 5, None))
    rows = answer.lists["dense"].rows.tolist()
    before = server.passages(rows, answer.generation)
    with Index.open(folder, encoder=hashing_encoder) as index:
        for number in range(5):
            index.delete([before[0].document_id] if not number else [f"new-{number - 1}"])
            index.add([Document(f"new-{number}", "New", "a new red card")])
            server.statistics([])
            if number == 0:
                assert server.passages(rows, answer.generation) == before
    with pytest.raises(ShardError, match="ask again"):
        server.passages(rows, answer.generation)
    server.close()
