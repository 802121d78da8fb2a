"""A router's folder: the same router, or a reason."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from trailhound.errors import RouterError
from trailhound.learning.router._examples import Examples
from trailhound.retrievers._hashed_files import write_sealed_json
from trailhound.retrievers.router._clues import Corpus
from trailhound.retrievers.router._router import ARRAYS, SETTINGS, Router, load_router, read_about, save_router


def test_a_saved_router_answers_the_same(
    router: Router, corpus: Corpus, dev_examples: Examples, tmp_path: Path
) -> None:
    save_router(tmp_path / "run", router, {"seed": 0})
    read = load_router(tmp_path / "run", corpus)
    assert read_about(tmp_path / "run")["about"] == {"seed": 0}
    for query in dev_examples.queries[:5]:
        assert read.shard_probabilities(query).tolist() == router.shard_probabilities(query).tolist()
        assert read.prefixes(query) == router.prefixes(query)
        assert read.docids(query).scores.tolist() == router.docids(query).scores.tolist()
        assert read.docids(query).rows.tolist() == router.docids(query).rows.tolist()


def test_there_is_no_router_until_the_last_file(router: Router, corpus: Corpus, tmp_path: Path) -> None:
    save_router(tmp_path, router)
    (tmp_path / SETTINGS).unlink()
    with pytest.raises(RouterError, match="holds no router"):
        load_router(tmp_path, corpus)


def test_every_file_of_the_folder_is_checked(router: Router, corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "lexical").mkdir()
    more = tmp_path / "lexical" / "words"
    more.write_bytes(b"words")
    save_router(tmp_path, router, beside=[more])
    load_router(tmp_path, corpus)
    for path in [*tmp_path.glob("*.*"), more]:
        whole = path.read_bytes()
        flipped = bytearray(whole)
        flipped[len(whole) // 2] ^= 4
        path.write_bytes(flipped)
        with pytest.raises(RouterError, match=path.name):
            load_router(tmp_path, corpus)
        path.write_bytes(whole)
    more.unlink()
    more.symlink_to(tmp_path / SETTINGS)
    with pytest.raises(RouterError, match="words"):
        load_router(tmp_path, corpus)


@pytest.mark.parametrize("damage", ["arrays", "pickle", "settings", "format", "another index", "temperature"])
def test_what_cannot_be_used_is_refused(router: Router, corpus: Corpus, tmp_path: Path, damage: str) -> None:
    save_router(tmp_path, router)
    settings = read_about(tmp_path)
    expected = "is damaged"
    if damage == "arrays":
        flipped = bytearray((tmp_path / ARRAYS).read_bytes())
        flipped[len(flipped) // 2] ^= 1
        (tmp_path / ARRAYS).write_bytes(bytes(flipped))
        expected = "SHA-256"
    elif damage == "pickle":
        (tmp_path / ARRAYS).write_bytes(pickle.dumps({}))
        expected = "SHA-256"
    elif damage == "settings":
        (tmp_path / SETTINGS).write_text("{")
    elif damage == "format":
        write_sealed_json(tmp_path / SETTINGS, settings | {"format": 99})
        expected = "has format 99"
    elif damage == "temperature":
        write_sealed_json(tmp_path / SETTINGS, settings | {"temperatures": {"unknown": 1}})
        expected = "cannot be read"
    else:
        corpus = Corpus(np.ascontiguousarray(corpus.vectors[:, :32]), corpus.terms, corpus.entity)
        expected = "tune a router for this index"
    with pytest.raises(RouterError, match=expected):
        load_router(tmp_path, corpus)
