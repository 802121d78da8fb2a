"""Without its framework an adapter says which extra to install; with it, it imports nothing heavy beside."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec

import pytest
from trailhound.errors import MissingExtraError

FRAMEWORKS = {
    "langchain": "langchain_core.callbacks",
    "llama_index": "llama_index.core.retrievers",
    "haystack": "haystack",
    "dspy": "dspy",
    "mcp": "mcp.server.mcpserver",
    "beir": "beir.retrieval.search",
    "mteb": "mteb.models.model_meta",
    "pyterrier": "pyterrier",
}
"""What each adapter imports first."""

BESIDE = """
import sys
heavy = {"torch", "torch_geometric", "transformers", "stable_baselines3"}
__import__(sys.argv[1])
before = heavy & set(sys.modules)
__import__("trailhound.adapters." + sys.argv[2])
print(*sorted(heavy & set(sys.modules) - before))
"""


@pytest.mark.parametrize("adapter", FRAMEWORKS)
def test_a_missing_framework_names_the_extra(adapter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, FRAMEWORKS[adapter], None)
    monkeypatch.delitem(sys.modules, f"trailhound.adapters.{adapter}", raising=False)
    with pytest.raises(MissingExtraError, match=rf"pip install 'trailhound\[{adapter.replace('_', '-')}\]'"):
        import_module(f"trailhound.adapters.{adapter}")


@pytest.mark.parametrize("adapter", FRAMEWORKS)
def test_an_adapter_imports_nothing_heavy_that_its_framework_does_not(adapter: str) -> None:
    if find_spec(FRAMEWORKS[adapter].partition(".")[0]) is None:
        pytest.skip(f"the extra {adapter} is not installed")
    command = [sys.executable, "-c", BESIDE, FRAMEWORKS[adapter], adapter]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
