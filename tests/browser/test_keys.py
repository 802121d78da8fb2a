"""Where the server asks for keys, the page asks its user, keeps the key for the tab, and says what it may not do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from browser.isles import QUESTION
from browser.visiting import Visit, started


def test_a_key_is_asked_for_kept_in_the_tab_and_has_its_limits(
    visit: Callable[..., Visit], isles: Path, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.jsonl"
    command = [sys.executable, "-m", "trailhound", "serve", "--new-key", "reader", "--rights", "isles:search"]
    made = subprocess.run([*command, "--keys", str(keys)], capture_output=True, text=True, check=True)
    key = made.stdout.split()[-1]
    with started(isles, "--keys", keys) as address:
        one = visit(address)
        page = one.go()
        page.get_by_label("Key", exact=True).fill("wrong")
        page.keyboard.press("Enter")
        page.locator("dialog .doubt").wait_for()
        page.get_by_label("Key", exact=True).fill(key)
        page.keyboard.press("Enter")
        page.wait_for_selector(".welcome")
        page = one.ask(QUESTION)
        assert "Mira Tolvane" in page.locator("ol.evidence").inner_text()
        assert key in page.evaluate("JSON.stringify({...sessionStorage})")
        assert key not in page.evaluate("JSON.stringify({...localStorage}) + document.cookie + location.href")

        page = one.go("documents")
        page.get_by_label("Text", exact=True).fill("The reader may not add this.")
        page.get_by_role("button", name="Add", exact=True).click()
        page.get_by_role("alert").wait_for()
        assert "no right to write" in page.get_by_role("alert").inner_text()
        assert page.get_by_label("Text", exact=True).input_value() == "The reader may not add this."
        one.caused("status of 401", "status of 403")
