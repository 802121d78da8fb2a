"""Where the files of an index's corpus are: ids are paths from its roots, which the manifest lists."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from unicodedata import normalize

from ..retrievers._store import Documents
from ..retrievers.records import CORPUS_ROOT, FILE_HASH, Document

CORPUS = "corpus"
"""What the manifest calls the list of roots."""


def furniture(manifest: Mapping[str, Any]) -> list[str] | None:
    """Return the hashes of the blocks that its pages repeat, None where an index was built of other things than files.

    They stay what they were when it was built, so that a page that is read again loses the same blocks.
    """
    found: list[str] | None = manifest.get("reading", {}).get("furniture")
    return found


@dataclass(frozen=True, slots=True)
class Roots:
    """The folders and files that an index was made from, absolute, in the order in which they were given."""

    places: tuple[Path, ...] = ()

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Roots:
        """Return those that a manifest lists."""
        return cls(tuple(map(Path, manifest.get(CORPUS, ()))))

    def about(self) -> dict[str, list[str]]:
        """Return what a manifest says of them."""
        return {CORPUS: [str(place) for place in self.places]} if self.places else {}

    def with_paths(self, paths: Iterable[Path]) -> Roots:
        """Return these and, as further roots, those of the paths that lie in none."""
        roots = self
        for path in paths:
            if roots.holding(path) is None:
                roots = Roots((*roots.places, absolute(path)))
        return roots

    def moved(self, number: int, path: Path) -> Roots:
        """Return these with one of them at another place."""
        places = list(self.places)
        places[number : number + 1] = [absolute(path)]
        return Roots(tuple(places))

    def holding(self, path: Path) -> tuple[int, str] | None:
        """Return the innermost root that a path lies in, by its number, and the path from there; "" for the root."""
        for resolved in (False, True):  # one of the two may be named by way of a link
            sought = _spelled(path, resolved)
            roots = [_spelled(root, resolved) for root in self.places]
            found = [number for number, root in enumerate(roots) if sought.is_relative_to(root)]
            if found:
                number = max(found, key=lambda number: len(roots[number].parts))
                return number, "/".join(sought.relative_to(roots[number]).parts)
        return None

    def below(self, path: Path) -> list[int]:
        """Return the numbers of the roots that lie in a folder, itself left out."""
        folder = os.path.join(absolute(path), "")
        return [number for number, root in enumerate(self.places) if str(root).startswith(folder)]

    def name_of(self, path: Path, name: str) -> str:
        """Return the id of a file from its path, and its path in the folder that is read."""
        found = self.holding(path)
        if found is None:
            return name
        return found[1] or path.name

    def id_of(self, given: str, store: Documents) -> str:
        """Return the id of the document that a user names by its id, or by the path of its file as it is typed here."""
        if store.having([given]):
            return given
        found = self.holding(Path(given))
        named = "" if found is None else normalize("NFC", found[1] or Path(given).name)
        return named if named and store.having([named]) else given

    def marked(self, document: Document, path: Path, always: bool) -> Document:
        """Return a document that was read from a file, with the number of its root where that does not go without.

        Args:
            document: as it was read.
            path: of its file.
            always: say it even of a file of the first root.
        """
        found = _latest(self, path)
        if found is None or not (always or found[0] or FILE_HASH not in document.metadata):
            return document
        return replace(document, metadata={**document.metadata, CORPUS_ROOT: found[0]})


@lru_cache(maxsize=1)  # the records of one file come one after the other
def _latest(roots: Roots, path: Path) -> tuple[int, str] | None:
    return roots.holding(path)


def _spelled(path: Path, resolved: bool) -> Path:
    """Return a path with the links to folders in it as they are, or resolved; a link to a file has its own name."""
    if not resolved:
        return absolute(path)
    return Path(os.path.realpath(path)) if path.is_dir() else Path(os.path.realpath(path.parent), path.name)


def absolute(path: Path) -> Path:
    """Return a path that means the same wherever the current folder is; links stay as they are."""
    return Path(os.path.abspath(path))
