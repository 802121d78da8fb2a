"""The wheel holds what a user needs and nothing else."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = [
    "adapters",
    "agent",
    "commands",
    "demo",
    "envs",
    "graph",
    "index",
    "learning",
    "measuring",
    "retrievers",
    "serving",
    "sharding",
]
NOT_SOURCE = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "*.index")


def not_source(folder: str, names: list[str]) -> set[str]:
    """Name what building and training leave in a checkout."""
    runs = set(names) - {"recipes"} if Path(folder) == ROOT / "runs" else set()
    return NOT_SOURCE(folder, names) | runs


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Build the wheel from a copy, so that nothing left over in the checkout can get into it, or come of it."""
    source = shutil.copytree(ROOT, tmp_path_factory.mktemp("wheel") / "source", ignore=not_source)
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(source / "dist"),
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (source / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def expected() -> set[str]:
    files = [*ROOT.glob("*.py"), ROOT / "py.typed", *(ROOT / "runs" / "recipes").glob("*.toml")]
    for room in ROOMS:
        files += [*(ROOT / room).rglob("*.py"), *(ROOT / room).rglob("*.toml")]
    for folder in (ROOT / "agent" / "shipped", ROOT / "retrievers" / "router" / "shipped", ROOT / "serving" / "page"):
        files += [path for path in folder.glob("*") if path.is_file()]
    return {f"trailhound/{path.relative_to(ROOT).as_posix()}" for path in files}


def test_wheel_has_every_module_recipe_and_shipped_file_and_nothing_else(wheel_names: set[str]) -> None:
    assert {name for name in wheel_names if name.startswith("trailhound/")} == expected()


def test_wheel_installs_one_package_with_its_license(wheel_names: set[str]) -> None:
    tops = {name.partition("/")[0] for name in wheel_names}
    assert {top.partition("-")[0] for top in tops} == {"trailhound"}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel_names)
    assert any(name.endswith(".dist-info/entry_points.txt") for name in wheel_names)
