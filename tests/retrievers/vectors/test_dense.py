"""The dense sub-index: exact search is brute force, approximate search comes close, damage is noticed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trailhound.errors import DamagedIndexError, EncoderError, IndexFolderError
from trailhound.retrievers.records import Query, Vectors
from trailhound.retrievers.vectors._dense import COMPRESSED, FAISS, KINDS, VECTORS, DenseIndex, DenseKind


def clustered(count: int, dimension: int = 24, seed: int = 0) -> Vectors:
    """Unit vectors around random centres, as texts about a few topics are."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(count // 40 + 1, dimension))
    vectors = centres[generator.integers(len(centres), size=count)] + 0.4 * generator.normal(size=(count, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def built(folder: Path, vectors: Vectors, kind: DenseKind = "exact") -> DenseIndex:
    DenseIndex.build(folder, vectors, kind)
    return DenseIndex(folder, kind)


@pytest.mark.parametrize("limit", [1, 7, 100, 150, 2000])
def test_exact_search_is_brute_force(tmp_path: Path, limit: int) -> None:
    vectors = clustered(1500)
    index = built(tmp_path, vectors)
    for question in clustered(20, seed=1):
        similarity = vectors.astype(np.float64) @ question.astype(np.float64)
        hits = index.search(Query("", question), limit)
        best = np.sort(similarity)[::-1][:limit]
        np.testing.assert_allclose(hits.scores, best, atol=1e-6)
        np.testing.assert_allclose(similarity[hits.rows], best, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    corpus=st.lists(st.integers(0, 3), min_size=1, max_size=300),
    limit=st.integers(1, 320),
    asked=st.sampled_from([(1, 0), (0, 1), (1, 1)]),
)
def test_exact_search_cuts_equal_scores_by_row(
    corpus: list[int], limit: int, asked: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    directions = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)
    vectors = directions[corpus]
    question = np.array(asked, np.float32)
    similarity = vectors @ question
    expected = sorted(range(len(corpus)), key=lambda row: (-similarity[row], row))[:limit]
    hits = built(tmp_path_factory.mktemp("ties"), vectors).search(Query("", question), limit)
    assert hits.rows.tolist() == expected


@pytest.mark.parametrize("kind", ["hnsw", "ivf", "sq8"])
def test_approximate_search_finds_nine_of_ten(tmp_path: Path, kind: DenseKind) -> None:
    vectors = clustered(4000, 32)
    index = built(tmp_path / kind, vectors, kind)
    exact = built(tmp_path / "exact", vectors)
    found = 0
    for question in clustered(60, 32, seed=5):
        query = Query("", question)
        found += len(set(index.search(query, 10).rows.tolist()) & set(exact.search(query, 10).rows.tolist()))
    assert found / 600 >= 0.9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 2, 39, 100])
def test_small_corpora(tmp_path: Path, kind: DenseKind, count: int, capfd: pytest.CaptureFixture[str]) -> None:
    vectors = clustered(count)
    index = built(tmp_path, vectors, kind)
    assert index.search(Query("", vectors[-1]), 3).rows[0] == count - 1
    assert len(index) == count
    output = capfd.readouterr()
    assert output.out + output.err == ""


@pytest.mark.parametrize("kind", KINDS)
def test_two_builds_in_two_processes_are_equal(tmp_path: Path, kind: DenseKind) -> None:
    script = (
        "import sys; import numpy as np; from pathlib import Path\n"
        "from trailhound.retrievers.vectors._dense import DenseIndex\n"
        "DenseIndex.build(Path(sys.argv[1]), np.load(sys.argv[2]), sys.argv[3])\n"
    )
    vectors = clustered(3000)
    np.save(tmp_path / "given.npy", vectors)
    DenseIndex.build(tmp_path / "here", vectors, kind)
    arguments = [str(tmp_path / "there"), str(tmp_path / "given.npy"), kind]
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, timeout=120)
    names = sorted(path.name for path in (tmp_path / "here").iterdir())
    assert names == ([VECTORS] if kind == "exact" else [FAISS] if kind in COMPRESSED else [FAISS, VECTORS])
    for name in names:
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


@pytest.mark.parametrize("kind", ["exact", "hnsw", "ivf"])
def test_vectors_are_kept_as_given(tmp_path: Path, kind: DenseKind) -> None:
    vectors = clustered(50)
    index = built(tmp_path, vectors, kind)
    np.testing.assert_array_equal(index.vectors, vectors)
    np.testing.assert_array_equal(index.reconstruct(np.array([7, 3, 7])), vectors[[7, 3, 7]])


@pytest.mark.parametrize("kind", sorted(COMPRESSED))
def test_codes_take_the_place_of_vectors(tmp_path: Path, kind: DenseKind) -> None:
    vectors = clustered(2000)
    index = built(tmp_path, vectors, kind)
    with pytest.raises(IndexFolderError, match="codes instead of vectors"):
        _ = index.vectors
    on_disk = sum(path.stat().st_size for path in tmp_path.iterdir())
    codes = {"sq8": 24, "ivfpq": 6 + 8}.get(kind, 6)  # of 96 bytes
    assert on_disk < 2000 * codes + 64_000  # books, rotation and centres


@pytest.mark.parametrize(("kind", "cosine"), [("sq8", 0.9999), ("pq", 0.9), ("opq", 0.9), ("ivfpq", 0.9), ("lsh", 0.7)])
def test_what_codes_say_is_near_and_does_not_depend_on_its_company(
    tmp_path: Path, kind: DenseKind, cosine: float
) -> None:
    vectors = clustered(2000)
    index = built(tmp_path, vectors, kind)
    rows = np.random.default_rng(1).permutation(2000)[:300]
    decoded = index.reconstruct(rows)
    assert (decoded.shape, decoded.dtype) == ((300, 24), np.float32)
    assert np.einsum("nd,nd->n", decoded, vectors[rows]).mean() > cosine
    for place in (0, 17, 299):
        np.testing.assert_array_equal(index.reconstruct(rows[place : place + 1])[0], decoded[place])
    if kind != "lsh":  # whose scores are cosines by count of sides
        hits = index.search(Query("", vectors[5]), 10)
        np.testing.assert_allclose(hits.scores, index.reconstruct(hits.rows) @ vectors[5], atol=1e-5)


def test_a_rotation_makes_codes_better_where_numbers_are_correlated(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(64, 64)) * 0.7 ** np.arange(64)[:, None]
    vectors = (generator.normal(size=(3000, 64)) @ mixing).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = np.arange(3000)
    lost = {
        kind: float(((built(tmp_path / kind, vectors, kind).reconstruct(rows) - vectors) ** 2).sum())
        for kind in ("pq", "opq")
    }
    assert lost["opq"] < 0.5 * lost["pq"]


def test_hashes_give_the_cosine_of_the_angle(tmp_path: Path) -> None:
    """A random hyperplane parts two vectors with probability angle / pi."""
    angles = np.linspace(0, np.pi, 9)
    plane = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    vectors = np.zeros((9, 512), np.float32)
    vectors[:, :2] = plane
    hits = built(tmp_path, vectors, "lsh").search(Query("", vectors[0]), 9)
    assert hits.rows.tolist() == list(range(9))
    np.testing.assert_allclose(hits.scores, np.cos(angles), atol=0.15)


def test_a_dimension_that_cannot_be_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="pieces of 4 numbers, and the encoder's have 22"):
        DenseIndex.build(tmp_path / "dense", clustered(10, 22), "pq")
    assert not (tmp_path / "dense").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_not_finite_is_refused(tmp_path: Path, value: float) -> None:
    vectors = clustered(10)
    vectors[7, 3] = value
    with pytest.raises(EncoderError, match="row 7 is not finite"):
        DenseIndex.build(tmp_path / "dense", vectors)
    assert not (tmp_path / "dense").exists()


@pytest.mark.parametrize("vector", [None, np.zeros(23, np.float32), np.zeros((1, 24), np.float32)])
def test_a_question_without_a_fitting_vector_is_refused(tmp_path: Path, vector: Vectors | None) -> None:
    index = built(tmp_path, clustered(10))
    with pytest.raises(EncoderError, match="the index's own encoder"):
        index.search(Query("words", vector), 3)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x93NUMPY", b"nothing of the kind", "truncated", np.zeros(9, np.float32), np.zeros((3, 4)), None],
    ids=["empty", "magic", "text", "truncated", "flat", "float64", "missing"],
)
def test_damaged_vectors_are_noticed(tmp_path: Path, content: bytes | str | Vectors | None) -> None:
    DenseIndex.build(tmp_path, clustered(10))
    path = tmp_path / VECTORS
    if content is None:
        path.unlink()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        os.truncate(path, path.stat().st_size - 1)
    else:
        np.save(path, content)
    with pytest.raises(DamagedIndexError, match="build the index again"):
        DenseIndex(tmp_path)


@pytest.mark.parametrize("kind", ["sq8", "pq", "opq", "ivfpq", "lsh"])
def test_a_damaged_file_of_codes_is_noticed(tmp_path: Path, kind: DenseKind) -> None:
    DenseIndex.build(tmp_path, clustered(100), kind)
    path = tmp_path / FAISS
    os.truncate(path, path.stat().st_size - 9)
    with pytest.raises(DamagedIndexError, match="cannot be read"):
        DenseIndex(tmp_path, kind)
    path.unlink()
    with pytest.raises(DamagedIndexError, match="cannot be read"):
        DenseIndex(tmp_path, kind)


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_a_faiss_file_that_does_not_belong_is_noticed(tmp_path: Path, kind: DenseKind) -> None:
    DenseIndex.build(tmp_path, clustered(100), kind)
    DenseIndex.build(tmp_path / "other", clustered(99), kind)
    path = tmp_path / FAISS
    whole = path.read_bytes()
    for content, message in (
        ((tmp_path / "other" / FAISS).read_bytes(), "99 vectors"),
        (whole[:50], "cannot be read"),
        (b"", "cannot be read"),
    ):
        path.write_bytes(content)
        with pytest.raises(DamagedIndexError, match=message):
            DenseIndex(tmp_path, kind)
    path.unlink()
    with pytest.raises(DamagedIndexError, match="cannot be read"):
        DenseIndex(tmp_path, kind)
