"""A sharded index on a real Ray cluster of this machine: `make test-scale`."""

import os
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from fixtures import encoders
from trailhound.agent.search_agent import SearchAgent
from trailhound.agent.search_result import SearchResult
from trailhound.demo._encyclopedia import Encyclopedia
from trailhound.retrievers.protocols import Encoder, Progress
from trailhound.retrievers.records import Document
from trailhound.sharding import _link_files, _linking, _partition
from trailhound.sharding._building import ShardedBuild, place_of_links, shard_of
from trailhound.sharding._linking import link
from trailhound.sharding._messages import View
from trailhound.sharding._shard_links import LinkedBase
from trailhound.sharding._tasks import Task, Warn
from trailhound.sharding.sharded_index import ShardedIndex

ray = pytest.importorskip("ray", reason="needs Ray: make test-scale")

from trailhound.sharding._ray import run_on_ray  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
"""Ray's own, which it raises while it starts and ends."""

SYSTEMS = ("lexical", "dense", "hybrid", "hops", "policy")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    about = {"include_dashboard": False, "log_to_driver": False}
    ray.cloudpickle.register_pickle_by_value(encoders)  # the cluster's processes know no tests
    ray.init("local", num_cpus=2, object_store_memory=150_000_000, **about)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def index(
    cluster: None, encyclopedia: Encyclopedia, hashing_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ShardedIndex]:
    place = tmp_path_factory.mktemp("ray") / "index"
    ShardedIndex.build(encyclopedia.documents, place, 3, encoder=hashing_encoder, on_ray=True).close()
    with ShardedIndex(place, hashing_encoder, on_ray=True) as opened:
        yield opened


def search(index: ShardedIndex, question: str, limit: int = 10, system: str = "hybrid") -> SearchResult:
    return SearchAgent(index, system=system).search(question, limit)


def listed(result: SearchResult) -> list[tuple[str, float]]:
    return [(found.passage.id, found.score) for found in result.evidence]


@pytest.mark.parametrize("system", SYSTEMS)
def test_actors_rank_as_shards_in_this_process(
    index: ShardedIndex, encyclopedia: Encyclopedia, hashing_encoder: Encoder, system: str
) -> None:
    with ShardedIndex(index.path, hashing_encoder) as local:
        for question in encyclopedia.questions[:10]:
            assert listed(search(index, question.text, 10, system)) == listed(search(local, question.text, 10, system))


def test_searches_go_on_while_actors_are_killed_and_come_back(index: ShardedIndex, encyclopedia: Encyclopedia) -> None:
    question = encyclopedia.questions[0].text
    whole = listed(search(index, question, 10))
    for shard in [*index.shards, *index.shards]:
        ray.kill(shard.replicas[0].actor, no_restart=False)  # type: ignore[attr-defined]
        seen = search(index, question, 10)
        assert set(seen.unreachable) <= {shard.name}
        for _ in range(600):
            if not seen.unreachable:
                break
            gone = index.about.shards.index(shard.name)
            assert gone not in {shard_of(found.passage.document_id, 3) for found in seen.evidence}
            time.sleep(0.1)
            seen = search(index, question, 10)
        assert listed(seen) == whole


def test_nothing_is_unreachable_while_a_replica_lives(
    index: ShardedIndex, encyclopedia: Encyclopedia, hashing_encoder: Encoder
) -> None:
    question = encyclopedia.questions[0].text
    whole = listed(search(index, question, 10))
    with ShardedIndex(index.path, hashing_encoder, on_ray=True, replicas=2) as replicated:
        for shard in replicated.shards:
            for replica in shard.replicas:  # type: ignore[attr-defined]
                for _ in range(600):  # the one that was lost before is back
                    if all(other.begin("begin", View(), []).exception() is None for other in shard.replicas):  # type: ignore[attr-defined]
                        break
                    time.sleep(0.1)
                ray.kill(replica.actor, no_restart=False)
                for _ in range(5):
                    seen = search(replicated, question, 10)
                    assert seen.unreachable == ()
                    assert listed(seen) == whole


def test_what_is_added_by_actors_is_found_at_once_by_all(
    index: ShardedIndex, hashing_encoder: Encoder, tmp_path: Path
) -> None:
    shutil.copytree(index.path, tmp_path / "s")
    new = [Document(f"new-{number}", "New", "It is of turquoise.") for number in range(6)]
    with (
        ShardedIndex(tmp_path / "s", hashing_encoder, on_ray=True) as one,
        ShardedIndex(tmp_path / "s", hashing_encoder) as other,
    ):
        for document in new:
            assert one.add([document]).added == 1
            for seen in (one, other):
                found = search(seen, "turquoise", 10, "lexical").evidence
                assert document.id in {passage.passage.document_id for passage in found}
        assert one.delete([document.id for document in new]).deleted == 6
        assert search(other, "turquoise", 10, "lexical").evidence == ()


def test_a_build_goes_on_when_the_process_of_a_task_is_killed(
    cluster: None, encyclopedia: Encyclopedia, hashing_encoder: Encoder, tmp_path: Path, index: ShardedIndex
) -> None:
    marker = tmp_path / "killed"

    class KillsItsProcess(type(hashing_encoder)):  # type: ignore[misc]
        def encode(self, texts, progress=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            if not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().encode(texts, progress)

    with ShardedIndex.build(encyclopedia.documents, tmp_path / "s", 3, encoder=KillsItsProcess(), on_ray=True) as made:
        assert marker.exists()
        question = encyclopedia.questions[0].text
        assert listed(search(made, question, 10)) == listed(search(index, question, 10))


def test_linking_goes_on_when_the_process_of_a_task_is_killed(
    cluster: None, encyclopedia: Encyclopedia, hashing_encoder: Encoder, tmp_path: Path, index: ShardedIndex
) -> None:
    marks = tmp_path / "killed"
    marks.mkdir()

    class Killed:
        """A task whose process is killed when it has written two arrays of its folder, once for every kind."""

        stage = "linking"

        def __init__(self, task: Task) -> None:
            self._task = task

        def run(self, warn: Warn, progress: Progress | None) -> None:
            mark = marks / type(self._task).__name__
            if hasattr(self._task, "files") and not mark.exists():
                mark.touch()
                left = iter([False, False])
                _link_files.synchronise = lambda path: next(left, True) and os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
                _linking.synchronise = lambda path: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[attr-defined]
            self._task.run(warn, progress)

    def run(tasks: Sequence[Task], warn: Warn, progress: Progress | None) -> None:
        run_on_ray([Killed(task) for task in tasks], warn, progress)

    build = ShardedBuild(tmp_path / "s", 3, index.about.settings, hashing_encoder, 1)
    build.write(encyclopedia.documents, print, None, False, run, link)
    assert {path.name for path in marks.iterdir()} == {"GatherKeys", "GroupKeys", "FindEdges", "WriteLinks"}
    assert not (tmp_path / "s" / "parts").exists()
    for name in index.about.shards:
        links = [LinkedBase.load(place_of_links(place / name)) for place in (tmp_path / "s", index.path)]
        for column in ("order", "offsets", "rows", "relations", "starts", "ends"):
            np.testing.assert_array_equal(*(getattr(each, column) for each in links))


def test_blocks_are_placed_by_tasks_as_they_are_here(
    cluster: None,
    encyclopedia: Encyclopedia,
    hashing_encoder: Encoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_partition, "_BLOCK", 50)
    monkeypatch.setattr(_partition, "_SAMPLE", 50)
    documents, question = encyclopedia.documents, encyclopedia.questions[0].text
    for name, on_ray in (("here", False), ("ray", True)):
        how = {"encoder": hashing_encoder, "partition": "topics", "on_ray": on_ray}
        ShardedIndex.build(documents, tmp_path / name, 3, **how).close()  # type: ignore[arg-type]
    with (
        ShardedIndex(tmp_path / "here", hashing_encoder, ask=0.3) as here,
        ShardedIndex(tmp_path / "ray", hashing_encoder, on_ray=True, ask=0.3) as on_actors,
    ):
        assert here.about.regions == on_actors.about.regions
        assert here.about.documents == len(documents)
        found, same = search(on_actors, question), search(here, question)
        assert len(found.shards) == 1
        assert (found.shards, listed(found)) == (same.shards, listed(same))
