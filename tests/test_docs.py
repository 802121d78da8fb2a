"""The documentation says what is there: a page for every command, every option on its page, every public name."""

import importlib.util
import re
import shlex
from argparse import ArgumentParser
from pathlib import Path

import pytest
import trailhound
from trailhound.retrievers.corpus._readers import READERS

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted((DOCS / "commands").glob("*.md"))
GUIDES = [*sorted(DOCS.glob("*.md")), DOCS.parent / "README.md"]
GUIDE_NAMES = {
    "documents-and-passages",
    "search-results-and-scores",
    "which-system-when",
    "training-on-your-data",
    "formats",
    "json",
}


def parsers() -> dict[str, ArgumentParser]:
    """Return the parser of every command, as the script finds it that writes the tables."""
    spec = importlib.util.spec_from_file_location("docs_options", DOCS / "options.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, ArgumentParser] = module.commands()
    return found


COMMANDS = parsers()


def options_of(command: str) -> set[str]:
    return {option for action in COMMANDS[command]._actions for option in action.option_strings if option[:2] == "--"}


def test_every_command_has_a_page_and_every_page_a_command() -> None:
    assert {page.stem for page in PAGES} == set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_option_is_on_the_page_of_its_command(page: Path) -> None:
    table = page.read_text(encoding="utf-8").partition("## Options\n")[2]
    named = set(re.findall(r"^\| `(--[\w-]+)", table, re.MULTILINE))
    assert named == options_of(page.stem) - {"--help"}, "run  python docs/options.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_what_it_is_for_and_shows_an_example(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# trailhound {page.stem}\n\n")
    shown = text.partition("## Example\n")[2]
    assert re.search(rf"```\n\$ trailhound {page.stem}\b", shown)


def test_there_is_a_guide_on_every_subject_and_readme_leads_to_it() -> None:
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    assert {page.stem for page in DOCS.glob("*.md")} >= GUIDE_NAMES
    assert [name for name in sorted(GUIDE_NAMES) if f"docs/{name}.md" not in readme] == []


@pytest.mark.parametrize("page", [*PAGES, *GUIDES], ids=lambda page: page.stem)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", [*PAGES, *GUIDES], ids=lambda page: page.stem)
def test_documents_name_no_option_that_is_gone(page: Path) -> None:
    everything = set().union(*map(options_of, COMMANDS)) | {"--version", "--logdir"}
    text = re.sub(r"^ *(?:pip|python|make) .*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(re.findall(r"(?<![\w-])--[a-z][\w-]*", text)) - everything == set()


@pytest.mark.parametrize("page", [*PAGES, *GUIDES], ids=lambda page: page.stem)
def test_command_lines_in_documents_are_understood(page: Path) -> None:
    lines = re.findall(
        r"^(?:\$ | {4})trailhound ((?:[^\n]*\\\n)*[^\n]*)", page.read_text(encoding="utf-8"), re.MULTILINE
    )
    for line in lines:
        command, *arguments = shlex.split(line.replace("\\\n", " "), comments=True)
        COMMANDS[command].parse_args(arguments)


def test_the_page_of_formats_names_every_reader_and_no_file_that_none_reads() -> None:
    rows = re.findall(r"^\| (`\..*?) \|", (DOCS / "formats.md").read_text(encoding="utf-8"), re.MULTILINE)
    named = {suffix for row in rows for suffix in re.findall(r"`(\.\w+)`", row)}
    assert named - READERS.keys() - {".json", ".jsonl"} == set()
    assert [
        reader for reader in {*READERS.values()} if not named & {s for s, r in READERS.items() if r == reader}
    ] == []


def test_files_that_documents_name_are_there() -> None:
    named = {name for page in DOCS.glob("*.md") for name in re.findall(r"`(\w+/[\w/]+\.py)`", page.read_text("utf-8"))}
    assert [name for name in sorted(named) if not (DOCS.parent / name).exists()] == []


def test_python_in_documents_imports_public_names() -> None:
    for page in [*PAGES, *GUIDES]:
        for names in re.findall(r"^from trailhound import (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert set(names.split(", ")) <= set(trailhound.__all__), page.name
