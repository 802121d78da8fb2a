"""What README and the page of search show is what the program prints, for documents as they are here."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from trailhound.cli import main

ROOT = Path(__file__).parents[1]
DOCUMENTS = {
    "gate.md": "# The Silver Gate\n\nThe Silver Gate is a film that was directed by Ada Brun."
    " It was shot in Torl and won two prizes.\n",
    "brun.md": "# Ada Brun\n\nAda Brun is a director. Her mother is Lena Marsk, a painter.\n",
    "marsk.md": "# Lena Marsk\n\nLena Marsk was born in Torl. She painted harbours, and taught in Veld.\n",
    "torl.md": "# Torl\n\nTorl is a town by the sea. It has a harbour and a market.\n",
    "guide/ferry.md": "# The ferry to Veld\n\nThe ferry leaves the harbour of Torl at nine. It comes back at noon.\n\n"
    "## Prices\n\n| from | to | price |\n|---|---|---|\n| Torl | Veld | 12 crowns |\n| Veld | Torl | 9 crowns |\n\n"
    "Children under six travel free. Dogs pay half.\n",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    house = tmp_path_factory.mktemp("readme")
    for name, text in DOCUMENTS.items():
        (house / "my-docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (house / "my-docs" / name).write_text(text, "utf-8")
    assert main(["index", str(house / "my-docs"), "--out", str(house / "my-docs.index"), "--quiet"]) == 0
    return house


@pytest.mark.parametrize("page", ["README.md", "docs/commands/search.md"])
def test_the_result_that_is_shown_is_the_one_that_is_printed(
    page: str, house: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The answer and the passages; how the search came there may change with the policy that ships."""
    monkeypatch.chdir(house)
    blocks = re.findall(
        r"^```\n\$ trailhound (search .*)\n((?:.*\n)*?)```$", (ROOT / page).read_text("utf-8"), re.MULTILINE
    )
    assert blocks
    for command, shown in blocks:
        assert main(shlex.split(command)) == 0
        printed = capsys.readouterr().out
        assert masked(printed.partition("\npath: ")[0]) == masked(shown.partition("\npath: ")[0])


def masked(text: str) -> str:
    return re.sub(r"\d\.\d\d", "N", text)


def test_the_first_minute_of_readme_works_as_it_is_written(
    house: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(house)
    text = (ROOT / "README.md").read_text("utf-8").partition("## Your own documents")[2].partition("## Measure it")[0]
    lines = re.findall(r"^ {4}trailhound (.*)$", text, re.MULTILINE)
    assert [line.split()[0] for line in lines] == ["index", "search", "update"]
    for line in lines:
        assert main([*shlex.split(line), "--quiet"]) == 0, line
    assert "The ferry leaves the harbour" in capsys.readouterr().out
