"""A report on the command line: the page is written and named, and what is wrong is said before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from trailhound.cli import main

Capture = pytest.CaptureFixture[str]


def test_a_page_is_written_and_wrong_use_is_said(tmp_path: Path, capsys: Capture) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text(json.dumps({"seed": 0}))
    (run / "metrics.json").write_text(json.dumps({"recall@5": 0.5}))
    out = tmp_path / "page.html"
    assert main(["report", str(run), "--out", str(out)]) == 0
    output, errors = capsys.readouterr()
    assert (output, errors) == (f"{out}: a page about 1 run\n", "")
    assert out.read_text("utf-8").startswith("<!doctype html>")
    assert main(["report", str(run), "--out", str(tmp_path / "none" / "page.html")]) == 1
    assert "its folder is not there" in capsys.readouterr().err
    assert main(["report", str(tmp_path), "--out", str(out)]) == 1
    assert "is no folder of a run" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["report"])
