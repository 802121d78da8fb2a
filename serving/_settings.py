"""What a server is told when it starts; its workers read the same from their environment."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

VARIABLE = "TRAILHOUND_SERVER"
"""Environment variable by which a server tells its workers how to serve."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")

LONGEST_BODY = 8_000_000
"""Bytes of a request."""

LONGEST_QUESTION = 4_000
"""Characters of a question."""

MOST_PASSAGES = 1_000
"""Passages of a result."""

LONGEST_SEARCH = 30.0
"""Seconds of a search; then it hands over what it has."""

WAITING = 128
"""Searches of a worker that may wait for a thread; more are refused."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How to serve.

    Attributes:
        workspaces: the folder of each index by its name.
        host, port: where to listen.
        workers: processes.
        threads: searches of a worker that run side by side.
        state: folder of the jobs.
        version: of the package, for the schema.
        resumable: the folder of the jobs stays, so those that wait may be left for the next start.
        keys: file of the API keys; without one nobody has to show any.
        answer_with: ``URL#MODEL`` of an endpoint that writes answers.
        misses: file to which missed questions are appended; without one they are in the memory alone.
        policy: folder of the policy that searches; the one that ships with the package when None.
        ask, ask_mass: how many of the shards of sharded indexes are asked, see :class:`ShardedIndex`.
    """

    workspaces: Mapping[str, Path]
    host: str
    port: int
    workers: int
    threads: int
    state: Path
    version: str
    resumable: bool = False
    keys: Path | None = None
    answer_with: str | None = None
    misses: Path | None = None
    policy: Path | None = None
    ask: float = 1.0
    ask_mass: float = 1.0

    @property
    def open_to_browsers(self) -> bool:
        """Whether any page in a browser of this machine could ask without a key, were its origin not looked at."""
        return self.keys is None

    def tell_workers(self) -> None:
        """Put the settings where :meth:`told` finds them."""
        os.environ[VARIABLE] = json.dumps(asdict(self), default=str)

    @classmethod
    def told(cls) -> ServerSettings:
        """Return what the server has told this worker."""
        found: dict[str, Any] = json.loads(os.environ[VARIABLE])
        paths = {name: None if found[name] is None else Path(found[name]) for name in ("keys", "misses", "policy")}
        workspaces = {name: Path(place) for name, place in found["workspaces"].items()}
        return cls(**{**found, **paths, "workspaces": workspaces, "state": Path(found["state"])})
