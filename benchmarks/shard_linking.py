"""What linking the shards of a corpus takes: memory and CPU of its tasks, beside one process that links all passages.

    python benchmarks/shard_linking.py --corpus ../shared/data/2wiki --shards 4 8 --work runs/linking/2wiki
    python benchmarks/shard_linking.py --articles 200000 --shards 4 8 --work runs/linking/200000

Every task runs in a process of its own, on one thread. Memory is the peak of its resident set, with what Python and
libraries take and with pages of files that are mapped; seconds are CPU seconds of the task alone. Vectors are a
stand-in (``scale.py``), which no link depends on. The edges of both are compared, all of them.
"""

from __future__ import annotations

import multiprocessing
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from inputs import arguments
from table import markdown, show, write
from trailhound import IndexSettings
from trailhound.demo._encyclopedia import generate, write_beir
from trailhound.graph._knowledge_graph import KnowledgeGraph
from trailhound.index._segment_rows import open_base
from trailhound.retrievers.protocols import Progress
from trailhound.retrievers.records import Rows
from trailhound.retrievers.words._terms import TermIndex
from trailhound.sharding._building import ShardedBuild
from trailhound.sharding._linking import link
from trailhound.sharding._messages import GROUPS_OF_EDGES, row_in_all
from trailhound.sharding._shard_links import LinkedBase
from trailhound.sharding._tasks import Task, Warn

SETTINGS = IndexSettings(late_interaction=False)


def peak() -> float:
    """Return the peak resident memory of this process, in GiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 2**20


def alone(call: Callable[..., Any], *given: Any) -> tuple[Any, float, float]:
    """Return what a call in a process of its own returns, with its CPU seconds and the peak memory in GiB."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_measured, call, *given).result()


def _measured(call: Callable[..., Any], *given: Any) -> tuple[Any, float, float]:
    began = time.process_time()
    result = call(*given)
    return result, time.process_time() - began, peak()


def _done(tasks: Sequence[Task]) -> None:
    for task in tasks:
        task.run(_unheard, None)


def _unheard(message: str) -> None:
    """Hear nothing: the stand-in does not count tokens, which is said for every shard."""


class Measuring:
    """Does tasks that link in a process of their own each, all others in one, and notes what they took."""

    def __init__(self) -> None:
        self.taken: dict[str, list[tuple[float, float]]] = {}
        self.on_the_way = 0

    def __call__(self, tasks: Sequence[Task], warn: Warn, progress: Progress | None) -> None:
        """Do them."""
        linking = [task for task in tasks if hasattr(task, "files")]
        alone(_done, [task for task in tasks if task not in linking])
        for task in linking:
            _, seconds, memory = alone(_done, [task])
            self.taken.setdefault(type(task).__name__, []).append((seconds, memory))
            sizes = sum(path.stat().st_size for path in task.files.place.rglob("*") if path.is_file())
            self.on_the_way = max(self.on_the_way, sizes)


def build(corpus: Path, out: Path, shards: int) -> dict[str, Any]:
    """Build and link shards; return what the tasks took."""
    from scale import RandomProjection  # with torch, which no task that links needs

    how, measuring = ShardedBuild(out, shards, SETTINGS, RandomProjection(), 1), Measuring()
    shutil.rmtree(out / "parts", ignore_errors=True)
    for file in out.glob("*.links"):
        file.unlink()
    how.write(corpus, _unheard, None, False, measuring, link)
    passages = sum(len(one.order) for one in linked(out))
    return {"shards": shards, "passages": passages, "bytes": measuring.on_the_way / passages, "tasks": measuring.taken}


def linked(out: Path) -> list[LinkedBase]:
    """Return the links of all shards, in order."""
    return [LinkedBase.load(file) for file in sorted(out.glob("*.links"))]


def rows_of(links: Sequence[LinkedBase]) -> list[Rows]:
    """Return the rows of the passages of every shard among all."""
    return [row_in_all(one.order, number, np.arange(len(one.order))) for number, one in enumerate(links)]


def one_process(out: Path, save: Path) -> None:
    """Link the passages of all shards in this process, in their order, as the build of one index does."""
    rows = rows_of(linked(out))
    every = np.sort(np.concatenate(rows))
    titles, texts, documents = [""] * len(every), [""] * len(every), [""] * len(every)
    for folder, mine in zip(sorted(out.glob("shard-????")), rows, strict=True):
        for place, passage in zip(np.searchsorted(every, mine).tolist(), open_base(folder).store, strict=True):
            titles[place], texts[place], documents[place] = passage.title, passage.text, passage.document_id
    terms = TermIndex.build([f"{title}\n{text}" for title, text in zip(titles, texts, strict=True)])
    KnowledgeGraph.build(titles, texts, documents, terms, None, None).save(save)


def differing(graph: Path, out: Path) -> int:
    """Return how many passages have other edges in shards than in one index."""
    one, links_of = KnowledgeGraph.load(graph), linked(out)
    in_all = rows_of(links_of)
    every = np.sort(np.concatenate(in_all))
    wrong = 0
    for each, rows in zip(links_of, in_all, strict=True):
        counts, links = one.neighbours_of(np.searchsorted(every, rows), GROUPS_OF_EDGES)
        mine, block = each.edges(np.arange(len(rows)))
        if not np.array_equal(mine, counts):
            wrong += int((mine != counts).any(axis=1).sum())
            continue
        columns = [(every[links.rows], block.rows)]
        columns += [(getattr(links, name), getattr(block, name)) for name in ("relations", "starts", "ends")]
        unequal = np.any([wanted != found for wanted, found in columns], axis=0)
        wrong += len(np.unique(np.repeat(np.arange(len(rows)), counts.sum(axis=1))[unequal]))
    return wrong


def table(results: Sequence[dict[str, Any]]) -> str:
    """Return seconds and memory of every kind of task as Markdown."""
    rows = []
    for result in results:
        for kind, taken in result["tasks"].items():
            seconds, memory = zip(*taken, strict=True)
            each = 1e6 * sum(seconds) / result["passages"]
            rows.append(
                [result["shards"], kind, len(taken), f"{each:,.0f}", f"{max(seconds):,.1f}", f"{max(memory):.2f}"]
            )
    return markdown(["shards", "task", "tasks", "µs a passage, all", "longest, s", "peak memory, GiB"], rows)


def main() -> None:
    """Measure what the command line names."""
    parser = arguments(__doc__, "work", work=Path("runs/linking"))
    parser.add_argument("--corpus", type=Path, help="a corpus (default: an invented encyclopedia)")
    parser.add_argument("--articles", type=int, default=20_000, help="of the encyclopedia")
    parser.add_argument("--shards", type=int, nargs="+", default=[4, 8])
    parsed = parser.parse_args()
    parsed.work.mkdir(parents=True, exist_ok=True)
    corpus = parsed.corpus
    if corpus is None:
        corpus = parsed.work / "corpus"
        if not (corpus / "corpus.jsonl").exists():
            write_beir(generate(parsed.articles, 10, seed=0), corpus)
    results: list[dict[str, Any]] = []
    graph = parsed.work / "graph"
    for shards in parsed.shards:
        out = parsed.work / str(shards)
        result = build(corpus, out, shards)
        if not results:
            _, *taken = alone(one_process, out, graph)
            results = [{"shards": "none", "passages": result["passages"], "tasks": {"all in one process": [taken]}}]
        results.append(result)
        print(
            f"{shards} shards: {alone(differing, graph, out)[0]} of {result['passages']:,} passages have other edges"
            f" than in one index; {result['bytes']:,.0f} bytes a passage on the way",
            flush=True,
        )
        print(table(results), flush=True)
        write(results, parsed)
    show("shard_linking", table(results), parsed)


if __name__ == "__main__":
    main()
