"""What is added to an index is compiled as its base was; where that takes more, the index says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from trailhound import Document, Index, IndexSettings
from trailhound.errors import UpdateError

NOTES = [Document("a", "Harbour", "The harbour of Ostrava has no water."), Document("b", "Mill", "A mill by a river.")]


def built(folder: Path, settings: IndexSettings, **more: dict[str, str]) -> Index:
    return Index.build(NOTES, folder / "notes.index", settings=settings, threads=1, mask_patterns=more.get("patterns"))


def test_private_data_is_masked_in_what_is_added(tmp_path: Path) -> None:
    index = built(tmp_path, IndexSettings(mask=("email",)))
    index.add([Document("c", "Contact", "Write to jana.novakova@example.org about the mill.")])
    assert index.store.document("c").text == f"Write to {'█' * 25} about the mill."
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"novakova" not in path.read_bytes(), path
    assert index.compact()
    assert index.store.document("c").text == f"Write to {'█' * 25} about the mill."


def test_added_documents_are_cut_by_the_same_budget(tmp_path: Path) -> None:
    index = built(tmp_path, IndexSettings(chunk_tokens=8))
    before = len(index)
    index.add([Document("c", "Words", "One two three four five. Six seven eight nine ten. Eleven twelve.")])
    texts = [index.store.passage(row).text for row in range(before, len(index))]
    assert texts == ["One two three four five.", "Six seven eight nine ten.", "Eleven twelve."]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (IndexSettings(context="title"), r"puts passages in context \(title\)"),
        (IndexSettings(late_interaction=2), "has late interaction"),
        (IndexSettings(dimension=2), "has shorter vectors"),
        (IndexSettings(drop_duplicates=True), "leaves duplicates out"),
    ],
)
def test_an_index_that_must_be_built_anew_says_so(settings: IndexSettings, said: str, tmp_path: Path) -> None:
    index = built(tmp_path, settings)
    with pytest.raises(UpdateError, match=f"{said}: it cannot be changed in place; build it again"):
        index.add([Document("c", "Contact", "Another document.")])
    assert len(index) == 2


def test_patterns_that_are_not_kept_cannot_mask_what_is_added(tmp_path: Path) -> None:
    index = built(tmp_path, IndexSettings(), patterns={"staff": r"EMP-\d{6}"})
    with pytest.raises(UpdateError, match="masks by patterns of your own"):
        index.add([Document("c", "Contact", "EMP-123456 is here.")])
