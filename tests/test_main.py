import runpy
import sys

import pytest
import trailhound


def test_python_m_trailhound_is_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["trailhound", "--version"])
    with pytest.raises(SystemExit) as exit_:
        runpy.run_module("trailhound", run_name="__main__")
    assert exit_.value.code == 0
    assert trailhound.__version__ in capsys.readouterr().out
