"""Blocks that the pages of a site repeat are left out of each, counted, and of pages that are read later too."""

from __future__ import annotations

from pathlib import Path

import pytest
from trailhound import Index
from trailhound.retrievers.corpus._known_files import KnownFiles
from trailhound.retrievers.corpus._loading import CorpusReader

LINKS = '<div><a href="a">Start</a> <a href="b">Contents</a> <a href="c">Index of names</a></div>'
ENDING = "<div>Was this page helpful</div>"
WARNING = "<p>Mind the tide: the pier is under water twice a day, and whoever stays there drowns.</p>"


def site(folder: Path, pages: int, share: float = 1.0) -> Path:
    for page in range(pages):
        repeated = page < share * pages
        (folder / f"{page:02}.html").parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{page:02}.html").write_text(
            f"<title>Page {page}</title>{LINKS if repeated else ''}<h1>Harbour {page}</h1>"
            f"<p>The ferry number {page} leaves the harbour at nine and returns in the evening of that day.</p>"
            f"{WARNING}<p>Its captain is known to all who live on island {page}, and nobody has ever met him.</p>"
            f"{ENDING if repeated else ''}"
        )
    return folder


@pytest.mark.parametrize(
    ("pages", "share", "left_out"), [(8, 1.0, True), (10, 0.4, True), (4, 1.0, False), (30, 0.1, False)]
)
def test_only_what_many_pages_repeat_is_left_out(tmp_path: Path, pages: int, share: float, left_out: bool) -> None:
    reader = CorpusReader([site(tmp_path, pages, share)], pytest.fail)
    texts = [document.text for document in reader]
    assert all(f"island {page}" in text and "Mind the tide" in text for page, text in enumerate(texts))
    assert ("Index of names" in texts[0]) is not left_out
    assert ("Was this page helpful" in texts[0]) is not left_out
    counted = reader.report.left_out["blocks that pages of a site repeat"]
    assert counted == (2 * round(share * pages) if left_out else 0)


def test_each_folder_is_a_site_of_its_own(tmp_path: Path) -> None:
    site(tmp_path / "one", 6)
    for number in range(5):
        site(tmp_path / f"other{number}", 8, share=0.0)
    texts = {document.id: document.text for document in CorpusReader([tmp_path], pytest.fail)}
    assert "Index of names" not in texts["one/03.html"]


def test_a_page_that_is_read_later_loses_the_same_blocks(tmp_path: Path) -> None:
    folder = site(tmp_path / "site", 8)
    index = Index.build([folder], tmp_path / "x.index")
    furniture = index.manifest["reading"]["furniture"]
    assert len(furniture) == 2
    known = KnownFiles(furniture=furniture)
    (document,) = CorpusReader([folder / "03.html"], pytest.fail, known=known)
    assert document.text == index.store.document("03.html").text
    assert "Index of names" not in document.text
