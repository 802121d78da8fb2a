"""Semantic docids: a bijection, balanced, stable when passages come, a trie that forgets what goes."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trailhound.errors import DamagedIndexError
from trailhound.retrievers.records import Vectors
from trailhound.retrievers.router._docids import ARRAYS, SETTINGS, DocidSettings, DocidTree

SMALL = DocidSettings(branching=4, fill=0.75)


def unit(seed: int, count: int, dimension: int = 6) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def tree_of(count: int, settings: DocidSettings = SMALL, seed: int = 0) -> DocidTree:
    return DocidTree.build(unit(seed, count), np.random.default_rng(seed), settings)


def allowed(tree: DocidTree, prefix: tuple[int, ...]) -> list[int]:
    """Return the codes that may follow a prefix."""
    return np.flatnonzero(tree.open_children()[tree.node(prefix)]).tolist()


def spelled(tree: DocidTree) -> list[tuple[int, ...]]:
    """Enumerate every docid that the trie allows, by walking it."""
    paths: list[tuple[int, ...]] = [()]
    for _ in range(tree.depth):
        paths = [(*path, code) for path in paths for code in allowed(tree, path)]
    return paths


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 120), st.sampled_from([2, 3, 4, 8]), st.sampled_from([0.5, 0.75, 1.0]))
def test_every_passage_has_one_docid_and_every_docid_one_passage(count: int, branching: int, fill: float) -> None:
    tree = tree_of(count, DocidSettings(branching, fill))
    docids = [tree.docid(row) for row in range(count)]
    assert len(set(docids)) == len(tree) == count
    assert {len(docid) for docid in docids} == {tree.depth}
    assert [tree.row(docid) for docid in docids] == list(range(count))
    assert sorted(spelled(tree)) == sorted(docids)


def test_nodes_of_a_level_differ_in_size_by_a_bounded_factor() -> None:
    tree = DocidTree.build(unit(0, 3000), np.random.default_rng(0), DocidSettings(16))
    assert tree.depth == 3
    for level in range(1, tree.depth):
        sizes = tree.live[tree.levels == level]
        assert sizes.max() <= 2 * sizes.min()
        assert sizes.sum() == 3000


def test_a_seed_gives_the_same_docids() -> None:
    assert tree_of(80).codes.tolist() == tree_of(80).codes.tolist()


def test_near_passages_share_a_prefix() -> None:
    rng = np.random.default_rng(0)
    clumps = np.repeat(np.eye(6, dtype=np.float32)[:3], 8, axis=0) + 0.05 * rng.normal(size=(24, 6)).astype(np.float32)
    vectors = clumps / np.linalg.norm(clumps, axis=1, keepdims=True)
    tree = DocidTree.build(vectors, rng, DocidSettings(branching=12, fill=0.75))
    first = tree.codes[:, 0].reshape(3, 8)
    assert [len(set(codes)) for codes in first.tolist()] == [1, 1, 1]
    assert len(set(first[:, 0].tolist())) == 3


def test_new_passages_leave_old_docids_alone_and_lie_near_their_like() -> None:
    vectors = unit(3, 420, 4)
    old = DocidTree.build(vectors[:400], np.random.default_rng(0), DocidSettings(8, 0.75))
    grown = old.with_added(vectors[400:])
    assert grown.codes[:400].tolist() == old.codes.tolist()
    assert len(grown) == 420
    assert len(set(map(tuple, grown.codes.tolist()))) == 420
    assert len(old) == 400  # the old tree is as it was
    leaf = {tuple(codes[:-1]) for codes in grown.codes[:400].tolist()}
    placed = [
        grown.centroids[grown.node(codes[:-1])] @ vector
        for codes, vector in zip(grown.codes[400:].tolist(), vectors[400:], strict=True)
    ]
    everywhere = vectors[400:] @ np.array([grown.centroids[grown.node(prefix)] for prefix in leaf]).T
    assert np.mean(placed) > everywhere.mean() + 0.5


def test_a_tree_takes_passages_until_every_code_is_taken() -> None:
    vectors = unit(5, 16)
    full = tree_of(5).with_added(vectors[5:])
    assert (full.depth, full.branching, len(full)) == (2, 4, 16)
    assert [full.row(full.docid(row)) for row in range(16)] == list(range(16))
    with pytest.raises(ValueError, match="all 16 docids are taken"):
        full.with_added(unit(6, 1))


def test_a_deleted_passage_leaves_the_trie_and_frees_its_code() -> None:
    tree = tree_of(40)
    gone = tree.docid(7)
    fewer = tree.without([7, 8])
    assert set(spelled(fewer)) == set(spelled(tree)) - {gone, tree.docid(8)}
    assert len(fewer) == 38
    for read in (lambda: fewer.docid(7), lambda: fewer.row(gone), lambda: fewer.without([7])):
        with pytest.raises(KeyError):
            read()
    again = fewer.with_added(unit(0, 40)[7:8])
    assert again.docid(40)[:-1] == gone[:-1]
    assert [again.docid(row) for row in range(7)] == [tree.docid(row) for row in range(7)]


def test_a_prefix_with_nothing_live_below_is_not_allowed() -> None:
    tree = tree_of(40)
    first = tree.docid(0)[0]
    fewer = tree.without(np.flatnonzero(tree.codes[:, 0] == first))
    assert first in allowed(tree, ())
    assert first not in allowed(fewer, ())
    assert allowed(fewer, (first,)) == []


def test_what_is_no_docid_is_refused() -> None:
    tree = tree_of(20)
    for docid in ((), (0,), (0, 99, 0), (-1, 0, 0), (*tree.docid(0), 0)):
        with pytest.raises(KeyError):
            tree.row(docid)
    for read in (lambda: tree.node((99,)), lambda: tree.docid(20)):
        with pytest.raises(KeyError):
            read()


def test_a_saved_tree_is_the_same(tmp_path: Path) -> None:
    tree = tree_of(50).without([3])
    tree.save(tmp_path)
    read = DocidTree.load(tmp_path)
    assert read.codes.tolist() == tree.codes.tolist()
    assert read.with_added(unit(9, 2)).codes.tolist() == tree.with_added(unit(9, 2)).codes.tolist()


@pytest.mark.parametrize("damage", ["array", "settings", "rows", "shared child"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    from safetensors.numpy import load_file, save_file

    tree_of(30).save(tmp_path)
    arrays = load_file(tmp_path / ARRAYS)
    if damage == "array":
        (tmp_path / ARRAYS).write_bytes(b"nothing")
    elif damage == "settings":
        (tmp_path / SETTINGS).write_text("{}")
    elif damage == "rows":
        about = json.loads((tmp_path / SETTINGS).read_text())
        (tmp_path / SETTINGS).write_text(json.dumps(about | {"rows": 3}))
    else:
        arrays["children"][0, 1] = arrays["children"][0, 0]
        save_file(arrays, tmp_path / ARRAYS)
    with pytest.raises(DamagedIndexError):
        DocidTree.load(tmp_path)


def test_settings_that_make_no_tree_are_refused() -> None:
    with pytest.raises(ValueError, match="branching must be from 2"):
        DocidSettings(branching=1)
    with pytest.raises(ValueError, match="fill must be above 0"):
        DocidSettings(fill=0)
    with pytest.raises(ValueError, match="no passages"):
        DocidTree.build(unit(0, 0), np.random.default_rng(0))
