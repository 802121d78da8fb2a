"""Shards are linked in parts, and have exactly the edges that one index of the same documents has."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trailhound.demo._encyclopedia import Encyclopedia
from trailhound.graph._edges import GROUPS
from trailhound.graph._generic_titles import are_headings
from trailhound.index.index import Index
from trailhound.index.settings import IndexSettings
from trailhound.retrievers.protocols import Encoder, Progress
from trailhound.retrievers.records import Document
from trailhound.sharding import _link_keys, _linking
from trailhound.sharding._building import Partition, ShardedBuild, place_of_links
from trailhound.sharding._link_files import Columns, LinkFiles, packed, write_once
from trailhound.sharding._link_keys import WordKeys, form_keys
from trailhound.sharding._linking import link
from trailhound.sharding._messages import GROUPS_OF_EDGES, row_in_all
from trailhound.sharding._shard_links import LinkedBase
from trailhound.sharding._tasks import Task, run_here
from trailhound.sharding.sharded_index import ShardedIndex

SETTINGS = IndexSettings(chunk_tokens=40, late_interaction=False)

Found = dict[tuple[str, str], list[tuple[str, int, int, int]]]


def one_title() -> list[Document]:
    """All documents have the same title, and name it."""
    return [Document(f"d{n}", "Green River", f"The boat on Green River was number {n // 3}.") for n in range(40)]


def just_enough() -> list[Document]:
    """Titles and aliases that as many documents share as may, and one more."""
    shared = [("Old Mill", 8), ("New Mill", 9), ("John F. Kennedy", 4), ("Mary A. Stone", 5)]
    named = [Document(f"{title} {n}", title, f"number {n}") for title, count in shared for n in range(count)]
    text = "From Old Mill to New Mill, by John Kennedy, John F. Kennedy and Mary Stone."
    return [*named, *(Document(f"reader {n}", f"Reader {n}", text) for n in range(5))]


def everywhere() -> list[Document]:
    """One term is in every passage, one phrase in as many as a rare one may be in, one in more."""
    texts = [f"zinc {'copper kettle' if n < 10 else ''} {'iron kettle' if n < 11 else ''} w{n % 7}" for n in range(60)]
    return [Document(f"d{n}", "", text) for n, text in enumerate(texts)]


def headings() -> list[Document]:
    """Titles are headings, some of which are used like any other words."""
    titles = [
        "Getting started",
        "System prompt",
        "Release notes",
        "Example",
        "Error handling in parsers",
        "Zorbax tool",
    ]
    text = "Getting started with the Zorbax tool: a system prompt or System prompt, see Error handling in parsers."
    return [
        Document(
            f"d{n}", titles[n % 6] if n < 24 else f"Chapter {n} of notes", f"{text} example {n % 5} getting started"
        )
        for n in range(60)
    ]


def other_scripts() -> list[Document]:
    """Titles and texts that are not ASCII, decomposed accents and marks among them."""
    titles = [
        "Łódź",
        "Москва-река",
        "東京 大学",
        "Σίσυφος Κορίνθιος",
        "Cafe\u0301 Noir",
        "हिन्दी भाषा",
        "İstanbul",
        "Ærø Færge",
    ]
    text = " ".join(f"in {title} and." for title in titles)
    return [Document(f"d{n}", titles[n % len(titles)], f"{n} {text} ß{n % 4} 😀") for n in range(16)]


def long_documents() -> list[Document]:
    """Documents of many passages, which name each other and themselves."""
    return [
        Document(
            f"d{n}", f"Part Number {n}", " ".join(f"It is by Part Number {k}. Word{k} word{n}." for k in range(30))
        )
        for n in range(12)
    ]


def drawn() -> list[Document]:
    """Few words, so that titles and phrases stand in many texts by chance."""
    rng = np.random.default_rng(7)
    words = ["Ash", "Birch", "Cedar", "elm", "fir", "of", "Hazel", "the", "Larch", "oak's", "Pine-Tree"]
    return [
        Document(
            f"d{n}",
            " ".join(rng.choice(words, int(rng.integers(0, 4)))) + ("!" if n % 5 == 0 else ""),
            " ".join(rng.choice(words, int(rng.integers(1, 90)))) + (". " if n % 3 else "\n\n") + "Oak",
        )
        for n in range(150)
    ]


CORPORA: list[Callable[[], list[Document]]] = [
    one_title,
    just_enough,
    everywhere,
    headings,
    other_scripts,
    long_documents,
    drawn,
]


def edges_of(index: Index) -> Found:
    """Return the edges of all passages of one index, by their ids."""
    ids = [passage.id for passage in index.store]
    found = {}
    for row, name in enumerate(ids):
        for group in GROUPS:
            links = index.graph.neighbours(row, group)
            columns = (links.rows, links.relations, links.starts, links.ends)
            found[name, group] = [
                (ids[other], *rest) for other, *rest in zip(*(c.tolist() for c in columns), strict=True)
            ]
    return found


def edges_of_shards(index: ShardedIndex) -> Found:
    """Return what is written of the edges of all shards, by the ids of passages."""
    ids, written = dict[int, str](), list[tuple[list[str], LinkedBase]]()
    for number, name in enumerate(index.about.shards):
        with Index.open(index.path / name, verify=False) as shard:
            mine = [passage.id for passage in shard.store]
        written.append((mine, LinkedBase.load(place_of_links(index.path / name))))
        rows = row_in_all(written[-1][1].order, number, np.arange(len(mine)))
        ids.update(zip(rows.tolist(), mine, strict=True))
    found = {}
    for mine, linked in written:
        counts, block = linked.edges(np.arange(len(mine)))
        columns = (block.rows, block.relations, block.starts, block.ends)
        edges = [(ids[other], *rest) for other, *rest in zip(*(c.tolist() for c in columns), strict=True)]
        keys = [(name, group) for name in mine for group in GROUPS_OF_EDGES]
        begins = [0, *np.cumsum(counts).tolist()]
        found |= {key: edges[begins[place] : begins[place + 1]] for place, key in enumerate(keys)}
    return found


def sharded(
    corpus: Sequence[Document], place: Path, shards: int, encoder: Encoder, partition: Partition = "hash"
) -> ShardedIndex:
    return ShardedIndex.build(corpus, place, shards, settings=SETTINGS, encoder=encoder, partition=partition)


@pytest.mark.parametrize("make", CORPORA, ids=lambda make: make.__name__)
def test_shards_have_exactly_the_edges_of_one_index(
    make: Callable[[], list[Document]], hashing_encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_linking, "_RANGE", 16)  # several ranges of keys for each shard
    monkeypatch.setattr(_link_keys, "_AT_ONCE", 5)
    monkeypatch.setattr(_link_keys, "_MERGED", 50)
    corpus = make()
    with Index.build(corpus, tmp_path / "one", settings=SETTINGS, encoder=hashing_encoder) as one:
        wanted = edges_of(one)
        assert are_headings(one.parts.title_of) == (make is headings)
    assert any(wanted.values())
    for shards in (2, 7):
        with sharded(corpus, tmp_path / str(shards), shards, hashing_encoder) as index:
            assert edges_of_shards(index) == wanted


def test_headings_that_name_nothing_are_no_mentions(hashing_encoder: Encoder, tmp_path: Path) -> None:
    with sharded(headings(), tmp_path / "s", 3, hashing_encoder) as index:
        mentioned = Counter(
            text for (_, group), edges in edges_of_shards(index).items() if group == "mentions" for text, *_ in edges
        )
    assert "d5#0" in mentioned  # the Zorbax tool
    assert "d1#0" not in mentioned  # a system prompt is one of many


@pytest.mark.parametrize(("shards", "partition"), [(1, "hash"), (2, "hash"), (4, "hash"), (8, "hash"), (3, "topics")])
def test_an_encyclopedia_has_the_edges_of_one_index(
    encyclopedia: Encyclopedia,
    small_index: Index,
    hashing_encoder: Encoder,
    tmp_path: Path,
    shards: int,
    partition: Partition,
) -> None:
    how = {"encoder": hashing_encoder, "partition": partition}
    with ShardedIndex.build(encyclopedia.documents, tmp_path / "s", shards, **how) as index:  # type: ignore[arg-type]
        assert edges_of_shards(index) == edges_of(small_index)


def test_passages_stay_linked_to_those_of_other_shards_when_one_is_added(
    hashing_encoder: Encoder, tmp_path: Path
) -> None:
    with sharded(long_documents(), tmp_path / "s", 3, hashing_encoder) as index:
        wanted, held = edges_of_shards(index), dict[str, set[str]]()
        for name in index.about.shards:
            with Index.open(index.path / name, verify=False) as shard:
                held[name] = {passage.id for passage in shard.store}
        assert index.add([Document("new", "Unheard Of", "Nothing of the kind.")]).added == 1
        with index.snapshot():
            for number, name in enumerate(index.about.shards):
                order = LinkedBase.load(place_of_links(index.path / name)).order
                for row in row_in_all(order, number, np.arange(len(order))).tolist():
                    mine = index.store.passage(row).id
                    for group in GROUPS:
                        others = index.graph.neighbours(row, group).rows.tolist()
                        found = {index.store.passage(other).id for other in others}
                        before = {other for other, *_ in wanted[mine, group]}
                        # Links over what is shared within a changed shard are those of the shard alone.
                        own = held[name] if group == "shares" else set()
                        assert found - own == before - own


class Counted:
    """Does tasks here, notes those that link, and stops before one of them."""

    def __init__(self, stop: int = 1000) -> None:
        self.done: list[str] = []
        self._left = stop

    def __call__(self, tasks: Sequence[Task], warn: Callable[[str], None], progress: Progress | None) -> None:
        for task in tasks:
            if hasattr(task, "files"):
                if not self._left:
                    raise KeyboardInterrupt
                self._left -= 1
                self.done.append(type(task).__name__)
            run_here([task], warn, progress)


def test_a_build_that_is_stopped_while_it_links_goes_on(
    hashing_encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    def noted(folder: Path, make: Callable[[Any], None]) -> None:
        written.extend([] if folder.is_dir() else [folder.name])
        write_once(folder, make)

    for module in ("_link_keys", "_link_groups", "_link_edges"):
        monkeypatch.setattr(f"trailhound.sharding.{module}.write_once", noted)
    build = ShardedBuild(tmp_path / "s", 3, SETTINGS, hashing_encoder, 1)
    for stop in (2, 4, 7, 10, 14):
        with pytest.raises(KeyboardInterrupt):
            build.write(headings(), print, None, False, Counted(stop), link)
    last = Counted()
    build.write(headings(), print, None, False, last, link)
    kinds = ["GatherKeys", "GroupKeys", "FindEdges", "CountSmallLetters", "WriteLinks"]
    assert last.done == [kind for kind in kinds for _ in range(3)]
    names = [f"{name}-{number:04d}" for name in ("keys", "groups", "edges", "small") for number in range(3)]
    assert sorted(written) == sorted(names)  # nothing twice
    with Index.build(headings(), tmp_path / "one", settings=SETTINGS, encoder=hashing_encoder) as one:
        wanted = edges_of(one)
    with ShardedIndex(tmp_path / "s", hashing_encoder) as index:
        assert edges_of_shards(index) == wanted
    assert sorted(path.name for path in (tmp_path / "s").iterdir() if path.name.startswith((".", "parts"))) == []


def test_shards_that_are_linked_are_not_linked_again_unless_one_changed(
    hashing_encoder: Encoder, tmp_path: Path
) -> None:
    build = ShardedBuild(tmp_path / "s", 3, SETTINGS, hashing_encoder, 1)
    for corpus, tasks in ((drawn(), 12), (drawn(), 0), (drawn()[1:], 12)):
        counted = Counted()
        build.write(corpus, print, None, False, counted, link)
        assert len(counted.done) == tasks
    with Index.build(drawn()[1:], tmp_path / "one", settings=SETTINGS, encoder=hashing_encoder) as one:
        wanted = edges_of(one)
    with ShardedIndex(tmp_path / "s", hashing_encoder) as index:
        assert edges_of_shards(index) == wanted


def test_links_that_are_damaged_are_written_again(hashing_encoder: Encoder, tmp_path: Path) -> None:
    sharded(drawn(), tmp_path / "s", 2, hashing_encoder).close()
    file = place_of_links(tmp_path / "s" / "shard-0001")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    sharded(drawn(), tmp_path / "s", 2, hashing_encoder).close()
    assert file.read_bytes() == whole


def test_what_is_there_after_half_a_task_is_never_read(tmp_path: Path) -> None:
    def broken(write: Any) -> None:
        write("rows", np.arange(3))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_once(tmp_path / "keys-0000", broken)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".keys-0000-killed").mkdir()
    write_once(tmp_path / "keys-0000", lambda write: write("rows", np.arange(4)))
    write_once(tmp_path / "keys-0000", broken)  # it is done
    assert Columns(tmp_path / "keys-0000")["rows"].tolist() == [0, 1, 2, 3]


@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=6), max_size=8))
def test_texts_are_read_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("texts") / "one"

    def make(write: Callable[[str, Any], None]) -> None:
        for name, column in packed("texts", texts).items():
            write(name, column)

    write_once(folder, make)
    columns = Columns(folder)
    for first in range(len(texts) + 1):
        for last in range(first, len(texts) + 1):
            assert columns.texts("texts", slice(first, last)) == texts[first:last]


def test_every_key_is_in_one_range() -> None:
    keys = np.unique(np.random.default_rng(0).integers(0, 1 << 32, 1000).astype(np.uint32))
    keys = np.unique(np.append(keys, np.array([0, (1 << 32) - 1], np.uint32)))
    for ranges in (1, 2, 3, 7, 1000):
        files = LinkFiles(Path(), (), 0, ranges)
        parts = [keys[files.range_of(number, keys)] for number in range(ranges)]
        np.testing.assert_array_equal(np.concatenate(parts), keys)


def test_a_text_has_the_keys_of_all_that_it_may_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_link_keys, "_AT_ONCE", 2)
    words = WordKeys()
    texts = ["", "The Old Mill", "…", "Kraków", "on J. R. R. Tolkien", ""]
    assert list(words.passing(iter(texts))) == texts
    known = set(words.keys().tolist())
    there = ["The Old Mill", "Old Mill House", "Mill", "Kraków", "J R R Tolkien", "Tolkien"]
    absent = ["Mill Kraków", "Kraków on", "Old House", "mill"]
    assert [key in known for key in form_keys([*there, *absent]).tolist()] == [True] * 6 + [False] * 4


def test_the_rows_of_a_sample_are_those_of_all_shards_in_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = np.unique(rng.integers(0, 1 << 62, 500))
    for number, part in enumerate(np.array_split(rng.permutation(rows), 4)):
        write_once(tmp_path / str(number), lambda write, part=part: write("rows", np.sort(part)))  # type: ignore[misc]
    numbers = np.array([0, 1, 7, 250, len(rows) - 1])
    found = _linking._nth([Columns(tmp_path / str(number)) for number in range(4)], numbers)
    np.testing.assert_array_equal(found, rows[numbers])
