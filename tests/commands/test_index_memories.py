"""``trailhound index``: how vectors and word pieces are kept, and duplicates left out."""

import argparse
from pathlib import Path

import pytest
from trailhound import Index, IndexSettings
from trailhound.agent._systems import open_system
from trailhound.cli import main
from trailhound.commands.indexing import add_index
from trailhound.retrievers.vectors._dense import KINDS

TEXTS = {
    "gate.md": "# The gate\n\nThe gate of the harbour was built by Brun Oller in 1871.",
    "brun.md": "# Brun Oller\n\nBrun Oller was an engineer who was born in Vellmark.",
    "bread.md": "# Bread\n\nBread is baked from flour, water and salt.",
}


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
    return folder


def test_every_kind_of_memory_can_be_asked_for() -> None:
    parser = argparse.ArgumentParser()
    add_index(parser.add_subparsers())
    for kind in KINDS:
        assert parser.parse_args(["index", "docs", "--out", "i", "--dense", kind]).dense == kind
    with pytest.raises(SystemExit):
        parser.parse_args(["index", "docs", "--out", "i", "--dense", "flat"])


def test_short_codes_and_word_pieces_by_the_built_in_encoder(docs: Path, tmp_path: Path) -> None:
    arguments = ["--dense", "opq", "--threads", "1", "--quiet"]
    assert main(["index", str(docs), "--out", str(tmp_path / "i"), *arguments]) == 0
    index = Index.open(tmp_path / "i", threads=1)
    assert index.settings == IndexSettings(dense="opq")
    assert [path.name for path in (tmp_path / "i").rglob("dense/*.index")] == ["faiss.index"]
    for text, title in (("Who baked bread?", "Bread"), ("an engineer from Vellmark", "Brun Oller")):
        for system in ("dense", "late"):
            best = open_system(index, system).rank(text, 1).rows[0]
            assert index.store.passage(int(best)).title == title
    without = ["index", str(docs), "--out", str(tmp_path / "i"), "--late-interaction", "off", "--quiet"]
    assert main(without) == 0
    assert Index.open(tmp_path / "i").pieces is None
    assert list((tmp_path / "i").rglob("pieces")) == []


def test_duplicates_are_dropped_counted_and_named(
    docs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (docs / "gate-again.md").write_text(TEXTS["gate.md"].replace("The gate of", "THE GATE of") + "\n")
    place = tmp_path / "i"
    arguments = ["--drop-duplicates", "--threads", "1", "--quiet"]
    assert main(["index", str(docs), "--out", str(place), *arguments]) == 0
    output = capsys.readouterr().out
    assert "4 documents, 3 passages" in output
    assert output.endswith(", 1 duplicates dropped\n")
    index = Index.open(place, threads=1)
    [dropped] = index.dropped
    assert dropped["reason"] == "equal"
    assert index.store.has(dropped["found_as"])
    assert not index.store.has(dropped["passage"])
    assert "gate-again.md" in dropped["passage"] or "gate-again.md" in dropped["found_as"]
    assert "harbour" in index.store.document("gate-again.md").text
