"""An index with the built-in encoder, for what is searched in processes of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from trailhound import Index


@pytest.fixture(scope="session")
def built_in_index(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few passages with the built-in encoder, which the shipped policy was trained for; never changed by a test."""
    folder = tmp_path_factory.mktemp("built-in")
    (folder / "corpus").mkdir()
    lines = (corpus_folder / "corpus.jsonl").read_text("utf-8").splitlines()[:20]
    (folder / "corpus" / "corpus.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    Index.build([folder / "corpus"], folder / "few.index", threads=1)
    return folder / "few.index"
