"""Documents come and go in an open index: seen at once, kept, refused with a reason, and folded in."""

from __future__ import annotations

import dataclasses
import os
import resource
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trailhound import Document, Index, IndexSettings
from trailhound.errors import (
    CorpusError,
    EncoderError,
    IndexBusyError,
    IndexFolderError,
    StorageError,
    UpdateError,
)
from trailhound.index import _writing as writing
from trailhound.retrievers._folder import commit, locked
from trailhound.retrievers.protocols import Encoder, Progress
from trailhound.retrievers.records import Query, Vectors

TOWNS = [
    Document("t1", "Oldport", "Oldport is a harbour town. It was founded by Ada Marl in 1402."),
    Document("t2", "Ada Marl", "Ada Marl was a shipwright. She lived with the baker Tom Reed."),
    Document("t3", "Tom Reed", "Tom Reed baked bread. He was born in Oldport."),
]
TOWN_PASSAGES = [(f"{town.id}#0", town.text) for town in TOWNS]
ISLAND = Document("i", "Gull Island", "Gull Island lies off Oldport. Zebras graze there.", metadata={"page": 3})


@pytest.fixture
def index(tmp_path: Path, hashing_encoder: Encoder) -> Index:
    return Index.build(TOWNS, tmp_path / "x.index", encoder=hashing_encoder)


def again(index: Index, encoder: Encoder) -> Index:
    return Index.open(index.path, encoder=encoder)


def found(index: Index, text: str) -> dict[str, list[str]]:
    query = index.query(text)
    hits = {name: part.search(query, 3).rows.tolist() for name, part in index.sub_indexes.items()}
    return {name: [passage.document_id for passage in index.store.passages(rows)] for name, rows in hits.items()}


def contents(index: Index) -> list[tuple[str, str]]:
    return [(passage.id, passage.text) for passage in index.store]


class TestSeenAtOnce:
    def test_an_added_document_is_found_by_every_sub_index(self, index: Index) -> None:
        assert not index.changed
        report = index.add([ISLAND])
        assert index.changed
        assert (report.added, report.replaced, report.deleted, report.passages) == (1, 0, 0, 1)
        assert (report.changed, report.base) == (1, 3)
        assert 0 < report.milliseconds < 60_000
        hits = found(index, "Do zebras graze on Gull Island?")
        assert {name: some[0] for name, some in hits.items()} == {"lexical": "i", "dense": "i", "entity": "i"}
        assert index.store.document("i") == ISLAND
        assert (len(index), index.store.documents) == (4, 4)

    def test_mentions_run_from_and_to_it(self, index: Index) -> None:
        index.add([ISLAND])
        index.add([Document("g", "Tom Thumb", "He sailed to Gull Island."), Document("b", "Bread", "x")])
        row = index.store.row_of("i#0")
        assert index.graph.neighbours(row, "mentions").rows.tolist() == [0]
        assert index.graph.neighbours(0, "mentioned_by").rows.tolist() == [row, 2]  # by place
        assert index.graph.neighbours(row, "mentioned_by").rows.tolist() == [index.store.row_of("g#0")]
        index.add([Document("m", "shipwright Ada", "x"), Document("h", "Baker Tom", "y")])
        index.add([Document("r", "Marl", "x")])
        assert index.graph.neighbours(1, "mentioned_by").rows.tolist() == [0]  # the longer name still wins

    def test_a_title_in_older_passages_is_linked(self, index: Index) -> None:
        index.add([Document("b", "the baker Tom Reed", "A film.")])
        row = index.store.row_of("b#0")
        links = index.graph.neighbours(1, "mentions")
        assert links.rows.tolist() == [row]  # longer than "Tom Reed", which it takes the place of
        assert index.store.passage(1).text[links.starts[0] : links.ends[0]] == "the baker Tom Reed"
        assert index.graph.neighbours(2, "mentioned_by").rows.tolist() == []
        index.delete(["b"])
        assert index.graph.neighbours(1, "mentions").rows.tolist() == [2]

    def test_a_deleted_document_is_nowhere(self, index: Index) -> None:
        report = index.delete(["t2"])
        assert (report.added, report.deleted, report.changed) == (0, 1, 1)
        assert all("t2" not in hits for hits in found(index, "the shipwright Ada Marl lived").values())
        assert index.graph.neighbours(0, "mentions").rows.tolist() == []
        assert index.graph.neighbours(1, "mentions").rows.tolist() == []
        assert [passage.document_id for passage in index.store] == ["t1", "t3"]
        assert (len(index), index.store.documents, index.store.rows().tolist()) == (2, 2, [0, 2])
        assert index.store.document_ids() == ["t1", "t3"]
        for ask in (index.store.document, index.store.rows_of, index.store.row_of):
            with pytest.raises(KeyError):
                ask("t2" if ask != index.store.row_of else "t2#0")
        with pytest.raises(IndexError, match="row 1 "):
            index.store.passage(1)
        with pytest.raises(IndexError):
            index.terms.terms(1)

    def test_a_replaced_document_is_the_new_one(self, index: Index) -> None:
        new = Document("t2", "Ada Marl", "Ada Marl was a pilot of zeppelins.")
        report = index.add([new, ISLAND], replace=True)
        assert (report.added, report.replaced, report.passages, report.changed) == (1, 1, 2, 3)
        assert found(index, "pilot of zeppelins")["lexical"] == ["t2"]
        assert found(index, "the shipwright")["lexical"] == []
        assert index.store.document("t2") == new
        assert index.graph.neighbours(0, "mentions").rows.tolist() == [index.store.row_of("t2#0")]
        assert found(index, "Who was Ada Marl?")["entity"] == ["t2"]
        index.add([TOWNS[1]], replace=True)
        assert index.store.document("t2") == TOWNS[1]
        assert len(index) == 4

    def test_it_may_come_back_after_it_was_deleted(self, index: Index) -> None:
        index.delete(["t2"])
        index.add([TOWNS[1]])
        index.delete(["t2", "t3"])
        index.add([TOWNS[1]])
        assert index.store.document_ids() == ["t1", "t2"]
        assert [passage.document_id for passage in index.store] == ["t1", "t2"]
        assert found(index, "Ada Marl the shipwright")["entity"] == ["t2"]

    def test_nothing_is_a_change_too(self, index: Index) -> None:
        assert index.delete([]).changed == 0
        assert index.add([Document("e", "Empty", "")]).passages == 0
        assert index.store.document("e").text == ""


class TestKept:
    def test_an_index_opened_again_is_the_same(self, index: Index, hashing_encoder: Encoder) -> None:
        index.add([ISLAND])
        index.add([Document("t2", "Ada Marl", "She flew to Gull Island.")], replace=True)
        index.delete(["t3"])
        other = again(index, hashing_encoder)
        assert contents(other) == contents(index)
        assert other.store.columns() == index.store.columns()
        for text in ("Who flew to Gull Island?", "zebras", "Oldport Tom Reed"):
            assert found(other, text) == found(index, text)
        for row in range(len(index.graph)):
            for group in ("mentions", "mentioned_by", "shares", "adjacent"):
                one, two = index.graph.neighbours(row, group), other.graph.neighbours(row, group)
                assert one.rows.tolist() == two.rows.tolist()
        rows = index.store.rows()
        np.testing.assert_array_equal(index.dense.reconstruct(rows), other.dense.reconstruct(rows))

    def test_older_segments_are_not_touched(self, index: Index) -> None:
        files = {path: path.read_bytes() for path in (index.path / "segments").rglob("*") if path.is_file()}
        index.add([ISLAND])
        index.delete(["t1"])
        assert {path: path.read_bytes() for path in files} == files

    def test_another_open_index_sees_it_after_a_refresh(self, index: Index, hashing_encoder: Encoder) -> None:
        other = again(index, hashing_encoder)
        assert not other.refresh()
        index.add([ISLAND])
        index.delete(["t1"])
        assert contents(other) == [(f"{town.id}#0", town.text) for town in TOWNS]
        assert other.refresh()
        assert contents(other) == contents(index)
        assert not other.refresh()
        other.add([TOWNS[0]])  # a writer is up to date, refreshed or not
        index.delete(["t2"])
        assert [passage.document_id for passage in index.store] == ["t3", "i", "t1"]
        assert other.refresh()
        assert contents(other) == contents(index)

    def test_a_build_replaces_base_and_changes(self, index: Index, hashing_encoder: Encoder) -> None:
        index.add([ISLAND])
        Index.build(TOWNS[:2], index.path, encoder=hashing_encoder)
        assert index.refresh()
        assert [passage.document_id for passage in index.store] == ["t1", "t2"]
        assert not index.changed

    def test_an_index_whose_folder_is_gone_goes_on(self, index: Index, tmp_path: Path) -> None:
        index.path.rename(tmp_path / "elsewhere")
        shutil.rmtree(tmp_path / "elsewhere")
        assert not index.refresh()
        assert {name: some[0] for name, some in found(index, "Who was Ada Marl?").items()} == dict.fromkeys(
            ("lexical", "dense", "entity"), "t2"
        )
        with pytest.raises(IndexFolderError):
            index.add([ISLAND])
        index.path.mkdir()
        with pytest.raises(IndexFolderError, match="holds no index"):
            index.add([ISLAND])

    def test_a_change_that_was_interrupted_when_it_was_written_is_there(
        self, index: Index, hashing_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def break_off(*arguments: Any) -> None:
            commit(*arguments)
            raise KeyboardInterrupt

        monkeypatch.setattr(writing, "commit", break_off)
        with pytest.raises(KeyboardInterrupt):
            index.add([ISLAND])
        monkeypatch.undo()
        assert len(index) == 3
        assert index.refresh()
        assert not index.refresh()
        assert contents(index) == contents(again(index, hashing_encoder))
        assert index.store.document_ids() == ["t1", "t2", "t3", "i"]

    def test_small_additions_are_merged_and_nothing_else_changes(self, index: Index, hashing_encoder: Encoder) -> None:
        for number in range(9):
            index.add([Document(f"n{number}", f"Note {number}", f"gate {number} of Oldport, by Ada Marl")])
            if number in (3, 5):
                index.delete([f"n{number - 1}"])
        sizes = [entry["passages"] for entry in index.manifest["segments"]]
        assert sizes[0] == 3
        assert len(sizes) < 9
        assert sum(sizes) < 12  # deleted passages went with a merge
        assert len(index) == 10
        assert contents(index) == contents(again(index, hashing_encoder))
        names = {index.store.passage(row).title for row in index.graph.neighbours(0, "mentioned_by").rows.tolist()}
        assert names == {"Tom Reed", *(f"Note {number}" for number in (0, 1, 3, 5, 6, 7, 8))}


class TestRefused:
    def test_an_id_that_is_there(self, index: Index) -> None:
        with pytest.raises(UpdateError, match=r"'t2' is in the index already.*--replace"):
            index.add([ISLAND, TOWNS[1]])
        assert not index.changed

    def test_an_id_given_twice(self, index: Index) -> None:
        with pytest.raises(UpdateError, match="'i' is given twice"):
            index.add([ISLAND, ISLAND], replace=True)

    def test_an_unknown_id_on_deletion(self, index: Index) -> None:
        with pytest.raises(UpdateError, match=r"no document 'nobody' in the index.*nothing was changed"):
            index.delete(["t1", "nobody"])
        assert len(index) == 3

    def test_an_id_that_a_passage_has(self, index: Index) -> None:
        with pytest.raises(UpdateError, match="passage 't2#0' of document 't2#0' is in the index already"):
            index.add([Document("t2#0", "", "text", atomic=True)])

    @pytest.mark.parametrize(
        "document",
        [Document("bad \ud800", "", "x"), Document("x", "", "y", metadata={"a": {1, 2}})],
        ids=["id", "meta"],
    )
    def test_what_cannot_be_stored(self, index: Index, document: Document) -> None:
        with pytest.raises(CorpusError, match="cannot be stored"):
            index.add([ISLAND, document])
        assert not index.changed

    def test_another_encoder(self, index: Index, hashing_encoder: Encoder) -> None:
        Index.build(TOWNS, index.path, encoder=type(hashing_encoder)(32))  # type: ignore[call-arg]
        with pytest.raises(EncoderError, match="'hashing-32' instead of 'hashing-64': open it again"):
            index.add([ISLAND])
        assert not index.refresh()
        assert found(index, "shipwright")["lexical"] == ["t2"]

    def test_a_vector_that_is_not_finite_leaves_everything_as_it_was(self, tmp_path: Path) -> None:
        class Broken:
            name, dimension = "broken", 2
            value = 1.0

            def encode(self, texts: list[str], progress: object = None) -> np.ndarray:
                return np.full((len(texts), 2), self.value, np.float32)

        encoder = Broken()
        index = Index.build(TOWNS, tmp_path / "y.index", encoder=encoder)
        encoder.value = float("nan")
        with pytest.raises(EncoderError, match="not finite"):
            index.add([ISLAND])
        encoder.value = 1.0
        assert not index.changed
        index.add([ISLAND])
        assert index.store.row_of("i#0") == 3

    def test_a_disk_that_takes_no_more_leaves_everything_as_it_was(
        self, index: Index, hashing_encoder: Encoder
    ) -> None:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        for change in (
            lambda: index.add([ISLAND]),
            lambda: index.add([dataclasses.replace(TOWNS[0], title="Changed")], replace=True),
            lambda: index.delete(["t1"]),
            lambda: Index.build(TOWNS, index.path, encoder=hashing_encoder),
        ):
            resource.setrlimit(resource.RLIMIT_FSIZE, (600, before[1]))
            try:
                with pytest.raises(StorageError, match=r"cannot be written: .* \(disk /"):
                    change()
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
            assert contents(again(index, hashing_encoder)) == contents(index) == TOWN_PASSAGES
        index.add([ISLAND])
        assert found(index, "zebras")["lexical"] == ["i"]
        assert index.store.row_of("i#0") == 3

    def test_who_waits_too_long_is_told_for_whom(self, index: Index, hashing_encoder: Encoder) -> None:
        waiting: list[str] = []
        impatient = Index.open(index.path, encoder=hashing_encoder, lock_timeout=0.05)
        with locked(index.path):
            for change in (lambda: impatient.add([ISLAND]), lambda: impatient.delete(["t1"]), impatient.compact):
                with pytest.raises(IndexBusyError, match=f"process {os.getpid()} has been changing {index.path}"):
                    change()
            with pytest.raises(IndexBusyError, match="--lock-timeout"):
                Index.build(TOWNS, index.path, encoder=hashing_encoder, warn=waiting.append, lock_timeout=0.05)
        assert waiting == [f"waiting for process {os.getpid()}, which is changing {index.path}"]
        impatient.add([ISLAND])


class TestCompaction:
    def test_the_result_is_that_of_a_rebuild(
        self, index: Index, tmp_path: Path, hashing_encoder: Encoder, files_of: Callable[[Index], dict[str, Any]]
    ) -> None:
        long = Document("l", "Long", "This is a sentence of eight words, more. " * 40, "l.txt", metadata={"a": [1]})
        index.add([ISLAND, long])
        index.add([Document("t2", "Ada Marl", "She flew to Gull Island.", atomic=True)], replace=True)
        index.delete(["t3"])
        before = contents(index)
        encoded = hashing_encoder.encoded  # type: ignore[attr-defined]
        assert index.compact()
        assert hashing_encoder.encoded == encoded, "vectors are taken over"  # type: ignore[attr-defined]
        assert contents(index) == before
        assert not index.changed
        documents = [index.store.document(identifier) for identifier in index.store.document_ids()]
        assert documents == [TOWNS[0], ISLAND, long, Document("t2", "Ada Marl", "She flew to Gull Island.", "", True)]
        anew = Index.build(documents, tmp_path / "anew", encoder=hashing_encoder)
        assert files_of(index) == files_of(anew)
        for text in ("zebras", "sentence of words", "Ada Marl flew"):
            assert (
                index.lexical.search(Query(text), 9).scores.tolist()
                == anew.lexical.search(Query(text), 9).scores.tolist()
            )
        assert index.manifest["generation"] == 5

    def test_without_changes_there_is_nothing_to_do(self, index: Index) -> None:
        assert not index.compact()
        assert index.manifest["generation"] == 1

    def test_changes_go_on_after_it(self, index: Index, hashing_encoder: Encoder) -> None:
        other = again(index, hashing_encoder)
        index.add([ISLAND])
        assert index.compact()
        index.delete(["i"])
        other.add([Document("n", "New", "new")])
        assert other.refresh() is False
        assert index.refresh()
        assert contents(index) == contents(other)
        assert index.store.document_ids() == ["t1", "t2", "t3", "n"]

    def test_an_index_without_documents_cannot_be_built(self, index: Index) -> None:
        index.delete(["t1", "t2", "t3"])
        assert found(index, "Oldport") == {"lexical": [], "dense": [], "entity": []}
        with pytest.raises(CorpusError, match=r"every document .* was deleted"):
            index.compact()
        index.add([ISLAND])
        assert index.compact()

    def test_it_is_advised_when_it_would_pay(self, tmp_path: Path, hashing_encoder: Encoder) -> None:
        documents = [Document(str(number), f"Town {number}", f"gate {number}") for number in range(30)]
        index = Index.build(documents[:20], tmp_path / "x", encoder=hashing_encoder)
        assert index.add(documents[20:21]).advice is None
        advice = index.add(documents[21:22]).advice
        assert advice is not None
        assert "2 passages have come or gone since the 20 of the base" in advice
        assert "trailhound compact" in advice


class TestSearchesBesideChanges:
    def test_a_snapshot_stays_as_it_is(self, index: Index) -> None:
        with index.snapshot():
            before = found(index, "zebras of Oldport")
            index.add([ISLAND])
            index.delete(["t1"])
            assert found(index, "zebras of Oldport") == before
            assert index.store.passage(0).document_id == "t1"
            assert index.graph.neighbours(0, "mentioned_by").rows.tolist() == [2]
            assert len(index.graph) == 3
        assert found(index, "zebras of Oldport")["lexical"] == ["i", "t3"]

    def test_threads_search_while_another_changes(self, index: Index) -> None:
        index.add([Document("twin-0", "Twin", "zebra zero")])
        failures: list[BaseException] = []
        done = threading.Event()

        def search() -> None:
            try:
                while not done.is_set():
                    with index.snapshot():
                        rows = index.lexical.search(Query("zebra"), 50).rows.tolist()
                        passages = index.store.passages(rows)
                        assert len({passage.document_id for passage in passages}) == len(passages) == 1
                        assert index.entity.search(Query("the Twin"), 5).rows.tolist() == rows
                        for row in rows:
                            index.graph.neighbours(row, "shares")
                            index.terms.terms(row)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=search) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(25):  # each is gone in the same step in which the next comes
            index.add([Document("twin-0", "Twin", f"zebra {number} Oldport")], replace=True)
        done.set()
        for thread in threads:
            thread.join()
        assert failures == []

    def test_threads_that_add_take_turns(self, index: Index, hashing_encoder: Encoder) -> None:
        other = again(index, hashing_encoder)

        def add(some: Index, name: str) -> None:
            for number in range(5):
                some.add([Document(f"{name}{number}", f"{name} {number}", "text")])

        threads = [
            threading.Thread(target=add, args=(some, name))
            for some, name in zip((index, index, other), "abc", strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        index.refresh()
        other.refresh()
        assert len(index) == 18
        assert contents(index) == contents(other)


def test_a_refresh_does_not_wait_for_a_writer(index: Index, hashing_encoder: Encoder) -> None:
    """While this process changes the index, what another process has acknowledged before is seen."""
    other = again(index, hashing_encoder)
    encode, entered, go_on = hashing_encoder.encode, threading.Event(), threading.Event()

    class Slow:
        name, dimension = hashing_encoder.name, hashing_encoder.dimension

        def encode(self, texts: list[str], progress: Progress | None = None) -> Vectors:
            entered.set()
            assert go_on.wait(60)
            return encode(texts, progress)

    slow = Index.open(index.path, encoder=Slow())
    index.add([ISLAND])
    writer = threading.Thread(target=slow.add, args=([Document("n", "New", "new")],))
    writer.start()
    assert entered.wait(60)
    assert slow.store.document_ids() == [*other.store.document_ids(), "i"]
    assert other.refresh()
    go_on.set()
    writer.join()
    assert slow.store.document_ids() == ["t1", "t2", "t3", "i", "n"]


def test_an_index_of_a_relative_path_stays_where_it_is(
    tmp_path: Path, hashing_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here", "there"):
        Index.build(TOWNS, tmp_path / name / "x.index", encoder=hashing_encoder)
    monkeypatch.chdir(tmp_path / "here")
    index = Index.open("x.index", encoder=hashing_encoder)
    monkeypatch.chdir(tmp_path / "there")
    index.add([ISLAND])
    assert len(Index.open("x.index", encoder=hashing_encoder)) == 3
    assert len(Index.open(tmp_path / "here" / "x.index", encoder=hashing_encoder)) == 4


def test_chunks_follow_the_settings_of_the_index(tmp_path: Path, hashing_encoder: Encoder) -> None:
    index = Index.build(TOWNS, tmp_path / "x", settings=IndexSettings(chunk_tokens=7), encoder=hashing_encoder)
    rows = len(index)
    index.add([ISLAND])
    assert [passage.text for passage in index.store.passages(index.store.rows_of("i"))] == [
        "Gull Island lies off Oldport.",
        "Zebras graze there.",
    ]
    assert index.store.rows_of("i") == [rows, rows + 1]
