"""An index holds what the corpus says, notices damage, and is replaced whole or not at all."""

from __future__ import annotations

import copy
import pickle
import random
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trailhound import Document, Index, IndexSettings
from trailhound.errors import CorpusError, DamagedIndexError, EncoderError, IndexFolderError
from trailhound.retrievers._folder import LOCK, MANIFEST, SEGMENT, SEGMENTS, commit, entries, read_manifest, seal
from trailhound.retrievers.protocols import Encoder, Progress
from trailhound.retrievers.records import Query, Vectors
from trailhound.retrievers.vectors._dense import COMPRESSED, KINDS, DenseKind

TOWNS = [
    Document("t1", "Oldport", "Oldport is a harbour town. It was founded by Ada Marl in 1402."),
    Document("t2", "Ada Marl", "Ada Marl was a shipwright. She lived with the baker Tom Reed."),
    Document("t3", "Tom Reed", "Tom Reed baked bread. He was born in Oldport."),
]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def numbered(count: int, first: int = 0) -> list[Document]:
    return [Document(str(n), f"Town {n}", f"town number {n} has {n} gates", atomic=True) for n in range(first, count)]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "x.index"


@pytest.fixture
def encoder(hashing_encoder: Encoder) -> Any:
    """A stand-in encoder of the test's own, that counts what it encodes."""
    made = copy.copy(hashing_encoder)
    made.encoded = 0  # type: ignore[attr-defined]
    return made


class TestWhatItHolds:
    def test_every_part_speaks_of_the_same_passages(self, place: Path, encoder: Encoder) -> None:
        index = Index.build(TOWNS, place, encoder=encoder)
        assert len(index) == len(index.graph) == len(index.terms) == len(index.dense) == len(index.lexical) == 3
        assert [passage.document_id for passage in index.store] == ["t1", "t2", "t3"]
        for passage in index.store:
            row, query = index.store.row_of(passage.id), index.query(f"{passage.title}. {passage.text}")
            assert {sub: index.sub_indexes[sub].search(query, 1).rows[0] for sub in ("lexical", "dense")} == {
                "lexical": row,
                "dense": row,
            }
        assert index.entity.search(Query("Where was Tom Reed born?"), 3).rows.tolist() == [2]
        assert index.graph.neighbours(0, "mentions").rows.tolist() == [1]
        assert index.graph.neighbours(0, "mentioned_by").rows.tolist() == [2]

    def test_the_manifest_describes_it(self, place: Path, encoder: Encoder) -> None:
        settings = IndexSettings(chunk_tokens=7)
        index = Index.build(TOWNS, place, settings=settings, encoder=encoder)
        manifest = index.manifest
        assert (manifest["generation"], manifest["documents"], manifest["passages"]) == (1, 3, len(index))
        assert (manifest["encoder"], manifest["dimension"]) == (encoder.name, encoder.dimension)
        assert Index.open(place, encoder=encoder).settings == settings
        assert len(index) > 3

    def test_opening_again_gives_the_same(self, small_index: Index, hashing_encoder: Encoder) -> None:
        again = Index.open(small_index.path, encoder=hashing_encoder)
        assert list(again.store) == list(small_index.store)
        np.testing.assert_array_equal(again.dense.vectors, small_index.dense.vectors)
        query = small_index.query("Which town has a harbour?")
        for name, sub_index in small_index.sub_indexes.items():
            assert again.sub_indexes[name].search(query, 9).rows.tolist() == sub_index.search(query, 9).rows.tolist()

    @pytest.mark.parametrize("dense", KINDS)
    def test_every_kind_of_dense_index(self, place: Path, encoder: Encoder, dense: DenseKind) -> None:
        Index.build(numbered(60), place, settings=IndexSettings(dense=dense), encoder=encoder)
        index = Index.open(place, encoder=encoder)
        assert 17 in index.dense.search(index.query("Town 17. town number 17 has 17 gates"), 5).rows

    def test_a_single_path_is_a_corpus(self, place: Path, corpus_folder: Path, encoder: Encoder) -> None:
        assert len(Index.build(str(corpus_folder), place, encoder=encoder)) == 150
        assert len(Index.build(corpus_folder, place, encoder=encoder)) == 150

    def test_several_paths_are_one_corpus(
        self, place: Path, corpus_folder: Path, tmp_path: Path, encoder: Encoder
    ) -> None:
        (tmp_path / "more.txt").write_text("One text more.")
        assert len(Index.build([corpus_folder, tmp_path / "more.txt"], place, encoder=encoder)) == 151

    def test_progress_and_warnings_are_heard(self, place: Path, encoder: Encoder, tmp_path: Path) -> None:
        folder = tmp_path / "documents"
        folder.mkdir()
        for number in range(1001):
            (folder / f"{number}.txt").write_text(f"text {number}")
        (folder / "bad.txt").write_bytes(b"half\0 of it")
        stages: list[str] = []
        warnings: list[str] = []
        Index.build(
            [folder],
            place,
            encoder=encoder,
            warn=warnings.append,
            progress=lambda stage, done, total: stages.append(stage),
        )
        assert stages[0] == "reading files"
        assert "encoding passages" in stages
        assert len(warnings) == 1
        assert "bad.txt" in warnings[0]


class TestMistakes:
    @pytest.mark.parametrize(
        ("corpus", "message"),
        [
            ([], "no corpus given"),
            ([Document("a", "", " \n ")], "holds no text"),
            ([TOWNS[0], TOWNS[0]], "ids must be unique"),
            ([TOWNS[0], "folder"], "not both"),
            (["folder", TOWNS[0]], "not both"),
            ([Document("a", "", "half \ud800")], "cannot be stored"),
            (["/nowhere/at/all"], "nowhere"),
        ],
    )
    def test_a_corpus_that_cannot_be_used(self, place: Path, encoder: Encoder, corpus: Any, message: str) -> None:
        with pytest.raises(CorpusError, match=message):
            Index.build(corpus, place, encoder=encoder)
        assert names(place.parent) == []

    @pytest.mark.parametrize(
        ("settings", "message"), [({"dense": "flat"}, "'flat': choose one of exact"), ({"chunk_tokens": 0}, "not 0")]
    )
    def test_settings_that_cannot_be_built(self, settings: dict[str, Any], message: str) -> None:
        with pytest.raises(IndexFolderError, match=message):
            IndexSettings(**settings)

    def test_another_encoder_is_refused(self, small_index: Index, encoder: Any) -> None:
        encoder.name = "another"
        with pytest.raises(EncoderError, match="was built with the encoder 'hashing-64', not 'another'"):
            Index.open(small_index.path, encoder=encoder)

    def test_an_encoder_that_settings_do_not_name_must_be_given_again(self, small_index: Index) -> None:
        index = Index.open(small_index.path)
        with pytest.raises(EncoderError, match="not 'minilm-l6-v2-int8'"):
            index.query("Which town has a harbour?")

    def test_vectors_that_are_not_finite_leave_no_index(self, place: Path, encoder: Any) -> None:
        class Broken:
            name, dimension = "broken", 4

            def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
                return np.full((len(texts), 4), np.nan, np.float32)

        with pytest.raises(EncoderError, match="not finite"):
            Index.build(TOWNS, place, encoder=Broken())
        assert names(place.parent) == []

    def test_a_foreign_folder_is_refused_before_any_work(self, place: Path, encoder: Any) -> None:
        place.mkdir()
        (place / "manifest.json").write_text('{"name": "a browser extension"}')
        with pytest.raises(IndexFolderError, match="is not an index"):
            Index.build(TOWNS, place, encoder=encoder)
        assert encoder.encoded == 0
        assert names(place) == ["manifest.json"]


def resealed(place: Path) -> None:
    """Let the manifest name a segment as it is now, as if it had been written so."""
    manifest = read_manifest(place)
    (entry,) = entries(manifest)
    (place / SEGMENTS / entry.name / SEGMENT).unlink()
    commit(place, manifest, [replace(entry, sha256=seal(place / SEGMENTS / entry.name, {"dense": "exact"}))])


def test_parts_of_different_lengths_are_damage(place: Path, tmp_path: Path, encoder: Encoder) -> None:
    Index.build(TOWNS, place, encoder=encoder)
    other = Index.build(TOWNS[:2], tmp_path / "other", encoder=encoder)
    for name in ("terms.safetensors", "dense/vectors.npy", "graph/edges.safetensors"):
        path = place / SEGMENTS / "s000001" / name
        whole = path.read_bytes()
        shutil.copy(other.path / SEGMENTS / "s000001" / name, path)
        with pytest.raises(DamagedIndexError, match=path.name):
            Index.open(place)
        resealed(place)
        with pytest.raises(DamagedIndexError, match="differ in length"):
            Index.open(place)
        path.write_bytes(whole)
        resealed(place)
    Index.open(place)


@pytest.mark.parametrize("dense", ["exact", "opq"])
def test_one_flipped_byte_in_any_file_is_noticed(place: Path, encoder: Encoder, dense: DenseKind) -> None:
    index = Index.build(numbered(60), place, settings=IndexSettings(dense=dense), encoder=encoder)
    index.add(numbered(63, 60))
    index.delete(["3"])
    generator = random.Random(0)
    files = [path for path in place.rglob("*") if path.is_file() and path.name != LOCK]
    assert len(files) > 25
    for path in files:
        whole = path.read_bytes()
        damaged = bytearray(whole)
        damaged[whole.index(b"passages") if path.name == MANIFEST else generator.randrange(len(whole))] ^= 0x40
        path.write_bytes(damaged)
        with pytest.raises(DamagedIndexError, match=path.name):
            Index.open(place)
        path.write_bytes(whole)
    Index.open(place)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dense": "flat"}, "flat"),
        ({"dense": 3}, "setting dense is 3"),
        ({"chunk_tokens": "120"}, "setting chunk_tokens is '120'"),
        ({"mask": "email"}, "setting mask"),
        ({"colour": "red"}, "a setting 'colour'"),
        ({"late_interaction": 2}, "setting late_interaction is 2"),
        ({"encoder": None}, "setting encoder is None"),
    ],
)
def test_settings_that_cannot_be_are_damage(
    place: Path, encoder: Encoder, change: dict[str, Any], message: str
) -> None:
    Index.build(TOWNS, place, encoder=encoder)
    manifest = read_manifest(place)
    commit(place, {**manifest, "settings": {**manifest["settings"], **change}}, entries(manifest))
    with pytest.raises(DamagedIndexError, match=message):
        Index.open(place)
    del manifest["settings"]["dimension"]
    commit(place, manifest, entries(manifest))
    with pytest.raises(DamagedIndexError, match="setting dimension is None"):
        Index.open(place)


def test_an_index_has_no_word_pieces_where_the_encoder_gives_none(place: Path, encoder: Encoder) -> None:
    index = Index.build(numbered(9), place, encoder=encoder)
    assert index.settings.late_interaction
    assert index.pieces is None
    assert index.query("town").pieces is None
    index.add([Document("new", "", "another town", atomic=True)])
    assert index.compact()
    assert index.pieces is None


@pytest.mark.parametrize("dense", ["exact", "pq"])
def test_vectors_can_be_made_shorter(place: Path, encoder: Encoder, dense: DenseKind) -> None:
    settings = IndexSettings(dense=dense, dimension=16)
    built = Index.build(numbered(60), place, settings=settings, encoder=encoder)
    index = Index.open(place, encoder=encoder)
    assert (index.dense.dimension, index.encoder.dimension, index.manifest["dimension"]) == (16, 16, 16)
    assert index.encoder_name == built.encoder_name != encoder.name
    assert index.dense.search(index.query("Town 7. town number 7 has 7 gates"), 1).rows[0] == 7
    again = Index.build(numbered(60), place, settings=settings, encoder=encoder)
    assert again.encoder_name == index.encoder_name
    with pytest.raises(EncoderError, match="64 numbers and cannot be made shorter to 64"):
        Index.build(numbered(60), place, settings=IndexSettings(dimension=64), encoder=encoder)


class TestRebuilding:
    def test_it_replaces_the_index_and_counts_generations(self, place: Path, encoder: Encoder) -> None:
        for generation in (1, 2, 3):
            index = Index.build(numbered(10 * generation), place, encoder=encoder)
            assert index.manifest["generation"] == generation
            assert len(Index.open(place)) == 10 * generation
            assert names(place.parent) == ["x.index"]

    @pytest.mark.parametrize("dense", KINDS)
    def test_who_has_the_old_one_open_keeps_it(self, place: Path, encoder: Encoder, dense: DenseKind) -> None:
        settings = IndexSettings(dense=dense)
        old = Index.build(numbered(60), place, settings=settings, encoder=encoder)
        Index.build(numbered(90, 30), place, settings=settings, encoder=encoder)
        query = old.query("Town 7. town number 7 has 7 gates")
        for name, text in (("lexical", query), ("dense", query), ("entity", query)):
            assert old.sub_indexes[name].search(text, 3).rows[0] == 7
        assert old.store.passage(7).title == "Town 7"
        assert old.store.document("7").text == "town number 7 has 7 gates"
        assert query.vector is not None
        near = old.dense.reconstruct(np.array([7]))[0] @ query.vector
        assert near == pytest.approx(1, abs=0.4 if dense in COMPRESSED else 1e-6)

    def test_only_new_passages_are_encoded(self, place: Path, encoder: Any) -> None:
        Index.build(numbered(50), place, encoder=encoder)
        assert encoder.encoded == 50
        changed = [*numbered(50, 6), Document("new", "", "something else"), Document("5", "Town 5", "burnt down")]
        index = Index.build(changed, place, encoder=encoder)
        assert encoder.encoded == 52
        fresh = Index.build(changed, place.parent / "fresh.index", encoder=encoder)
        np.testing.assert_array_equal(index.dense.vectors, fresh.dense.vectors)

    def test_a_damaged_index_can_be_built_again(self, place: Path, encoder: Any) -> None:
        Index.build(numbered(9), place, encoder=encoder)
        (place / "manifest.json").write_text("{")
        assert len(Index.build(numbered(9), place, encoder=encoder)) == 9
        assert encoder.encoded == 18

    def test_equal_corpora_and_settings_make_equal_indexes(
        self, tmp_path: Path, corpus_folder: Path, encoder: Encoder, files_of: Callable[[Index], dict[str, Any]]
    ) -> None:
        first, second = (
            Index.build([corpus_folder], tmp_path / name, settings=IndexSettings(dense="hnsw"), encoder=encoder)
            for name in ("first", "second")
        )

        assert files_of(first) == files_of(second)
        assert set(files_of(first)) == {
            "evidence.sqlite",
            "terms.safetensors",
            "graph/edges.safetensors",
            "dense/vectors.npy",
            "dense/keys.npy",
            "dense/faiss.index",
        }
        others = [{**index.manifest, "segments": None} for index in (first, second)]
        assert others[0] == others[1]

    def test_a_link_stays_and_its_target_is_replaced(self, tmp_path: Path, encoder: Encoder) -> None:
        Index.build(numbered(3), tmp_path / "real.index", encoder=encoder)
        (tmp_path / "current").symlink_to("real.index")
        index = Index.build(numbered(5), tmp_path / "current", encoder=encoder)
        assert (tmp_path / "current").is_symlink()
        assert len(index) == len(Index.open(tmp_path / "real.index")) == 5
        assert names(tmp_path) == ["current", "real.index"]

    @pytest.mark.parametrize("relative", ["x.index", "deep/er/x.index", "./x.index/"])
    def test_a_place_may_be_relative(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: Encoder, relative: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        for count in (3, 4):
            assert len(Index.build(numbered(count), relative, encoder=encoder)) == count


class TestSharing:
    def test_it_pickles_as_its_path(self, small_index: Index, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        index = Index.open(small_index.path, threads=1)
        content = pickle.dumps(index)
        assert len(content) < 1000
        monkeypatch.chdir(tmp_path)
        again = pickle.loads(content)
        assert list(again.store) == list(index.store)

    def test_a_copy_is_the_index_itself(self, small_index: Index) -> None:
        assert copy.deepcopy({"index": small_index})["index"] is small_index

    def test_threads_get_the_answers_of_one(self, small_index: Index) -> None:
        titles = [passage.title for passage in small_index.store.passages(range(0, 150, 10))]

        def answers() -> Iterator[list[int]]:
            for title in titles:
                query = small_index.query(f"Who knows {title}?")
                for sub_index in small_index.sub_indexes.values():
                    yield sub_index.search(query, 5).rows.tolist()

        alone = list(answers())
        together: list[list[list[int]]] = []
        threads = [threading.Thread(target=lambda: together.append(list(answers()))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert together == [alone] * 8


def test_the_built_in_encoder_is_loaded_when_first_used(place: Path) -> None:
    index = Index.build(TOWNS, place, threads=1)
    again = Index.open(place, threads=1)
    question = "Which seaport did the shipbuilder establish?"
    np.testing.assert_array_equal(index.query(question).vector, again.query(question).vector)
    assert again.dense.search(again.query(question), 1).rows.tolist() == [0]
    assert again.encoder is again.encoder


def test_a_knowledge_graph_is_an_index_that_opens_as_it_was_built(tmp_path: Path) -> None:
    (tmp_path / "graph.txt").write_text("oslo\tcapital_of\tnorway\nnorway\tborders\tsweden\n")
    built = Index.build(tmp_path, tmp_path / "i")
    opened = Index.open(tmp_path / "i")
    assert built.facts is not None
    assert opened.facts is not None
    assert opened.facts.entities == built.facts.entities == ("oslo", "norway", "sweden")
    assert opened.encoder.name == built.encoder_name
    assert np.array_equal(opened.query("oslo capital of").vector, built.query("oslo capital of").vector)
    assert opened.store.passage(0).text == "oslo capital of norway."
    assert len(opened.dense) == len(opened.graph) == 3
    again = Index.build([tmp_path / "graph.txt"], tmp_path / "again")
    assert again.encoder_name == built.encoder_name


def test_facts_of_another_graph_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "graph.txt").write_text("oslo\tcapital_of\tnorway\n")
    Index.build(tmp_path, tmp_path / "i")
    names = tmp_path / "i" / SEGMENTS / "s000001" / "facts" / "names.json"
    names.write_text(names.read_text().replace('"oslo"', '"oslo", "bergen"'))
    resealed(tmp_path / "i")
    with pytest.raises(DamagedIndexError):
        Index.open(tmp_path / "i")
