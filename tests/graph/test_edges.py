from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from trailhound.errors import DamagedIndexError
from trailhound.graph._edges import FILE_NAME, Edges, Relation


def some_edges() -> Edges:
    mention = Edges(
        np.array([0, 1], np.int32),
        np.array([1, 2], np.int32),
        np.array([Relation.TITLE_MENTION, Relation.ALIAS_MENTION], np.int8),
        np.array([3, 0], np.int32),
        np.array([9, 4], np.int32),
        np.ones(2, np.float32),
    )
    return Edges.concatenate([mention, Edges.of([0], [2], Relation.SHARES, [2.5]), Edges.of([], [], Relation.ADJACENT)])


def test_edges_without_a_place_weigh_one_unless_told() -> None:
    edges = Edges.of([0, 1], [1, 2], Relation.ADJACENT)
    assert len(edges) == 2
    assert edges.weight.tolist() == [1, 1]
    assert edges.start.tolist() == edges.end.tolist() == [0, 0]
    assert some_edges().weight.tolist() == [1, 1, 2.5]


def test_edges_keep_their_types_when_put_together() -> None:
    edges = some_edges()
    assert edges.relation.tolist() == [0, 1, 2]
    assert [edges.source.dtype, edges.relation.dtype, edges.weight.dtype] == [np.int32, np.int8, np.float32]


@pytest.mark.parametrize("edges", [some_edges(), Edges.of([], [], Relation.SHARES)])
def test_saving_and_loading(tmp_path: Path, edges: Edges) -> None:
    edges.save(tmp_path / "new" / "graph", 4)
    loaded, passages = Edges.load(tmp_path / "new" / "graph")
    assert passages == 4
    for name in ("source", "target", "relation", "start", "end", "weight"):
        saved, read = getattr(edges, name), getattr(loaded, name)
        assert saved.dtype == read.dtype
        assert np.array_equal(saved, read)


@pytest.mark.parametrize("keep", [0, 7, 200, -1])
def test_a_file_cut_short_is_damaged(tmp_path: Path, keep: int) -> None:
    some_edges().save(tmp_path, 3)
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DamagedIndexError, match="build the index again"):
        Edges.load(tmp_path)


def test_a_file_that_is_not_there_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(DamagedIndexError, match=FILE_NAME):
        Edges.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("passages", None, "no array 'passages'"),
        ("weight", None, "no array 'weight'"),
        ("source", np.int32(0), r"source is int32 \(\), not int32 \(1,\)"),
        ("source", np.zeros((3, 1), np.int32), "source is int32"),
        ("target", np.array([1, 2], np.int32), "target is int32"),
        ("relation", np.array([0, 1, 2], np.int32), "relation is int32"),
        ("passages", np.array([-1]), "says it has -1 passages"),
        ("passages", np.array([1 << 60]), "says it has"),
        ("passages", np.array([2]), "target has values from 1 to 2, outside 0 to 1"),
        ("source", np.array([-1, 1, 0], np.int32), "source has values from -1"),
        ("relation", np.array([0, 1, 4], np.int8), "relation has values from 0 to 4"),
        ("start", np.array([-1, 0, 0], np.int32), "starts before the text"),
        ("end", np.array([2, 4, 0], np.int32), "ends before it starts"),
        ("target", np.array([0, 2, 2], np.int32), "an edge to itself"),
        ("weight", np.array([1, np.nan, 1], np.float32), "not a number above 0"),
        ("weight", np.array([1, 0, 1], np.float32), "not a number above 0"),
        ("weight", np.array([1, np.inf, 1], np.float32), "not a number above 0"),
    ],
)
def test_values_that_cannot_be_are_damage(tmp_path: Path, name: str, values: np.ndarray | None, said: str) -> None:
    some_edges().save(tmp_path, 3)
    arrays = load_file(tmp_path / FILE_NAME)
    arrays.pop(name)
    save_file(arrays if values is None else {**arrays, name: np.asarray(values)}, tmp_path / FILE_NAME)
    with pytest.raises(DamagedIndexError, match=said):
        Edges.load(tmp_path)
