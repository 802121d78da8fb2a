import math
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from trailhound.errors import DamagedIndexError
from trailhound.retrievers.words._terms import TermHashes, TermIndex, among, analyse, term_hashes

TEXTS = ["The cats are running", "a cat ran", "Dogs, dogs and more DOGS!", "", "of the and"]


def hashed(*stems: str) -> TermHashes:
    return np.array([zlib.crc32(stem.encode()) for stem in stems], np.uint32)


def test_terms_are_stems_in_order_without_stop_words() -> None:
    assert analyse("The cats weren't running after 42 Cats") == ["cat", "weren", "run", "42", "cat"]
    assert analyse("") == analyse("… — the of !") == []


def test_a_decomposed_accent_makes_no_difference() -> None:
    assert analyse("Cafe\u0301") == analyse("café")
    assert np.array_equal(term_hashes("CAFE\u0301 noir"), term_hashes("café noir"))


def test_an_indic_word_is_one_term() -> None:
    assert len(analyse("हिन्दी")) == 1


@given(st.text())
def test_term_hashes_are_the_sorted_distinct_hashes_of_the_stems(text: str) -> None:
    expected = sorted({zlib.crc32(stem.encode("utf-8", "surrogatepass")) for stem in analyse(text)})
    found = term_hashes(text)
    assert found.dtype == np.uint32
    assert found.tolist() == expected


def test_rows_keep_the_terms_of_their_text() -> None:
    index = TermIndex.build(TEXTS)
    assert len(index) == 5
    assert set(index.terms(0).tolist()) == set(hashed("cat", "run").tolist())
    assert index.terms(2).tolist() == hashed("dog").tolist()
    assert index.terms(3).tolist() == index.terms(4).tolist() == []


@pytest.mark.parametrize("row", [-1, 5])
def test_a_row_that_is_not_there(row: int) -> None:
    with pytest.raises(IndexError, match=f"row {row} is not one of the 5"):
        TermIndex.build(TEXTS).terms(row)


def test_document_frequency_and_idf_by_hand() -> None:
    index = TermIndex.build(TEXTS)
    asked = hashed("cat", "dog", "unicorn")
    assert index.document_frequency(asked).tolist() == [2, 1, 0]
    expected = [math.log(1 + 3.5 / 2.5), math.log(1 + 4.5 / 1.5), math.log(1 + 5.5 / 0.5)]
    assert index.idf(asked) == pytest.approx(expected, rel=1e-6)
    assert index.idf(asked).dtype == np.float32


@given(st.lists(st.text(alphabet="ab c", max_size=12), max_size=8))
def test_document_frequency_equals_counting(texts: list[str]) -> None:
    index = TermIndex.build(texts)
    asked = term_hashes("a b c aa ab ba bb abc")
    assert index.document_frequency(asked).tolist() == [
        sum(term in term_hashes(text) for text in texts) for term in asked
    ]


def test_a_corpus_of_nothing() -> None:
    index = TermIndex.build([])
    assert len(index) == 0
    assert index.document_frequency(hashed("cat")).tolist() == [0]


def test_texts_may_come_from_a_generator_and_progress_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    index = TermIndex.build((f"word{number}" for number in range(1500)), lambda *said: told.append(said))
    assert len(index) == 1500
    assert told == [("analysing terms", 1000, 0), ("analysing terms", 1500, 1500)]


@pytest.mark.parametrize("texts", [[], TEXTS])
def test_saving_and_loading(tmp_path: Path, texts: list[str]) -> None:
    built = TermIndex.build(texts)
    built.save(tmp_path / "terms")
    loaded = TermIndex.load(tmp_path / "terms")
    assert len(loaded) == len(texts)
    for name in ("offsets", "hashes", "vocabulary", "frequencies"):
        assert np.array_equal(getattr(loaded, name), getattr(built, name))


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_file_cut_short_is_damaged(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "terms"
    TermIndex.build(TEXTS).save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DamagedIndexError, match="build the index again"):
        TermIndex.load(path)


def test_a_file_that_is_not_there_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(DamagedIndexError, match="nothing"):
        TermIndex.load(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("offsets", None, "no array 'offsets'"),
        ("offsets", np.zeros(6, np.int32), "offsets is int32"),
        ("hashes", np.uint32(3), r"hashes is uint32 \(\)"),
        ("offsets", np.zeros(0, np.int64), "do not divide"),
        ("offsets", np.array([1, 2, 4, 5, 5, 5]), "do not divide"),
        ("offsets", np.array([0, 4, 2, 5, 5, 5]), "do not divide"),
        ("offsets", np.array([0, 2, 4, 4, 4, 4]), "do not divide"),
        ("vocabulary", np.array([3, 2, 1], np.uint32), "vocabulary"),
        ("frequencies", np.array([5]), "do not belong together"),
        ("frequencies", np.array([2, 1, 9, 1]), "add up"),
        ("frequencies", np.array([5, 2, -2, 0]), "add up"),
    ],
)
def test_arrays_that_do_not_fit_together_are_damage(
    tmp_path: Path, name: str, values: np.ndarray | None, said: str
) -> None:
    path = tmp_path / "terms"
    TermIndex.build(TEXTS).save(path)
    arrays = load_file(path)
    assert len(arrays["hashes"]) == 5
    arrays.pop(name)
    save_file(arrays if values is None else {**arrays, name: np.asarray(values)}, path)
    with pytest.raises(DamagedIndexError, match=said):
        TermIndex.load(path)


def test_a_type_that_numpy_does_not_have_is_damage(tmp_path: Path) -> None:
    header = b'{"offsets":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    (tmp_path / "terms").write_bytes(len(header).to_bytes(8, "little") + header + b"ab")
    with pytest.raises(DamagedIndexError, match="cannot be read"):
        TermIndex.load(tmp_path / "terms")


def test_membership_is_that_of_a_set() -> None:
    known = np.array([2, 5, 9], np.uint32)
    assert among(np.array([9, 1, 2, 10, 5], np.uint32), known).tolist() == [True, False, True, False, True]
    assert among(known, known[:0]).tolist() == [False, False, False]
    assert among(known[:0], known).tolist() == []


def test_terms_of_several_passages_are_those_of_each() -> None:
    index = TermIndex.build(["a red house", "", "the red river runs", "house"])
    rows = np.array([2, 1, 0, 2])
    terms, owner = index.terms_of(rows)
    for place, row in enumerate(rows):
        np.testing.assert_array_equal(terms[owner == place], index.terms(int(row)))
    assert len(index.terms_of(rows[:0])[0]) == 0
