"""The documentation builds as a site without a warning, has all public names, and fetches nothing when it is read."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import trailhound

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("mkdocs", "material", "mkdocstrings"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'trailhound[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_there_and_readme_is_the_first(site: Path) -> None:
    pages = [path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")]
    beside = map(Path, ("ARCHITECTURE.html", "CHANGELOG.html", "CONTRIBUTING.html", "benchmarks/RESULTS.html"))
    assert [str(page) for page in [*pages, *beside] if not (site / page).is_file()] == []
    first = (site / "index.html").read_text("utf-8")
    assert "Measure it, train it" in first
    unreachable = [str(page) for page in pages if f'href="{page}"' not in first]
    assert unreachable == []


def test_every_public_name_is_on_the_page_of_names(site: Path) -> None:
    page = (site / "api.html").read_text("utf-8")
    assert [name for name in trailhound.__all__ if f">{name}</span>" not in page] == []
    assert set(re.findall(r"^::: trailhound\.(\w+)$", (ROOT / "docs/api.md").read_text("utf-8"), re.MULTILINE)) == set(
        trailhound.__all__
    )


def test_nothing_is_fetched_from_elsewhere_when_a_page_is_read(site: Path) -> None:
    """Links that are followed by hand lead elsewhere; scripts, styles, fonts and pictures do not."""
    fetched = re.compile(
        r"""<(?:script|img|iframe|source)[^>]*\bsrc=["']?(?:https?:)?//[^>]*|<link[^>]*href=["']?(?:https?:)?//[^>]*"""
    )
    outside = re.compile(r"""url\(["']?(?:https?:)?//[^)]*|@import[^;]*//[^;]*""")
    found = {hit for page in site.rglob("*.html") for hit in fetched.findall(page.read_text("utf-8"))}
    found |= {hit for sheet in site.rglob("*.css") for hit in outside.findall(sheet.read_text("utf-8"))}
    assert found == set()
