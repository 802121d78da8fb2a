"""A search imports neither torch nor what stands on it: an application that embeds the agent pays for none of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from trailhound import Index

HEAVY = ("torch", "torch_geometric", "transformers", "stable_baselines3")

SEARCH = """
import json, sys
from trailhound import Index, SearchAgent

index = Index.open(sys.argv[1])
agent = SearchAgent(index, system=sys.argv[2] or None)
result = agent.search("Who is the mother of the director of the film Polish-Russian War?")
assert result.evidence and result.evidence[0].sentence is not None
assert result.answer is not None
print(json.dumps([agent.answered_by, *(name for name in sys.argv[3:] if name in sys.modules)]))
"""


@pytest.fixture(scope="module")
def built_in_index(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few passages with the built-in encoder, which the shipped policy was trained for."""
    folder = tmp_path_factory.mktemp("imports")
    (folder / "corpus").mkdir()
    lines = (corpus_folder / "corpus.jsonl").read_text("utf-8").splitlines()[:20]
    (folder / "corpus" / "corpus.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    Index.build([folder / "corpus"], folder / "few.index", threads=1)
    return folder / "few.index"


@pytest.mark.parametrize("system", ["", "hybrid", "hops", "ppr"])
def test_a_search_imports_nothing_heavy(built_in_index: Path, system: str) -> None:
    command = [sys.executable, "-c", SEARCH, str(built_in_index), system, *HEAVY]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answered_by, *imported = json.loads(done.stdout)
    assert answered_by == (f"fixed system: {system}" if system else "policy that comes with the package")
    assert imported == []
