"""A sharded index changes as one index does: each document in its shard, found at once, and nothing half done."""

import subprocess
import sys
from pathlib import Path

import pytest
from trailhound.agent.search_agent import SearchAgent
from trailhound.errors import CorpusError, IndexBusyError, IndexFolderError, ShardError, StorageError, UpdateError
from trailhound.index.index import Index
from trailhound.retrievers._folder import locked
from trailhound.retrievers.protocols import Encoder
from trailhound.retrievers.records import Document
from trailhound.sharding._building import read_shards, shard_of
from trailhound.sharding._shard import LocalShard, Waiting
from trailhound.sharding.sharded_index import ShardedIndex

COLOURS = ["red", "green", "blue", "black", "white", "amber", "violet", "ochre"]


def documents(count: int = 24) -> list[Document]:
    return [
        Document(f"d{n}", f"Card {n}", f"Card {n} is {COLOURS[n % 8]} and {COLOURS[n // 8]}.") for n in range(count)
    ]


def new(*names: str) -> list[Document]:
    return [Document(name, f"New {name}", f"The new card {name} is turquoise.") for name in names]


@pytest.fixture
def index(hashing_encoder: Encoder, tmp_path: Path) -> ShardedIndex:
    return ShardedIndex.build(documents(), tmp_path / "s", 3, encoder=hashing_encoder)


def ranked(index: ShardedIndex, question: str) -> list[tuple[float, str]]:
    """Return what is found, best first; what scores alike in the order of names."""
    evidence = SearchAgent(index, system="lexical").search(question, 50).evidence
    return sorted((-round(one.bm25 or 0.0, 4), one.passage.document_id) for one in evidence)


def found(index: ShardedIndex, question: str) -> list[str]:
    return [one.passage.document_id for one in SearchAgent(index, system="lexical").search(question, 50).evidence]


def held(index: ShardedIndex) -> set[str]:
    names: set[str] = set()
    for name in index.about.shards:
        with Index.open(index.path / name, verify=False) as shard:
            names.update(shard.store.document_ids())
    return names


NAMES = ("n0", "n1", "n2", "n3", "n4", "n5")


def test_additions_lie_in_the_shards_of_their_ids_and_are_found_by_all_at_once(
    index: ShardedIndex, hashing_encoder: Encoder
) -> None:
    with index, ShardedIndex(index.path, hashing_encoder) as other:
        assert found(other, "turquoise") == []
        report = index.add(new(*NAMES))
        assert (report.added, report.replaced, report.deleted) == (6, 0, 0)
        assert sorted(found(index, "turquoise")) == sorted(found(other, "turquoise")) == sorted(NAMES)
        for name in NAMES:
            with Index.open(index.path / index.about.shard_of(name), verify=False) as shard:
                assert shard.store.having([name]) == [name]
        assert index.add([Document("n1", "New n1", "It is mauve.")], replace=True).replaced == 1
        assert index.delete(["n2", "d0"]).deleted == 2
        assert found(other, "mauve") == ["n1"]
        assert sorted(found(other, "turquoise")) == sorted({*NAMES} - {"n1", "n2"})


def test_ranks_after_changes_are_those_of_a_sharded_index_built_anew(
    index: ShardedIndex, hashing_encoder: Encoder, tmp_path: Path
) -> None:
    index.add(new(*NAMES))
    with index, ShardedIndex.build([*documents(), *new(*NAMES)], tmp_path / "b", 3, encoder=hashing_encoder) as anew:
        for question in ("turquoise card", "violet and amber", "red card"):
            assert ranked(index, question) == ranked(anew, question)


@pytest.mark.parametrize("wrong", ["there", "twice", "unknown", "unstorable"])
def test_what_cannot_be_done_is_found_out_before_anything_changes(index: ShardedIndex, wrong: str) -> None:
    last = {
        "there": documents()[3:4],
        "twice": new("n0"),
        "unstorable": [Document("x", "\ud800", "text")],
        "unknown": [],
    }
    gone = ["d1", "nobody"] if wrong == "unknown" else []
    with index, pytest.raises((UpdateError, CorpusError), match=r"nothing was changed|cannot be stored"):
        index.change([*new(*NAMES), *last.get(wrong, [])], delete=gone)
    assert held(index) == {one.id for one in documents()}


class BreakableShard(LocalShard):
    """A shard whose changes fail as they are told to."""

    fails: Exception | None = None

    def call(self, method: str, *given: object) -> Waiting[object]:
        error = self.fails
        if method != "change" or error is None:
            return super().call(method, *given)

        def failed() -> None:
            raise error

        return failed


def test_a_change_that_is_broken_off_says_what_is_done_and_can_be_done_again(
    index: ShardedIndex, hashing_encoder: Encoder
) -> None:
    by_shard = {name: [one for one in NAMES if index.about.shard_of(one) == name] for name in index.about.shards}
    assert all(by_shard.values())
    made: list[BreakableShard] = []
    with ShardedIndex(
        index.path, open_shard=lambda folder: made.append(BreakableShard(folder, hashing_encoder)) or made[-1]
    ) as breaking:
        made[0].fails = StorageError("the disk is full")
        with pytest.raises(StorageError, match="full"):
            breaking.add(new(*NAMES))
        assert held(index).isdisjoint(NAMES)
        made[0].fails, made[1].fails = None, StorageError("the disk is full")
        with pytest.raises(ShardError, match="changed are shard-0000; not changed are shard-0001, shard-0002"):
            breaking.add(new(*NAMES))
        assert held(index).intersection(NAMES) == {*by_shard["shard-0000"]}
        made[1].fails = ShardError("it is away")
        with pytest.raises(ShardError, match=r"of shard-0001 it is not known: .* not changed are shard-0002"):
            breaking.add(new(*NAMES), replace=True)
        made[1].fails = None
        report = breaking.add(new(*NAMES), replace=True)
        assert report.unchanged == len(by_shard["shard-0000"])
        assert report.added == len(NAMES) - report.unchanged
    assert held(index) >= {*NAMES}


def test_only_one_changes_at_a_time_and_nobody_while_it_is_built(index: ShardedIndex, hashing_encoder: Encoder) -> None:
    with (
        index,
        ShardedIndex(index.path, hashing_encoder, lock_timeout=0.05) as hasty,
        locked(index.path),
        pytest.raises(IndexBusyError),
    ):
        hasty.add(new("n0"))


def test_an_index_that_was_parted_anew_is_opened_again_before_it_changes(
    index: ShardedIndex, hashing_encoder: Encoder
) -> None:
    ShardedIndex.build(documents(), index.path, 2, encoder=hashing_encoder).close()
    with index, pytest.raises(IndexFolderError, match="open it again"):
        index.add(new("n0"))


def test_a_part_that_had_no_document_is_kept_by_the_next_shard(hashing_encoder: Encoder, tmp_path: Path) -> None:
    few = documents(2)
    with ShardedIndex.build(few, tmp_path / "s", 8, encoder=hashing_encoder) as index:
        assert len(index.about.shards) < 8
        index.add(new(*NAMES))
        assert sorted(found(index, "turquoise")) == sorted(NAMES)
        assert index.delete(NAMES).deleted == len(NAMES)
        about = read_shards(index.path)
        direct = [one for one in NAMES if f"shard-{shard_of(one, 8):04d}" in about.shards]
        assert all(about.shard_of(one) == f"shard-{shard_of(one, 8):04d}" for one in direct)
        assert about.shards == index.about.shards


def test_a_repeated_build_makes_shards_anew_that_were_changed_since(
    index: ShardedIndex, hashing_encoder: Encoder
) -> None:
    index.add(new("n0"))
    with ShardedIndex.build(documents(), index.path, 3, encoder=hashing_encoder) as again:
        assert held(again) == {one.id for one in documents()}


def test_a_folder_is_kept_in_step_over_all_shards(hashing_encoder: Encoder, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    (corpus / "more").mkdir(parents=True)
    for number in range(9):
        (corpus / f"{number}.txt").write_text(f"Text number {number} is {COLOURS[number % 8]}.")
    with ShardedIndex.build(corpus, tmp_path / "s", 3, encoder=hashing_encoder) as index:
        assert index.sync(corpus).update is None
        (corpus / "more" / "new.txt").write_text("This is turquoise.")
        (corpus / "3.txt").write_text("Text number 3 is mauve.")
        (corpus / "4.txt").unlink()
        planned = index.sync(corpus, dry_run=True)
        assert (planned.added, planned.replaced, planned.deleted) == (("more/new.txt",), ("3.txt",), ("4.txt",))
        assert found(index, "turquoise mauve") == []
        done = index.sync(corpus)
        assert (done.added, done.replaced, done.deleted) == (planned.added, planned.replaced, planned.deleted)
        assert sorted(found(index, "turquoise mauve")) == ["3.txt", "more/new.txt"]
        (corpus / "5.txt").write_text("")
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "far.txt").write_text("Far away it is turquoise.")
        changed = index.change([corpus / "5.txt", corpus / "6.txt", tmp_path / "other"], replace=True)
        assert (changed.added, changed.deleted, changed.unchanged) == (1, 1, 1)
        assert sorted(found(index, "turquoise")) == ["far.txt", "more/new.txt"]
        assert index.id_of(str(tmp_path / "other" / "far.txt")) == "far.txt"
        with ShardedIndex(index.path, hashing_encoder) as later:
            assert later.sync(corpus).update is None
            (tmp_path / "other" / "far.txt").unlink()
            (tmp_path / "other" / "near.txt").write_text("Near by it is turquoise.")
            (tmp_path / "other" / "same.txt").write_text("Far away it is turquoise.")
            assert later.sync(tmp_path / "other").deleted == ("far.txt",)


ADDING = """
import itertools, sys
from trailhound import Document, ShardedIndex
index = ShardedIndex(sys.argv[1])
for number in itertools.count():
    index.add([Document(f"n{number}", "New", f"It is turquoise, number {number}.")])
    print(number, flush=True)
"""


def test_what_a_killed_process_had_acknowledged_is_there(tmp_path: Path) -> None:
    ShardedIndex.build(documents(), tmp_path / "s", 3).close()
    adding = subprocess.Popen([sys.executable, "-c", ADDING, str(tmp_path / "s")], stdout=subprocess.PIPE, text=True)
    assert adding.stdout is not None
    acknowledged = [int(next(adding.stdout)) for _ in range(4)]
    adding.kill()
    acknowledged += map(int, adding.communicate()[0].split())
    with ShardedIndex(tmp_path / "s") as index:
        assert {f"n{number}" for number in acknowledged} <= held(index)
        assert index.add(new("after")).added == 1
