"""The files for Docker fit together, and to the package. No engine runs here: an image is not built."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import tomllib
from argparse import ArgumentParser
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from trailhound.cli import build_parser
from trailhound.commands.serve import PORT

ROOT = Path(__file__).parents[1]
KNOWN = {"FROM", "ARG", "WORKDIR", "RUN", "ENV", "COPY", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}


def instructions() -> list[tuple[str, str]]:
    """Return what the Dockerfile says, in order: each instruction with its arguments."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in text.splitlines()) if name]


def told(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


@pytest.fixture(scope="module")
def service() -> dict[str, Any]:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    assert {mount.partition(":")[0] for mount in compose["services"]["trailhound"]["volumes"]} == {
        "./my-docs",
        *compose["volumes"],
    }
    found: dict[str, Any] = compose["services"]["trailhound"]
    return found


def understood(arguments: list[str]) -> Any:
    parser: ArgumentParser = build_parser()
    return parser.parse_args(arguments)


def ignored(path: str) -> bool:
    """Whether .dockerignore leaves out a file: the last line that speaks of it, or of a folder above it, decides."""
    found = False
    places = [path.rsplit("/", count)[0] for count in range(path.count("/") + 1)]
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.removeprefix("!")
        if line and line[0] != "#" and any(_fits(place, pattern) for place in places):
            found = not line.startswith("!")
    return found


def _fits(path: str, pattern: str) -> bool:
    """Docker's patterns: a star does not cross folders, two at the beginning do."""
    if pattern.startswith("**/"):
        return fnmatch(path.rsplit("/", 1)[-1], pattern[3:])
    return path.count("/") == pattern.count("/") and fnmatch(path, pattern)


def test_every_instruction_is_one_of_docker_s() -> None:
    assert {name for name, _ in instructions()} == KNOWN


def test_the_server_is_started_by_a_command_that_the_program_knows() -> None:
    (entry,), (command,) = map(json.loads, told("ENTRYPOINT")), map(json.loads, told("CMD"))
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    assert entry == ["trailhound"] == list(scripts)
    parsed = understood(command)
    assert parsed.host == "0.0.0.0"
    assert parsed.keys is not None  # others reach it


def test_the_lines_that_prepare_a_server_are_commands_that_the_program_knows() -> None:
    (command,) = map(json.loads, told("CMD"))
    text = (ROOT / "compose.yaml").read_text("utf-8") + (ROOT / "docs/tutorials/serve.md").read_text("utf-8")
    lines = re.findall(r"docker compose run --rm trailhound (.*)$", text, re.MULTILINE)
    prepared = [(line.partition(" ")[0], understood(shlex.split(line))) for line in lines]
    assert {str(one.out) for name, one in prepared if name == "index"} == {str(understood(command).index[0])}
    assert {str(one.keys) for name, one in prepared if name == "serve"} == {str(understood(command).keys)}


def test_files_that_are_copied_are_there_and_not_ignored() -> None:
    copied = [place for line in told("COPY") if "--from" not in line for place in line.split()[:-1]]
    assert copied == ["constraints.txt", "."]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    folders = [
        name.replace(".", "/").removeprefix("trailhound").strip("/")
        for name in project["tool"]["setuptools"]["packages"]
    ]
    needed = ["constraints.txt", "pyproject.toml", "README.md", "LICENSE", "py.typed"]
    needed += [f"{folder}/__init__.py".strip("/") for folder in folders]
    needed += [path.relative_to(ROOT).as_posix() for path in (ROOT / "runs/recipes").glob("*.toml")]
    for folder, patterns in project["tool"]["setuptools"]["package-data"].items():
        place = ROOT / folder.replace(".", "/").removeprefix("trailhound").strip("/")
        needed += [path.relative_to(ROOT).as_posix() for pattern in patterns for path in place.glob(pattern)]
    assert [name for name in needed if not (ROOT / name).exists() or ignored(name)] == []
    left_out = (".git/config", "tests/conftest.py", "runs/mine/policy.json", "agent/__pycache__/x.pyc", "my.index/lock")
    assert [name for name in left_out if not ignored(name)] == []


def test_extras_that_are_installed_are_those_of_the_package_and_serve() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    (installed,) = re.findall(r"'\.\[([\w,]+)\]'", " ".join(told("RUN")))
    assert "server" in installed.split(",")
    assert set(installed.split(",")) <= set(extras)


def test_health_is_asked_where_the_server_listens(service: dict[str, Any]) -> None:
    (check,) = told("HEALTHCHECK")
    code = json.loads(check.partition("CMD ")[2])
    assert code[:2] == ["python", "-c"]
    compile(code[2], "HEALTHCHECK", "exec")
    assert f"127.0.0.1:{PORT}/health/ready" in code[2]
    assert told("EXPOSE") == [str(PORT)]
    assert [port.rpartition(":")[2] for port in service["ports"]] == [str(PORT)]


def test_it_does_not_run_as_root_and_owns_its_data(service: dict[str, Any]) -> None:
    (user,), (data,) = told("USER"), told("VOLUME")
    assert any(
        f"useradd --create-home --uid 10001 {user} " in line and f"--owner {user} {data}" in line
        for line in told("RUN")
    )
    assert told("WORKDIR")[-1] == data
    assert f"data:{data}" in service["volumes"]


def test_arguments_that_the_image_is_built_with_are_declared(service: dict[str, Any]) -> None:
    assert list(service["build"]["args"]) == told("ARG")
    assert (ROOT / service["build"]["context"] / "Dockerfile").is_file()
    assert importlib.util.find_spec("trailhound") is not None
