"""The programs of the guide to embedding run, under the servers that they are for, and answer as one process does."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from trailhound import Document, Index
from trailhound.retrievers.questions._labelled import write_questions
from trailhound.retrievers.records import Question

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "servers.py"
PLACES = ["pier", "mill", "tower", "market"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with the built-in encoder, and questions."""
    folder = tmp_path_factory.mktemp("embedding")
    documents = [Document(place, place.title(), f"The {place} opens at {k + 8}.") for k, place in enumerate(PLACES)]
    Index.build(documents, folder / "x.index", threads=1)
    questions = [Question(place, f"When does the {place} open?") for place in PLACES]
    write_questions(folder / "questions", questions, {"test": {place: {place: 1} for place in PLACES}})
    return folder


@pytest.mark.parametrize(
    ("server", "packages"),
    [("pool", []), ("gunicorn", ["gunicorn"]), ("uvicorn", ["uvicorn", "fastapi"]), ("celery", ["celery"])],
)
def test_a_program_of_the_guide_answers_in_its_server(folder: Path, server: str, packages: list[str]) -> None:
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")
    out = folder / f"{server}.json"
    where = ["--questions", str(folder / "questions"), "--split", "test", "--only", server, "--json", str(out)]
    command = [sys.executable, str(SCRIPT), str(folder / "x.index"), *where]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stderr
    told = json.loads(out.read_text("utf-8"))["servers"][server]
    assert told["wrong"] == 0
    assert told["processes"] >= 1
