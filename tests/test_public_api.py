"""``trailhound.__all__`` is the public face: sorted, complete, documented, annotated, and lazy."""

import ast
import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trailhound

OBJECTS = {name: getattr(trailhound, name) for name in trailhound.__all__}
TREE = ast.parse(Path(trailhound.__file__).read_text(encoding="utf-8"))
CLASSES = {name: value for name, value in OBJECTS.items() if inspect.isclass(value)}


def functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the public functions and the public methods that the public classes define themselves."""
    for name, value in OBJECTS.items():
        if not inspect.isclass(value):
            yield name, value
            continue
        for attribute, member in vars(value).items():
            function = inspect.unwrap(getattr(member, "__func__", getattr(member, "fget", member)))
            written_here = getattr(function, "__module__", "").startswith("trailhound")
            if not attribute.startswith("_") and inspect.isfunction(function) and written_here:
                yield f"{name}.{attribute}", function


FUNCTIONS = dict(functions())


def test_names_are_sorted_and_come_from_the_package() -> None:
    assert trailhound.__all__ == sorted(trailhound.__all__)
    strangers = [name for name, value in OBJECTS.items() if not value.__module__.startswith("trailhound.")]
    assert strangers == []


def imported_names(body: list[ast.stmt]) -> set[str]:
    return {alias.name for node in body if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_all_is_every_public_name() -> None:
    modules = {name for name, value in vars(trailhound).items() if inspect.ismodule(value)}
    public = {name for name in vars(trailhound) if not name.startswith("_")}
    assert public - modules - imported_names(TREE.body) <= set(trailhound.__all__)


def test_the_public_face_is_names_only() -> None:
    assert Path(trailhound.__file__).read_text(encoding="utf-8").count("\n") < 70


def test_the_functions_behind_the_commands_are_exported() -> None:
    commands = {"train", "evaluate", "tune", "tune_query", "tune_router", "tune_reranker", "explain_misses"}
    assert commands | {"refresh_router"} <= set(trailhound.__all__)


def test_type_checkers_and_completion_see_the_same_names() -> None:
    (block,) = (node for node in TREE.body if isinstance(node, ast.If))
    assert imported_names(block.body) == set(trailhound.__all__)
    assert set(trailhound.__all__) <= set(dir(trailhound)), "give trailhound a __dir__ that returns __all__"


def test_star_import_and_pickling_find_the_same_objects() -> None:
    names: dict[str, Any] = {}
    exec("from trailhound import *", names)
    for name, value in OBJECTS.items():
        assert names[name] is value
        assert pickle.loads(pickle.dumps(value)) is value


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'trailhound' has no attribute 'Serach'"):
        trailhound.Serach  # noqa: B018


def test_a_name_without_torch_does_not_load_torch() -> None:
    command = "import sys, trailhound; trailhound.Document, trailhound.TrailhoundError; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", OBJECTS)
def test_every_object_has_a_docstring_of_its_own(name: str) -> None:
    documentation = vars(OBJECTS[name]).get("__doc__") if name in CLASSES else OBJECTS[name].__doc__
    assert documentation
    assert not documentation.startswith(f"{name}("), "the signature that dataclasses put where nobody wrote anything"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_and_method_has_a_docstring_and_is_annotated(name: str) -> None:
    function = FUNCTIONS[name]
    assert function.__doc__
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty
    for parameter in signature.parameters.values():
        assert parameter.name in ("self", "cls") or parameter.annotation is not inspect.Parameter.empty, parameter


@pytest.mark.parametrize("name", CLASSES)
def test_every_constructor_is_annotated(name: str) -> None:
    if issubclass(CLASSES[name], BaseException):
        return
    for parameter in list(inspect.signature(CLASSES[name]).parameters.values()):
        assert parameter.annotation is not inspect.Parameter.empty, parameter
