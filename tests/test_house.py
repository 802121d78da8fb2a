"""The house rules that can be read off the source: floors, circles, sizes, and a test room for every room."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import networkx
import pytest
import trailhound

ROOT = Path(__file__).parents[1]
FLOORS = ["retrievers", "graph", "index", "sharding", "envs", "agent", "learning", "measuring", "serving"]
ROOF = len(FLOORS)
"""The level of ``cli``, ``commands``, ``__main__`` and ``__init__``; ``errors`` lies below every floor."""
LONGEST_FILE = 400
LONGEST_FUNCTION = 60


def source_files() -> Iterator[Path]:
    """Yield every Python file of the package."""
    yield from sorted(ROOT.glob("*.py"))
    for room in (*FLOORS, "adapters", "commands", "demo"):
        yield from sorted((ROOT / room).rglob("*.py"))


FILES = list(source_files())


def module_of(path: Path) -> str:
    """Name a file as a module, the root package as an empty string: ``agent.policy``, ``agent``, ``cli``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports_of(module: str) -> Iterator[tuple[str, int]]:
    """Yield the package's modules that a module imports, wherever in it, with the line; also for types only."""
    path = MODULES[module]
    parts = module.split(".") if module else []
    package = parts if path.name == "__init__.py" else parts[:-1]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1] + (node.module or "").split(".")
            target = ".".join(part for part in base if part)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "trailhound":
            target = (node.module or "").partition(".")[2]
        else:
            continue
        for alias in node.names:
            inner = f"{target}.{alias.name}".strip(".")
            yield (inner if inner in MODULES else target), node.lineno


def level_of(module: str) -> int:
    if module == "errors":
        return -1
    room = module.partition(".")[0]
    return FLOORS.index(room) if room in FLOORS else ROOF


def test_no_import_runs_upwards() -> None:
    upwards = [
        f"{MODULES[module].relative_to(ROOT)}:{line} imports {target or 'the root'}"
        for module in MODULES
        for target, line in imports_of(module)
        if level_of(target) > level_of(module)
    ]
    assert upwards == []


def test_every_relative_import_names_a_module_that_is_there() -> None:
    missing = [
        f"{MODULES[module].relative_to(ROOT)}:{line} imports {target}"
        for module in MODULES
        for target, line in imports_of(module)
        if target not in MODULES
    ]
    assert missing == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    imports = networkx.DiGraph((module, target) for module in MODULES for target, _ in imports_of(module))
    circles = [sorted(group) for group in networkx.strongly_connected_components(imports) if len(group) > 1]
    assert circles + list(networkx.nodes_with_selfloops(imports)) == []


def test_no_folders_import_each_other_in_a_circle() -> None:
    folder = {module: module.rpartition(".")[0] for module in MODULES if "." in module}
    imports = networkx.DiGraph(
        (folder[module], folder[target])
        for module in folder
        for target, _ in imports_of(module)
        if target in folder and folder[target] != folder[module]
    )
    circles = [sorted(group) for group in networkx.strongly_connected_components(imports) if len(group) > 1]
    assert circles == []


def test_the_package_is_imported_relatively_inside_and_by_name_in_tests() -> None:
    """One name for one module: a test that imported relatively would test another copy."""
    wrong = []
    for path in FILES:
        for node in ast.walk(tree_of(path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            wrong += [f"{path.relative_to(ROOT)}:{node.lineno}" for name in names if name.split(".")[0] == "trailhound"]
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ImportFrom) and node.level:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert wrong == []


def test_every_package_is_listed_for_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {f"trailhound.{module_of(path)}".strip(".") for path in FILES if path.name == "__init__.py"}
    assert set(project["tool"]["setuptools"]["packages"]) == packages
    folders = {path.parent for path in FILES}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


PUBLIC = {"__main__", "cli", "console", "errors", "retrievers.protocols", "retrievers.records"}
"""Public beside the homes of what is exported, the commands, the adapters, and ``retrievers.differentiable``."""


def test_modules_that_are_not_public_begin_with_an_underscore() -> None:
    homes = set(trailhound._HOMES)
    named = {
        module: module.rpartition(".")[2].startswith("_")
        for module, path in MODULES.items()
        if path.name not in {"__init__.py", "__main__.py"}
    }
    public = {
        module
        for module in named
        if module in PUBLIC | homes
        or module.startswith(("commands.", "retrievers.differentiable."))
        or (module.startswith("adapters.") and "._" not in module)
    }
    assert {module for module, private in named.items() if not private} == public


def test_files_are_short() -> None:
    lengths = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in FILES}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_functions_are_short() -> None:
    lengths = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def test_only_the_command_line_prints() -> None:
    printing = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in FILES
        if path.parent.name != "commands"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printing == []


def test_every_room_has_its_tests() -> None:
    rooms = {path.parent.relative_to(ROOT) for path in FILES if path.name != "__init__.py"}
    empty = [str(room) for room in sorted(rooms) if not list((ROOT / "tests" / room).glob("test_*.py"))]
    assert empty == []


def in_fresh_python(command: str) -> str:
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", ["trailhound", "trailhound.cli", "trailhound.retrievers.corpus._loading"])
def test_import_is_fast_because_heavy_libraries_wait(module: str) -> None:
    heavy = "torch transformers faiss tantivy ctranslate2 stable_baselines3 torch_geometric scipy networkx"
    command = f"import {module}, sys; print(*[name for name in {heavy.split()} if name in sys.modules])"
    assert in_fresh_python(command).split() == []
