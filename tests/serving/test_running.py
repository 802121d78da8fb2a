"""The command itself: processes that start, share the work, and end when they are told to."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures.served import PATIENCE, QUESTION, command
from trailhound.cli import main
from trailhound.serving._keys import read_keys
from trailhound.serving._settings import VARIABLE, ServerSettings

AT = "/v1/workspaces/isles"


def test_workers_see_each_others_changes_and_end_together(isles: Path, tmp_path: Path) -> None:
    place = Path(shutil.copytree(isles, tmp_path / "isles.index"))
    with command(place, "--workers", "2") as (process, client):
        job = client.ended(
            client("POST", f"{AT}/documents", [{"id": "walrus", "text": "A walrus slept on the jetty."}])
        )
        assert job["state"] == "done"
        for _ in range(12):  # connections go to either worker
            found = client.search("Who slept on the jetty?", system="lexical").json["evidence"]
            assert found[0]["passage"]["document_id"] == "walrus"
        counted = client("GET", "/metrics").content.decode()
        assert 'trailhound_search_seconds_count{workspace="isles"} 12.0' in counted
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
        with pytest.raises(OSError, match="refused"):
            client.search()


def test_ctrl_c_ends_the_server_after_the_change_that_runs(isles: Path, tmp_path: Path) -> None:
    place = Path(shutil.copytree(isles, tmp_path / "isles.index"))
    with command(place) as (process, client):
        assert client.search(QUESTION).status == 200
        names = [f"animal-{number}" for number in range(4)]
        for name in names:
            client("POST", f"{AT}/documents", [{"id": name, "text": f"{name} grazes."}])
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    with command(place) as (_, client):
        assert [client("GET", f"{AT}/documents/{name}").status for name in names] == [200] * len(names)


def test_serving_imports_no_torch(isles: Path, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from threading import Event\n"
        "from trailhound.serving._app import create_app; from trailhound.serving._settings import ServerSettings\n"
        "from trailhound.serving._sharded_workspace import open_workspace\n"
        f"create_app(ServerSettings({{}}, 'localhost', 1, 1, 1, Path({str(tmp_path)!r}), '0'))\n"
        f"open_workspace('isles', Path({str(isles)!r}), None).warm_up(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "False\n", done.stderr


def test_a_key_is_printed_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "keys.jsonl"
    made = ["serve", "--new-key", "sales", "--rights", "docs:search", "--principals", "a, b", "--keys", str(file)]
    assert main(made) == 0
    key = capsys.readouterr().out.strip()
    [found] = read_keys(file).values()
    assert (found.name, found.principals) == ("sales", {"a", "b"})
    assert key not in file.read_text("utf-8")
    assert main(made) == 1
    assert "has a key 'sales'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name an INDEX"),
        (["a.index", "--host", "0.0.0.0"], "give --keys FILE"),
        (["a.index", "elsewhere/a"], "two indexes are called 'a'"),
        (["--new-key", "one"], "needs --keys FILE"),
        (["a.index", "--rights", "a:search"], "give --new-key NAME"),
    ],
)
def test_wrong_use_is_told(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_an_index_that_is_not_there_is_told_before_anything_listens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
    assert main(["serve", str(tmp_path / "none.index")]) == 1
    assert "none.index" in capsys.readouterr().err


def test_workers_are_told_what_the_server_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    settings = ServerSettings(
        {"a": tmp_path / "a.index"}, "localhost", 1, 2, 3, tmp_path, "0.1", True, tmp_path / "keys", None, None, None
    )
    settings.tell_workers()
    assert ServerSettings.told() == settings
