"""Changes wait in files: one at a time, whichever worker has them, and none is lost with a worker."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from trailhound.serving import _jobs
from trailhound.serving._jobs import JOB, Asked, Jobs
from trailhound.serving._keys import NOBODY_ASKED
from trailhound.serving._metrics import Metrics
from trailhound.serving._refusal import Refusal
from trailhound.serving._sharded_workspace import open_workspace
from trailhound.serving._workspace import Workspace


@pytest.fixture
def workspace(isles: Path, tmp_path: Path) -> Workspace:
    return open_workspace("isles", Path(shutil.copytree(isles, tmp_path / "isles.index")), None)


def jobs_of(workspace: Workspace, folder: Path, resumable: bool = True) -> Jobs:
    return Jobs(folder / "state", {"isles": workspace}, Metrics(), resumable)


def adding(name: str) -> Asked:
    documents = [{"id": name, "title": "", "text": f"The {name} is an animal.", "metadata": {}}]
    return Asked("isles", "add", NOBODY_ASKED, {"documents": documents, "replace": True})


@contextmanager
def started(jobs: Jobs) -> Iterator[None]:
    jobs.start()
    try:
        yield
    finally:
        jobs.stop()


def test_what_waits_is_done_before_a_server_ends_whose_folder_goes_with_it(
    workspace: Workspace, tmp_path: Path
) -> None:
    jobs = jobs_of(workspace, tmp_path, resumable=False)
    for name in ("emu", "okapi", "zebra"):
        jobs.submit(adding(name))
    with started(jobs):
        pass
    assert [job["state"] for job in jobs.all()] == ["done"] * 3
    assert workspace.index.store.having(["emu", "okapi", "zebra"]) == ["emu", "okapi", "zebra"]


def test_what_waits_and_what_was_begun_is_done_by_the_next_server(workspace: Workspace, tmp_path: Path) -> None:
    before = jobs_of(workspace, tmp_path)
    waiting, begun = before.submit(adding("emu")), before.submit(adding("okapi"))
    begun["state"] = "running"  # as a worker leaves it that is killed
    (tmp_path / "state" / "jobs" / begun["id"] / JOB).write_text(json.dumps(begun), "utf-8")
    after = jobs_of(workspace, tmp_path)
    with started(after):
        while any(job["ended"] is None for job in after.all()):
            pass
    assert {job["id"]: job["state"] for job in after.all()} == {waiting["id"]: "done", begun["id"]: "done"}
    assert len(workspace.index.store.having(["emu", "okapi"])) == 2


def test_a_change_that_was_made_and_not_noted_is_made_again_without_harm(workspace: Workspace, tmp_path: Path) -> None:
    first = jobs_of(workspace, tmp_path)
    job = first.submit(adding("emu"))
    kept = shutil.copytree(tmp_path / "state", tmp_path / "kept")
    with started(first):
        while (first.get(job["id"]) or job)["ended"] is None:
            pass
    second = Jobs(Path(kept), {"isles": workspace}, Metrics(), True)
    with started(second):
        while (second.get(job["id"]) or job)["ended"] is None:
            pass
    ended = second.get(job["id"])
    assert ended is not None
    assert (ended["state"], ended["report"]["unchanged"]) == ("done", 1)


def test_two_workers_share_the_work_in_the_order_it_came(isles: Path, tmp_path: Path) -> None:
    place = Path(shutil.copytree(isles, tmp_path / "isles.index"))
    workers = [open_workspace("isles", place, None) for _ in range(2)]
    both = [jobs_of(worker, tmp_path, resumable=False) for worker in workers]
    names = [f"animal-{number}" for number in range(6)]
    for number, name in enumerate(names):
        both[number % 2].submit(adding(name))
    with started(both[0]), started(both[1]):
        pass
    ended = sorted((job["ended"], job["created"]) for job in both[0].all())
    assert len(ended) == len(names)
    assert [created for _, created in ended] == sorted(created for _, created in ended)
    for worker in workers:
        with worker.seen(None):
            assert len(worker.index.store.having(names)) == len(names)


def test_no_more_than_may_wait_are_taken_in(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_jobs, "MOST_WAITING", 2)
    jobs = jobs_of(workspace, tmp_path)
    for name in ("emu", "okapi"):
        jobs.submit(adding(name))
    with pytest.raises(Refusal, match="2 changes of isles wait already"):
        jobs.submit(adding("zebra"))


def test_jobs_that_were_over_long_ago_are_forgotten(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_jobs, "_KEPT", 1)
    jobs = jobs_of(workspace, tmp_path, resumable=False)
    for name in ("emu", "okapi"):
        jobs.submit(adding(name))
    with started(jobs):
        pass
    [left] = jobs.all()
    assert [file.name for file in (tmp_path / "state" / "jobs" / left["id"]).iterdir()] == [JOB]
    assert workspace.index.store.has("okapi#0")
