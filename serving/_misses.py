"""The questions of late that were not answered, or not for sure: what the corpus may lack."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Any

from ..agent.search_result import SearchResult
from ..retrievers._atomic_file import storing

UNSURE = 0.5
"""Confidence below which a search counts as missed."""

KEPT = 200
"""Missed questions of each workspace that are kept."""


class Misses:
    """Keeps missed questions in the memory of this worker.

    Args:
        file: each is also appended there, a JSON object a line; what all workers appended is then what is told.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._lock = Lock()
        self._found: dict[str, OrderedDict[str, dict[str, Any]]] = {}

    def see(self, workspace: str, result: SearchResult) -> None:
        """Take down a question that was missed."""
        sure = result.confidence is None or result.confidence >= UNSURE
        if not result.unanswered and sure:
            return
        miss = {
            "question": result.question,
            "unanswered": result.unanswered,
            "confidence": result.confidence,
            "when": time.time(),
        }
        with self._lock:
            self._keep(workspace, miss)
            if self._file is not None:
                with storing(self._file), self._file.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"workspace": workspace, **miss}, ensure_ascii=False) + "\n")

    def of(self, workspace: str) -> list[dict[str, Any]]:
        """Return those of a workspace, newest first."""
        if self._file is not None and self._file.exists():
            last = OrderedDict[str, dict[str, Any]]()
            for line in self._file.read_text("utf-8").splitlines():
                miss = json.loads(line)
                if miss.pop("workspace") == workspace:
                    last.pop(miss["question"], None)
                    last[miss["question"]] = miss
            return list(reversed(last.values()))[:KEPT]
        with self._lock:
            return list(reversed(self._found.get(workspace, {}).values()))

    def _keep(self, workspace: str, miss: dict[str, Any]) -> None:
        kept = self._found.setdefault(workspace, OrderedDict())
        kept.pop(miss["question"], None)
        kept[miss["question"]] = miss
        while len(kept) > KEPT:
            kept.popitem(last=False)
