"""The code of docs/adapters.md runs, for every framework that is installed."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from trailhound import Document, Index

PAGE = (Path(__file__).parents[2] / "docs" / "adapters.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?```python\n(.*?)```", PAGE, re.S | re.M))
FRAMEWORKS = {
    "LangChain": "langchain_core",
    "LlamaIndex": "llama_index",
    "Haystack": "haystack",
    "DSPy": "dspy",
    "Model Context Protocol": "mcp",
    "BEIR": "beir",
    "mteb": "mteb",
    "PyTerrier": "pyterrier",
}
DOCUMENTS = [
    Document("model-7.md", "Model 7", "Brun makes the Model 7, which was first sold in 1987.", "model-7.md"),
    Document("brun.md", "Brun", "Brun is a company of Torl. Ada Kron founded it.", "brun.md"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the index that the page searches."""
    made = tmp_path_factory.mktemp("documented")
    Index.build(DOCUMENTS, made / "my-docs.index", threads=1)
    return made


def test_every_adapter_is_documented() -> None:
    assert BLOCKS.keys() == FRAMEWORKS.keys()


@pytest.mark.filterwarnings("ignore")  # of the frameworks' own
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_code_of_the_page_runs(
    framework: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if find_spec(FRAMEWORKS[framework]) is None:
        pytest.skip(f"{framework} is not installed")
    if framework == "mteb":
        no_download(monkeypatch)
    monkeypatch.chdir(folder)
    exec(compile(BLOCKS[framework], f"docs/adapters.md: {framework}", "exec"), {"__name__": "documented"})
    assert capsys.readouterr().out


def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let mteb give a task of its own that needs no network for the one that the page names."""
    import mteb
    from mteb.mocks import MockRetrievalTask

    def tasks(**named: Any) -> list[Any]:
        return [MockRetrievalTask()]

    monkeypatch.setattr(mteb, "get_tasks", tasks)
