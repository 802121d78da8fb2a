"""What is loaded once is let go of with its last user, and loaded anew where its files are others."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trailhound.retrievers._shared import Shared, identity


class Loaded:
    """Something large."""


def test_it_is_loaded_once_however_many_ask_at_the_same_time() -> None:
    shared, loads = Shared[Loaded](), list[Loaded]()

    def load() -> Loaded:
        loads.append(Loaded())
        return loads[-1]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: shared.get("a", load), range(32)))
    assert len(loads) == 1
    assert all(one is loads[0] for one in found)
    assert shared.get("b", load) is not loads[0]


def test_it_is_gone_with_its_last_user() -> None:
    shared = Shared[Loaded]()
    first = id(kept := shared.get("a", Loaded))
    assert id(shared.get("a", Loaded)) == first
    del kept
    gc.collect()
    assert list(shared._held) == []


def test_a_file_is_another_once_it_was_written_or_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a"
    seen = {identity(path)}
    for content in ("one", "three", "three times"):
        (tmp_path / "new").write_text(content)
        (tmp_path / "new").replace(path)
        seen.add(identity(path))
    assert len(seen) == 4
    assert identity(path) == identity(path)
