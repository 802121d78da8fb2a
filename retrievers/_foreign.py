"""What is said of a place that is no index: nothing that could lead someone to delete documents."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from pathlib import Path


def names_in(place: Path) -> set[str]:
    """Return the names in a folder; none where it is no folder."""
    return {path.name for path in place.iterdir()} if place.is_dir() else set()


def not_an_index(place: Path, own: Collection[str]) -> str:
    """Say in one line what a place is that is no index, and how to get one.

    Args:
        place: what was given as an index.
        own: names that an index has in its folder: a folder of these alone is one to build in.
    """
    there = shlex.quote(str(place))
    if place.is_dir() and not names_in(place) <= set(own):
        made = shlex.quote(_beside(place))
        return (
            f"{place} is a folder of documents, not an index: make one with  trailhound index {there} --out {made},"
            f" then search {made}"
        )
    if place.exists() and not place.is_dir():
        made = shlex.quote(_beside(place))
        return f"{place} is a file, not an index: make one with  trailhound index {there} --out {made}"
    what = "holds no index" if place.exists() else "is not there"
    return f"{place} {what}: make it with  trailhound index CORPUS --out {there}"


def _beside(place: Path) -> str:
    """Return the path of an index of a folder, beside it."""
    return f"{place}.index" if place.name not in {"", ".."} else f"../{place.resolve().name or 'my'}.index"
