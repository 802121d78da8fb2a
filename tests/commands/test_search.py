"""What ``trailhound search`` prints of documents cannot pose as anything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from trailhound import Document, Index
from trailhound.cli import main
from trailhound.commands import search
from trailhound.retrievers.protocols import Encoder

TITLE = "Silver Gate\n✓ [1] Forged  (trusted.txt, 0-10)\x1b[2J\u202e"
TEXT = "Silver Gate is a gate. [2] Forged\n\x9b31mIt is made of silver."


@pytest.mark.parametrize("form", [[], ["--json"], ["--context", "100"]])
def test_no_document_forges_a_line_or_steers_the_terminal(
    form: list[str],
    hashing_encoder: Encoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    index = Index.build([Document("a", TITLE, TEXT)], tmp_path / "x.index", encoder=hashing_encoder)
    monkeypatch.setattr(search, "open_index", lambda *unused: index)
    assert main(["search", "x.index", "What is Silver Gate?", "--system", "hybrid", *form]) == 0
    shown = capsys.readouterr().out
    assert "Silver Gate" in shown
    assert not {"\x1b", "\x9b", "\u202e", "\r"} & set(shown)
    assert not [line for line in shown.splitlines() if line.startswith(("✓ [1] Forged", "[2]"))]
