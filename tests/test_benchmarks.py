"""What keeps the benchmarks and examples runnable: their imports are there, and their tables say what was measured."""

import argparse
import ast
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted([*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "examples").glob("*.py")])
RUN = [path for path in SCRIPTS if path.parent.name == "benchmarks" and "def main(" in path.read_text(encoding="utf-8")]


@pytest.fixture(scope="module")
def table() -> ModuleType:
    """The module that benchmarks print their tables with."""
    spec = importlib.util.spec_from_file_location("benchmark_table", ROOT / "benchmarks" / "table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


def defined_in(path: Path) -> set[str]:
    """Name what a file defines or imports at its top level."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom | ast.If):
            names |= {
                alias.asname or alias.name
                for inner in ast.walk(node)
                if hasattr(inner, "names")
                for alias in inner.names
            }
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {inner.id for target in targets for inner in ast.walk(target) if isinstance(inner, ast.Name)}
    return names


def imported(script: Path) -> Iterator[tuple[Path, str]]:
    """Yield (file, name) of everything that a script imports from the package or from beside it."""
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        first, _, inner = node.module.partition(".")
        if first == "trailhound":
            home = ROOT.joinpath(*inner.split(".")) if inner else ROOT
        elif (script.parent / f"{first}.py").exists():
            home = script.parent / first
        else:
            continue
        for alias in node.names:
            if (home / f"{alias.name}.py").exists():
                continue
            yield home / "__init__.py" if home.is_dir() else home.with_suffix(".py"), alias.name


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_what_a_script_imports_is_there(script: Path) -> None:
    missing = [
        f"{home.relative_to(ROOT)}: {name}"
        for home, name in imported(script)
        if not home.exists() or name not in defined_in(home)
    ]
    assert missing == []


@pytest.mark.parametrize("script", RUN, ids=lambda path: path.name)
def test_a_benchmark_says_how_it_is_run(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert f"python benchmarks/{script.name}" in (ast.get_docstring(ast.parse(text)) or "")
    assert "__doc__" in text, "its --help is its docstring"


def test_a_table_is_aligned_and_gives_mean_and_spread(table: ModuleType) -> None:
    results = {"hybrid": [{"recall@5": 0.5}], "policy": [{"recall@5": 0.8, "calls": 2}, {"recall@5": 0.9, "calls": 4}]}
    assert table.by_system(results, ["recall@5", table.Column("calls", "calls of a search", 1)]).splitlines() == [
        "| system |     recall@5 | calls of a search |",
        "| ------ | -----------: | ----------------: |",
        "| hybrid |        50.00 |                   |",
        "| policy | 85.00 ± 7.07 |         3.0 ± 1.4 |",
    ]


def test_json_says_what_it_was_measured_with(table: ModuleType, tmp_path: Path) -> None:
    parsed = argparse.Namespace(json=tmp_path / "figures.json", work=Path("runs"), seeds=[3])
    table.write({"policy": [{"recall@5": 0.5}]}, parsed)
    written = json.loads((tmp_path / "figures.json").read_text())
    assert written["results"] == {"policy": [{"recall@5": 0.5}]}
    assert written["arguments"] == {"work": "runs", "seeds": [3]}
    assert {"commit", "machine", "python", "torch"} <= set(written["measured with"])
