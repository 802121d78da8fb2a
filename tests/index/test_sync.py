"""An index is brought in step with its corpus: by content, without writing where nothing changed, never losing text."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from trailhound import Document, Index, IndexSettings
from trailhound.errors import CorpusError, TrailhoundError, UpdateError
from trailhound.index.updates import AT_ONCE
from trailhound.retrievers.protocols import Encoder, Progress
from trailhound.retrievers.records import Query, Vectors
from trailhound.retrievers.vectors import _vector_cache as vector_cache

TEXTS = {
    "a.txt": "The mill of Oldport grinds oats.",
    "b.md": "# Gate\n\nThe Silver Gate was built by Ada Brun.\n",
    "guide/ferry.txt": "The Tern ferry sails at nine from pier four.",
    "guide/deep/inn.txt": "The inn at Torl opens at six.",
    "café.txt": "The café Brimsey sells tea.",
}


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    write(tmp_path / "docs", TEXTS)
    return tmp_path / "docs"


@pytest.fixture
def index(docs: Path, tmp_path: Path, hashing_encoder: Encoder) -> Index:
    return Index.build(docs, tmp_path / "x.index", encoder=hashing_encoder)


def write(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def texts_of(index: Index) -> dict[str, str]:
    return {name: index.store.document(name).text for name in index.store.document_ids()}


def state_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Return inode and time of change of every file: what a write of any kind would alter."""
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in [folder, *folder.rglob("*")]}


def test_nothing_changed_nothing_is_done(docs: Path, index: Index) -> None:
    class Unused:
        name, dimension = index.encoder.name, index.encoder.dimension

        def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
            raise AssertionError("nothing is to be encoded")

    opened = Index.open(index.path, encoder=Unused())
    before = state_of(index.path.parent)
    for path in (docs, docs / "guide", docs / "a.txt", [docs / "guide" / "deep", docs / "b.md"]):
        report = opened.sync(path)
        assert (report.added, report.replaced, report.deleted, report.update) == ((), (), (), None)
    assert opened.sync(docs).unchanged == 5
    for path in docs.rglob("*.txt"):
        os.utime(path, (1, 1))  # the time of a file says nothing
    assert opened.sync(docs).unchanged == 5
    assert state_of(index.path) == {k: v for k, v in before.items() if Path(k).is_relative_to(index.path)}


def test_documents_come_change_move_and_go(docs: Path, index: Index) -> None:
    write(docs, {"new.md": "# New\n\nA new lighthouse.\n", "b.md": "# Gate\n\nThe gate burned down.\n"})
    (docs / "a.txt").unlink()
    (docs / "guide" / "ferry.txt").rename(docs / "guide" / "boats.txt")
    dry = index.sync(docs, dry_run=True)
    assert (dry.added, dry.replaced, dry.deleted) == (
        ("guide/boats.txt", "new.md"),
        ("b.md",),
        ("a.txt", "guide/ferry.txt"),
    )
    assert dry.dry_run
    assert dry.update is None
    assert texts_of(index).keys() == {unicodedata.normalize("NFC", name) for name in TEXTS}
    generation = index.manifest["generation"]
    done = index.sync(docs)
    assert dataclasses.replace(done, update=None, dry_run=True) == dry
    assert done.update is not None
    assert (done.update.added, done.update.replaced, done.update.deleted) == (2, 1, 2)
    assert texts_of(index)["b.md"] == "# Gate\n\nThe gate burned down.\n"
    assert "a.txt" not in texts_of(index)
    assert index.manifest["generation"] > generation
    assert index.sync(docs).update is None
    assert len(index.lexical.search(Query("ferry"), 9)) == 1


def test_random_changes_of_a_folder_are_followed(docs: Path, index: Index) -> None:
    """Whatever happened to the folder, the index holds what one built of it would hold."""
    generator = random.Random(5)
    names = [*TEXTS, "c.txt", "guide/d.md", "guide/deep/e.txt", "other/f.txt"]
    for _ in range(12):
        for name in generator.sample(names, 3):
            path = docs / name
            if path.exists() and generator.random() < 0.4:
                path.unlink()
            else:
                write(docs, {name: f"Note {generator.randint(1, 4)} about {Path(name).stem} and the harbour."})
        if generator.random() < 0.3:
            index.compact()
        part = docs / "guide"
        only = part if generator.random() < 0.3 and part.exists() else docs
        before = texts_of(index)
        index.sync(only)
        files = {
            unicodedata.normalize("NFC", path.relative_to(docs).as_posix()): path.read_text()
            for path in docs.rglob("*")
            if path.is_file()
        }
        if only == part:
            files = {name: text for name, text in files.items() if name.startswith("guide/")}
            files |= {name: text for name, text in before.items() if not name.startswith("guide/")}
        assert texts_of(index) == files
        assert index.manifest["documents"] == len(files)


def test_a_file_without_text_goes_and_is_told(docs: Path, index: Index) -> None:
    (docs / "a.txt").write_text(" \n")
    report = index.sync(docs)
    assert (report.deleted, report.emptied) == (("a.txt",), ("a.txt",))
    assert "a.txt" not in texts_of(index)
    (docs / "b.md").write_text("")
    assert index.change(docs / "b.md", replace=True).deleted == 1
    assert "b.md" not in texts_of(index)


def test_what_can_no_longer_be_read_stays(docs: Path, index: Index) -> None:
    (docs / "guide" / "ferry.txt").unlink()
    os.mkfifo(docs / "guide" / "ferry.txt")
    (docs / "a.txt").write_bytes(bytes(range(256)) * 8)
    (docs / "café.txt").unlink()
    (docs / "café.txt").symlink_to("nowhere")
    before = texts_of(index)
    report = index.sync(docs)
    assert report.deleted == report.replaced == ()
    assert set(report.unread) == {"guide/ferry.txt", "a.txt", "café.txt"}
    assert all(report.unread.values())
    assert texts_of(index) == before


def test_ids_are_paths_from_the_root_wherever_one_is(
    docs: Path, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(docs, {"guide/ferry.txt": "The Tern ferry sails at eleven."})
    monkeypatch.chdir(docs / "guide")
    assert index.change("ferry.txt", replace=True).replaced == 1
    write(docs, {"guide/ferry.txt": "The Tern ferry sails at twelve.", "guide/rope.txt": "A rope."})
    monkeypatch.chdir(tmp_path)
    relative = Index.open(os.path.relpath(index.path), encoder=index.encoder)
    report = relative.change("docs/guide", replace=True)
    assert (report.added, report.replaced, report.unchanged) == (1, 1, 1)
    (tmp_path / "link").symlink_to(docs)
    write(docs, {"guide/ferry.txt": "The Tern ferry sails at one."})
    assert relative.change("link/guide/ferry.txt", replace=True).replaced == 1
    assert relative.sync("link").update is None
    assert set(texts_of(relative)) == {*TEXTS, "guide/rope.txt"}
    (docs / "a.txt").unlink()
    shutil.rmtree(docs / "guide" / "deep")
    assert relative.sync("docs/guide/deep").deleted == ("guide/deep/inn.txt",)
    assert relative.sync("docs/a.txt").deleted == ("a.txt",)


def test_the_root_is_kept_by_every_change(docs: Path, index: Index) -> None:
    index.add([Document("extra", "Extra", "An extra note.")])
    index.delete(["extra"])
    index.compact()
    for number in range(10):
        index.change(docs / "a.txt", replace=True) if number % 3 else index.compact()
        write(docs, {"a.txt": f"The mill burned down {number} times."})
    assert index.manifest["corpus"] == [str(docs)]
    assert Index.open(index.path, encoder=index.encoder).manifest["corpus"] == [str(docs)]


def test_a_moved_folder_is_the_root_from_then_on(docs: Path, index: Index, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "papers"
    moved.parent.mkdir()
    docs.rename(moved)
    report = index.sync(moved)
    assert report.moved == (str(docs), str(moved))
    assert (report.unchanged, report.added, report.deleted) == (5, (), ())
    assert index.manifest["corpus"] == [str(moved)]
    assert index.sync(moved / "guide").update is None
    assert index.sync(moved).moved is None


@pytest.mark.parametrize("kind", ["empty", "other", "gone"])
def test_a_wrong_folder_deletes_nothing(docs: Path, index: Index, tmp_path: Path, kind: str) -> None:
    before = texts_of(index)
    shutil.rmtree(docs)
    if kind != "gone":
        docs.mkdir()
    if kind == "other":
        write(docs, {"x.txt": "Something else.", "y.txt": "And more of it."})
    with pytest.raises(TrailhoundError, match=r"5 would be deleted|no such file"):
        index.sync(docs)
    assert texts_of(index) == before
    write(tmp_path / "third", {"z.txt": "A third text.", "b.md": "Another file of this name."})
    with pytest.raises(TrailhoundError, match="would be deleted"):
        index.sync(tmp_path / "third")
    assert texts_of(index) == before
    assert index.manifest["corpus"] == [str(docs)]


@pytest.mark.parametrize("name", ["nowhere", "docs/nobody.txt", "docs/guide/nowhere"])
def test_a_path_that_never_was_is_an_error(index: Index, tmp_path: Path, name: str) -> None:
    with pytest.raises(CorpusError, match="no such file or folder"):
        index.sync(tmp_path / name)


class TestSeveralRoots:
    @pytest.fixture
    def roots(self, docs: Path, tmp_path: Path, index: Index) -> Path:
        write(tmp_path / "more", {"m.txt": "More of the mill.", "n.txt": "A note."})
        assert index.change(tmp_path / "more").added == 2
        assert index.manifest["corpus"] == [str(docs), str(tmp_path / "more")]
        return tmp_path / "more"

    def test_each_is_followed_alone(self, docs: Path, index: Index, roots: Path) -> None:
        shutil.rmtree(docs)
        (roots / "n.txt").unlink()
        assert index.sync(roots).deleted == ("n.txt",)
        assert texts_of(index).keys() == {*TEXTS, "m.txt"}
        write(docs, {"a.txt": TEXTS["a.txt"]})
        assert len(index.sync(docs).deleted) == 4
        assert texts_of(index).keys() == {"a.txt", "m.txt"}
        index.compact()
        assert index.sync([docs, roots]).update is None

    def test_the_folder_above_them_holds_both(self, index: Index, roots: Path) -> None:
        write(roots.parent, {"top.txt": "Above all."})
        (roots / "n.txt").unlink()
        report = index.sync(roots.parent)
        assert (report.added, report.deleted) == (("top.txt",), ("n.txt",))
        assert "guide/ferry.txt" in texts_of(index)
        assert len(index.manifest["corpus"]) == 3

    def test_one_id_in_two_roots_is_refused(self, index: Index, roots: Path) -> None:
        write(roots, {"a.txt": "Another a."})
        with pytest.raises(CorpusError, match=r"'a\.txt' names another document"):
            index.sync(roots)
        assert texts_of(index)["a.txt"] == TEXTS["a.txt"]

    def test_the_one_that_moved_is_known_by_what_it_holds(self, docs: Path, index: Index, roots: Path) -> None:
        moved = roots.parent / "moved"
        roots.rename(moved)
        assert index.sync(moved).moved == (str(roots), str(moved))
        assert index.sync([moved, docs]).update is None
        assert index.manifest["corpus"] == [str(docs), str(moved)]

    def test_a_folder_of_no_root_is_not_synced(self, index: Index, roots: Path, tmp_path: Path) -> None:
        write(tmp_path / "third", {"m.txt": "x"})
        with pytest.raises(UpdateError, match=r"none of the folders.*trailhound update INDEX"):
            index.sync(tmp_path / "third")


def test_an_index_inside_its_corpus_is_no_document(docs: Path, hashing_encoder: Encoder) -> None:
    index = Index.build(docs, docs / "x.index", encoder=hashing_encoder)
    assert texts_of(index).keys() == TEXTS.keys()
    Index.build(docs, docs / "guide" / "other.index", encoder=hashing_encoder)
    assert index.sync(docs).update is None
    write(docs, {"new.txt": "A new one."})
    assert index.sync(docs).added == ("new.txt",)


def test_documents_that_no_file_holds_stay(docs: Path, index: Index) -> None:
    index.add([Document("note", "Note", "Written by a program.")])
    (docs / "a.txt").unlink()
    assert index.sync(docs).deleted == ("a.txt",)
    assert "note" in texts_of(index)


def test_documents_are_synced_by_content(tmp_path: Path, hashing_encoder: Encoder) -> None:
    documents = [Document(str(n), f"Title {n}", f"Text number {n}.", metadata={"n": n}) for n in range(5)]
    index = Index.build(documents, tmp_path / "x.index", encoder=hashing_encoder)
    assert index.sync(documents).update is None
    changed = [dataclasses.replace(documents[1], metadata={"n": 7}), dataclasses.replace(documents[2], title="New")]
    report = index.sync([documents[0], *changed, documents[4], Document("9", "", "Nine.")])
    assert (report.added, report.replaced, report.deleted) == (("9",), ("1", "2"), ("3",))
    assert index.store.document("1").metadata == {"n": 7}
    with pytest.raises(UpdateError, match="would be deleted"):
        index.sync([Document("x", "", "x")])


def test_records_are_compared_by_what_they_say(tmp_path: Path, hashing_encoder: Encoder) -> None:
    corpus = tmp_path / "beir" / "corpus.jsonl"
    records = [{"_id": str(n), "title": f"T{n}", "text": f"record {n} of the mill"} for n in range(6)]

    def put(some: list[dict[str, str]], end: str = "") -> None:
        corpus.parent.mkdir(exist_ok=True)
        corpus.write_text("".join(json.dumps(record) + "\n" for record in some) + end)

    put(records)
    index = Index.build(corpus.parent, tmp_path / "x.index", encoder=hashing_encoder)
    assert index.sync(corpus.parent).update is None
    put([{**records[5], "text": "changed"}, *records[1:5], {"_id": "new", "title": "", "text": "a new one"}])
    report = index.sync(corpus.parent)
    assert (report.added, report.replaced, report.deleted) == (("new",), ("5",), ("0",))
    assert index.sync(corpus).update is None
    put(records[1:3], "{broken\n")  # who knows which record that was
    assert index.sync(corpus.parent).deleted == ()
    put(records[1:3])
    assert set(index.sync(corpus).deleted) == {"3", "4", "5", "new"}


class TestMasked:
    @pytest.fixture
    def masked(self, docs: Path, tmp_path: Path, hashing_encoder: Encoder) -> Index:
        write(docs, {"guide/who.txt": "Write to jana@novak.example.", "ivo@example.org.txt": "His own file."})
        settings = IndexSettings(mask=("email",))
        return Index.build(docs, tmp_path / "m.index", encoder=hashing_encoder, settings=settings)

    def test_it_is_followed_and_keeps_no_trace(self, docs: Path, masked: Index) -> None:
        assert masked.sync(docs).update is None
        assert all("file_hash" not in masked.store.document(name).metadata for name in masked.store.document_ids())
        write(docs, {"guide/who.txt": "Write to petr@novak.example, she moved."})
        (docs / "ivo@example.org.txt").unlink()
        report = masked.sync(docs)
        assert report.replaced == ("guide/who.txt",)
        assert report.deleted == (f"{'█' * 19}",) or "@" not in report.deleted[0]
        everything = b"".join(path.read_bytes() for path in masked.path.rglob("*") if path.is_file())
        for value in (b"petr@", b"jana@", b"ivo@", b"novak.example"):
            assert value not in everything
        assert masked.sync(docs).update is None

    def test_patterns_are_needed_again(self, docs: Path, tmp_path: Path, hashing_encoder: Encoder) -> None:
        write(docs, {"staff.txt": "EMP-123456 keeps the gate."})
        patterns = {"staff": r"EMP-\d{6}"}
        index = Index.build(docs, tmp_path / "p.index", encoder=hashing_encoder, mask_patterns=patterns)
        with pytest.raises(UpdateError, match="named staff, which it does not keep"):
            index.sync(docs)
        assert index.sync(docs, mask_patterns=patterns).update is None


class TestOneChange:
    def test_nothing_is_deleted_where_an_addition_fails(self, docs: Path, index: Index) -> None:
        before, manifest = texts_of(index), index.manifest
        folders = sorted((index.path / "segments").iterdir())
        for bad in (
            [Document("new", "", "x"), Document("new", "", "y")],
            [Document("new", "", "x"), Document("b.md", "", "there already")],
            [Document("new", "", "\ud800")],
        ):
            with pytest.raises(TrailhoundError):
                index.change(bad, delete=["a.txt"])
            assert texts_of(index) == before
            assert index.manifest == manifest
            assert sorted((index.path / "segments").iterdir()) == folders
        with pytest.raises(CorpusError):
            index.change([docs / "no.txt"], delete=["a.txt"])
        assert texts_of(index) == before

    def test_many_documents_come_all_or_none(self, index: Index, hashing_encoder: Encoder) -> None:
        many = [Document(f"n{n}", f"N{n}", f"note {n}", atomic=True) for n in range(2 * AT_ONCE + 50)]
        folders = sorted((index.path / "segments").iterdir())
        with pytest.raises(UpdateError, match="given twice"):
            index.change([*many, many[7]], delete=["a.txt"])
        assert sorted((index.path / "segments").iterdir()) == folders
        assert index.store.documents == 5
        report = index.change(many, delete=["a.txt"])
        assert (report.added, report.deleted) == (2 * AT_ONCE + 50, 1)
        again = Index.open(index.path, encoder=hashing_encoder)
        assert again.store.documents == index.store.documents == 4 + len(many)
        assert len(index.lexical.search(Query("note"), 9)) == 9
        named = {entry["name"] for entry in index.manifest["segments"]}
        assert {path.name.split(".")[0] for path in (index.path / "segments").iterdir()} == named

    def test_what_was_encoded_before_an_interruption_is_not_encoded_again(
        self, index: Index, hashing_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(vector_cache, "PART", 10)
        asked: list[str] = []

        class Stopping:
            name, dimension, left = hashing_encoder.name, hashing_encoder.dimension, 4

            def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
                if not self.left:
                    raise KeyboardInterrupt
                self.left -= 1
                asked.extend(texts)
                return np.asarray(hashing_encoder.encode(texts, progress))

        many = [Document(f"n{n}", f"N{n}", f"note {n}", atomic=True) for n in range(95)]
        stopping = Stopping()
        opened = Index.open(index.path, encoder=stopping)
        before = texts_of(index)
        with pytest.raises(KeyboardInterrupt):
            opened.add(many)
        assert texts_of(Index.open(index.path, encoder=hashing_encoder)) == before
        stopping.left = 10**6
        opened.add(many)
        assert len(asked) == len(set(asked)) == 95
        assert [path.name for path in index.path.parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_an_id_is_deleted_in_either_form(index: Index, form: str) -> None:
    assert index.delete([unicodedata.normalize(form, "café.txt")]).deleted == 1


def test_a_document_is_named_by_the_path_of_its_file(docs: Path, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(docs.parent)
    for given in ("guide/ferry.txt", "docs/guide/ferry.txt", "./docs/guide/ferry.txt", str(docs / "guide/ferry.txt")):
        assert index.id_of(given) == "guide/ferry.txt"
    monkeypatch.chdir(docs / "guide")
    assert index.id_of("ferry.txt") == "guide/ferry.txt"
    assert index.id_of("../café.txt") == index.id_of(unicodedata.normalize("NFD", "../café.txt")) == "café.txt"
    assert index.id_of("nobody.txt") == "nobody.txt"


def test_another_process_may_change_the_index_meanwhile(docs: Path, index: Index, hashing_encoder: Encoder) -> None:
    other = Index.open(index.path, encoder=hashing_encoder)
    write(docs, {"new.txt": "A new one."})
    told: list[Callable[[], object]] = [lambda: other.delete(["a.txt"])]

    def during(stage: str, done: int, total: int) -> None:
        if told:
            told.pop()()

    report = index.sync(docs, progress=during)
    assert set(report.added) == {"a.txt", "new.txt"}
    assert texts_of(index).keys() == {*TEXTS, "new.txt"}


def test_an_unchanged_folder_needs_no_lock(docs: Path, index: Index) -> None:
    code = (
        "import fcntl, sys, time; f = open(sys.argv[1]); fcntl.flock(f, 2); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(index.path / "lock")], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert index.sync(docs).update is None
        holder.kill()


def test_a_file_of_another_place_takes_the_place_of_none(docs: Path, index: Index, tmp_path: Path) -> None:
    before, name = texts_of(index), index.store.document_ids()[0]
    write(tmp_path / "other", {name: "Of another place."})
    with pytest.raises(CorpusError, match="of another place"):
        index.change([tmp_path / "other"], replace=True)
    with pytest.raises(UpdateError, match="none of the folders"):
        index.sync(tmp_path / "other" / name)
    assert texts_of(index) == before
