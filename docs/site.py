"""Makes one site of docs/ and the documents beside it; mkdocs calls these functions while it builds.

README is the first page. Links between files of the repository become links between pages of the site.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
OUTSIDE = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "ARCHITECTURE.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "benchmarks/RESULTS.md": "benchmarks/RESULTS.md",
    "docs/commands": "commands.md",
}
"""Pages that are not files of docs/: where they are in the repository, and on the site."""

_LINK = re.compile(r"(?<=\]\()[^)#:\s]+(?=[)#])")


def on_config(config: MkDocsConfig) -> None:
    """Add the guides and commands that the navigation does not name."""
    named = set(re.findall(r"[\w./-]+\.md", str(config.nav)))
    sections = {name: pages for section in config.nav or [] for name, pages in section.items()}
    for name, folder in (("Guides", "."), ("Tutorials", "tutorials"), ("Commands", "commands")):
        found = (path.relative_to(config.docs_dir).as_posix() for path in Path(config.docs_dir, folder).glob("*.md"))
        sections[name] += sorted(set(found) - named)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not files of docs/."""
    for source, page in OUTSIDE.items():
        text = _commands() if source == "docs/commands" else (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between pages."""
    here = page.file.src_uri
    source = next((source for source, name in OUTSIDE.items() if name == here), f"docs/{here}")
    folder = os.path.dirname(source)

    def on_site(link: re.Match[str]) -> str:
        target = os.path.normpath(os.path.join(folder, link[0]))
        return os.path.relpath(OUTSIDE.get(target, target.removeprefix("docs/")), os.path.dirname(here) or ".")

    return _LINK.sub(on_site, markdown)


def _commands() -> str:
    lines = ["# Commands", ""]
    for path in sorted((ROOT / "docs/commands").glob("*.md")):
        heading, _, text = path.read_text(encoding="utf-8").partition("\n\n")
        first = " ".join(text.partition("\n\n")[0].split())
        lines.append(f"- [{heading.removeprefix('# ')}](commands/{path.name}): {first}")
    return "\n".join(lines) + "\n"
