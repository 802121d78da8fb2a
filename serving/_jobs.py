"""Changes of indexes as jobs: one after the other in each workspace, in files that all workers see."""

from __future__ import annotations

import fcntl
import json
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from logging import getLogger
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from ..errors import TrailhoundError, UpdateError
from ..index.where import Where
from ..retrievers._atomic_file import storing, write_json
from ._refusal import Refusal, told
from ._uploads import documents_of, keep_files, keep_input, kept_input

if TYPE_CHECKING:
    from ._keys import Key
    from ._metrics import Metrics
    from ._workspace import Workspace

_LOG = getLogger("trailhound.serving")

JOB = "job.json"
MOST_WAITING = 100
"""Jobs of a workspace that may wait."""

_KEPT = 200
"""Jobs that are over and still told of."""

_OFTEN = 0.2
"""Seconds between two looks at a lock, and between two notes of progress."""

_NAME = re.compile(r"[0-9]{20}-[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks to be changed.

    Attributes:
        workspace: whose index.
        kind: ``add`` or ``delete``.
        by: the key that asks.
        about: what to do, as JSON.
        files: names and contents of what was uploaded.
    """

    workspace: str
    kind: str
    by: Key
    about: Mapping[str, Any]
    files: tuple[tuple[str, bytes], ...] = ()


class Jobs:
    """The jobs of all workspaces; every worker has a thread for each, and one of them at a time changes an index.

    Args:
        folder: of the jobs, the same for all workers.
        workspaces: by name.
        metrics: told of every change.
        resumable: the folder stays: what waits when the server stops is done after its next start.
    """

    def __init__(self, folder: Path, workspaces: Mapping[str, Workspace], metrics: Metrics, resumable: bool) -> None:
        self._folder = folder / "jobs"
        with storing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        self._workspaces = workspaces
        self._metrics = metrics
        self._resumable = resumable
        self._stopping = False
        self._wake = {name: Event() for name in workspaces}
        self._threads = [Thread(target=self._work, args=(name,), name=f"changes-{name}") for name in workspaces]

    def start(self) -> None:
        """Begin, with what an earlier server left."""
        for event in self._wake.values():
            event.set()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End: what runs ends first, and what waits is done too, where it would be lost."""
        self._stopping = True
        for event in self._wake.values():
            event.set()
        for thread in self._threads:
            thread.join()

    def submit(self, asked: Asked) -> dict[str, Any]:
        """Take a change in, which survives this worker, and return its job.

        Raises:
            Refusal: when too many wait already.
            StorageError: when it cannot be kept.
        """
        waiting = sum(job["workspace"] == asked.workspace for job in self.all() if job["state"] == "queued")
        if waiting >= MOST_WAITING:
            message = f"{waiting} changes of {asked.workspace} wait already: ask again, with more documents at once"
            raise Refusal(503, "Busy", message, {"Retry-After": "5"})
        identifier = f"{time.time_ns():020}-{secrets.token_hex(8)}"
        folder = self._folder / identifier
        principals = None if asked.by.principals is None else sorted(asked.by.principals)
        with storing(folder):
            folder.mkdir()
        files = keep_files(folder, asked.files)
        keep_input(folder, {**asked.about, "files": files, "principals": principals})
        job = {
            "id": identifier,
            "workspace": asked.workspace,
            "kind": asked.kind,
            "by": asked.by.name,
            "state": "queued",
            "stage": "",
            "done": 0,
            "total": 0,
            "error": None,
            "problems": [],
            "report": None,
            "created": time.time(),
            "ended": None,
        }
        self._note(job)
        self._wake[asked.workspace].set()
        return job

    def get(self, identifier: str) -> dict[str, Any] | None:
        """Return a job; None where there is none."""
        if not _NAME.fullmatch(identifier):
            return None
        try:
            job: dict[str, Any] = json.loads((self._folder / identifier / JOB).read_text("utf-8"))
        except OSError:
            return None
        return job

    def all(self) -> list[dict[str, Any]]:
        """Return all jobs, newest first."""
        names = sorted((place.name for place in self._folder.iterdir()), reverse=True)
        return [job for job in map(self.get, names) if job is not None]

    def _note(self, job: Mapping[str, Any]) -> None:
        write_json(self._folder / job["id"] / JOB, job)

    def _work(self, workspace: str) -> None:
        wake = self._wake[workspace]
        while True:
            wake.wait()
            wake.clear()
            try:
                self._do_all(workspace)
            except Exception:
                _LOG.exception("the changes of %s stopped; the next one starts them again", workspace)
            if self._stopping:
                return

    def _do_all(self, workspace: str) -> None:
        """Do the jobs of a workspace until none waits; those of other workers too."""
        while self._next(workspace) is not None and not (self._stopping and self._resumable):
            with self._only_worker(workspace) as mine:
                if not mine:
                    time.sleep(_OFTEN)
                    continue
                job = self._next(workspace)  # another worker may have done the one that was there
                if job is not None:
                    self._do(job)
        self._forget()

    def _next(self, workspace: str) -> dict[str, Any] | None:
        """Return the oldest job that is to be done, or was begun by a worker that died."""
        mine = (job for job in reversed(self.all()) if job["workspace"] == workspace)
        return next((job for job in mine if job["state"] in ("queued", "running")), None)

    @contextmanager
    def _only_worker(self, workspace: str) -> Iterator[bool]:
        """Be the only one that changes a workspace; yields False where another does."""
        place = self._folder.parent / f"lock-{list(self._workspaces).index(workspace)}"
        with place.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True

    def _do(self, job: dict[str, Any]) -> None:
        folder = self._folder / job["id"]
        job["state"] = "running"
        self._note(job)
        try:
            job["report"] = self._change(job, kept_input(folder))
            job["state"] = "done"
        except Exception as error:
            if not isinstance(error, TrailhoundError):
                _LOG.exception("job %s failed", job["id"])
            _, kind, message = told(error)
            job["state"], job["error"] = "failed", {"type": kind, "message": message}
        job["ended"] = time.time()
        self._note(job)
        self._metrics.changed(job["workspace"], job["kind"], job["state"], job["ended"] - job["created"])
        for left in folder.iterdir():
            if left.name != JOB:
                _remove(left)

    def _change(self, job: dict[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
        workspace = self._workspaces[job["workspace"]]
        job["stage"] = "reading"
        self._note(job)
        documents, problems = documents_of(about)
        job["problems"] = problems
        if job["kind"] == "add" and not documents:
            first = problems[0] if problems else {"name": "the upload", "reason": "it holds nothing"}
            raise UpdateError(f"nothing could be read: {first['name']}: {first['reason']}")
        deleted = about.get("delete", [])
        if about["principals"] is not None:
            _check_seen(workspace, [*(document.id for document in documents), *deleted], about["principals"])
        report = workspace.change(documents, deleted, about.get("replace", False), self._progress(job))
        return report.to_json()

    def _progress(self, job: dict[str, Any]) -> Callable[[str, int, int], None]:
        noted = 0.0

        def tell(stage: str, done: int, total: int) -> None:
            nonlocal noted
            job.update(stage=stage, done=done, total=total)
            if time.monotonic() - noted > _OFTEN:
                noted = time.monotonic()
                self._note(job)

        return tell

    def _forget(self) -> None:
        """Remove jobs that were over long ago."""
        over = [job for job in self.all() if job["state"] in ("done", "failed")]
        for job in over[_KEPT:]:
            _remove(self._folder / job["id"])


def _check_seen(workspace: Workspace, identifiers: list[str], principals: list[str]) -> None:
    """Refuse to change documents that are there, but may not be seen by whoever asks."""
    where = Where(principals=principals)
    hidden = workspace.having(identifiers, None) - workspace.having(identifiers, where)
    if hidden:
        raise UpdateError(f"the id {min(hidden)!r} is taken: choose another")


def _remove(place: Path) -> None:
    with suppress(OSError):
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink()
