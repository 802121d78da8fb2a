"""Scale: indexes of 10,000, 100,000 and 1,000,000 invented articles: seconds of every stage, memory, opening, search.

    python benchmarks/scale.py --articles 10000 100000 --work runs/scale --json runs/scale.json
    python benchmarks/scale.py --articles 1000000 --dense ivfpq --work runs/scale
    python benchmarks/scale.py --articles 1000000 --dense ivfpq --work runs/scale --router

With --router an index that is there already is not built again: a router of 8 shards is tuned over it, from the
generator's train questions and 1,000 made pairs, and searched.

Encoding a million passages takes hours, and is not what is measured: vectors come from a stand-in, the sum of one fixed
random direction for each of a passage's terms (random projection of its bag of words to 384 numbers), cut to length 1.
It is honest about size and cost of everything after the encoder, and says nothing about what an encoder would find.

Every index is built in a process of its own, whose peak memory (resident set) is reported, and searched by another, on
one thread. Seconds are CPU seconds of the process unless they say "wall": on a machine that does other things at the
same time, these are what stays the same.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from inputs import arguments
from table import markdown, show, write
from trailhound.demo._encyclopedia import generate, write_beir
from trailhound.index.index import Index
from trailhound.index.settings import IndexSettings
from trailhound.learning.router.router_tuning import RouterTuning, tune_router
from trailhound.retrievers.protocols import Progress
from trailhound.retrievers.questions._labelled import load_questions
from trailhound.retrievers.records import Vectors
from trailhound.retrievers.words._terms import analyse

DIMENSION = 384
QUESTIONS = 500
MADE = 1000
_TABLE = 1 << 16


class RandomProjection:
    """The stand-in: terms share 65,536 random directions by their hash."""

    def __init__(self) -> None:
        self.name = "random-projection-384"
        self.dimension = DIMENSION
        generator = np.random.default_rng(0)
        self._directions = generator.standard_normal((_TABLE, DIMENSION), np.float32)

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode ``texts`` into unit vectors, float32 [n, 384]."""
        vectors = np.zeros((len(texts), DIMENSION), np.float32)
        for row, text in enumerate(texts):
            vectors[row] = self._directions[[_place(stem) for stem in analyse(text)]].sum(axis=0)
            if progress is not None and row % 1000 == 999:
                progress("encoding passages", row + 1, len(texts))
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors


@lru_cache(maxsize=1 << 20)
def _place(stem: str) -> int:
    return zlib.crc32(stem.encode()) % _TABLE


class Stages:
    """CPU seconds between what a build reports, by stage: a stage's end is the last that it says."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.process_time()

    def report(self, stage: str, done: int, total: int) -> None:
        """Add what passed since the last report to ``stage``."""
        now = time.process_time()
        if stage not in self.seconds:
            print(f"{time.strftime('%H:%M:%S')} {stage} ({resident():.2f} GiB)", file=sys.stderr, flush=True)
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now


def resident() -> float:
    """Return the peak resident memory of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def build(folder: Path, dense: Any) -> dict[str, Any]:
    """Build the index of one corpus; its stages, memory and sizes."""
    stages, started = Stages(), time.perf_counter()
    index = Index.build(
        folder / "corpus.jsonl",
        folder / f"{dense}.index",
        settings=IndexSettings(dense=dense),
        encoder=RandomProjection(),
        progress=stages.report,
    )
    stages.report("publishing and opening", 0, 0)
    files = [path for path in index.path.rglob("*") if path.is_file()]
    kept = [path for path in files if path.parent.name == "dense" and path.name != "keys.npy"]
    return {
        "passages": len(index),
        "links": len(index.graph.edges),
        "stages": stages.seconds,
        "cpu_seconds": time.process_time(),
        "wall_seconds": time.perf_counter() - started,
        "peak_gib": resident(),
        "disk_bytes_per_passage": sum(path.stat().st_size for path in files) / len(index),
        "dense_bytes_per_passage": sum(path.stat().st_size for path in kept) / len(index),
    }


def search(folder: Path, dense: Any) -> dict[str, Any]:
    """Open the index and ask every sub-index; one thread."""
    import faiss

    faiss.omp_set_num_threads(1)
    encoder = RandomProjection()
    started, used = time.perf_counter(), time.process_time()
    index = Index.open(folder / f"{dense}.index", encoder=encoder, verify=False)
    figures: dict[str, Any] = {
        "open_wall_seconds": time.perf_counter() - started,
        "open_cpu_seconds": time.process_time() - used,
        "open_gib": resident(),
    }
    asked = load_questions(folder, "dev")[0][:QUESTIONS]
    queries = [index.query(question.text) for question in asked]
    for name in ("lexical", "dense", "entity"):
        used = time.process_time()
        index.sub_indexes[name].search(queries[0], 20)
        figures[f"{name}_first_seconds"] = time.process_time() - used
        cpu, wall = [], []
        for query in queries:
            used, started = time.thread_time(), time.perf_counter()
            index.sub_indexes[name].search(query, 20)
            cpu.append(1000 * (time.thread_time() - used))
            wall.append(1000 * (time.perf_counter() - started))
        for kind, times in (("cpu", cpu), ("wall", wall)):
            figures[f"{name}_{kind}_ms_p50"], figures[f"{name}_{kind}_ms_p95"] = np.percentile(times, [50, 95]).tolist()
    figures["search_gib"] = resident()
    return figures


def tune(folder: Path, dense: Any) -> dict[str, Any]:
    """Tune a router over the index; its stages and memory, and what it can do on questions held out."""
    stages = Stages()
    index = Index.open(folder / f"{dense}.index", encoder=RandomProjection(), verify=False)
    figures = tune_router(
        index,
        folder / f"{dense}.router",
        RouterTuning(made=MADE),
        questions=folder,
        split="train",
        progress=stages.report,
    )
    stages.report("writing the router", 0, 0)
    return {
        "passages": len(index),
        "stages": stages.seconds,
        "cpu_seconds": time.process_time(),
        "peak_gib": resident(),
        **figures,
    }


def route(folder: Path, dense: Any) -> dict[str, Any]:
    """Open the index with its router: choose shards, spell docids, and search within the shards; one thread."""
    import faiss
    import torch

    faiss.omp_set_num_threads(1)
    torch.set_num_threads(1)
    started = time.perf_counter()
    index = Index.open(
        folder / f"{dense}.index", encoder=RandomProjection(), verify=False, router=folder / f"{dense}.router"
    )
    figures: dict[str, Any] = {"open_wall_seconds": time.perf_counter() - started}
    routing = index.routing
    assert routing is not None
    queries = [index.query(question.text) for question in load_questions(folder, "dev")[0][:QUESTIONS]]
    index.sub_indexes_for(queries[0])
    clocks: dict[str, list[float]] = {"shards": []}
    for query in queries:
        started = time.perf_counter()
        found = index.sub_indexes_for(query)
        clocks["shards"].append(1000 * (time.perf_counter() - started))
        for name in ("docid", "lexical", "dense"):
            started = time.perf_counter()
            found[name].search(query, 20)
            clocks.setdefault(name, []).append(1000 * (time.perf_counter() - started))
    for name, times in clocks.items():
        figures[f"{name}_wall_ms_p50"], figures[f"{name}_wall_ms_p95"] = np.percentile(times, [50, 95]).tolist()
    figures["share of passages"] = np.mean([routing.passages_searched(query) for query in queries]) / len(index)
    figures["search_gib"] = resident()
    return figures


def measured(work: Path, articles: int, dense: str, steps: Sequence[str]) -> dict[str, Any]:
    """Make the corpus where it is not there, and take the steps, each in a process of its own."""
    folder = work / str(articles)
    figures: dict[str, Any] = {"articles": articles, "dense": dense}
    for step in ("corpus", *steps):
        command = [sys.executable, __file__, "--step", step, "--work", str(folder), "--articles", str(articles)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*command, "--dense", dense], check=True, stdout=subprocess.PIPE, text=True, env=environment
        )
        figures |= json.loads(done.stdout)
    return figures


def corpus(folder: Path, articles: int) -> dict[str, Any]:
    """Write an encyclopedia and some questions about it."""
    if not (folder / "qrels" / "dev.tsv").exists():
        write_beir(generate(articles, min(articles // 2, 4 * QUESTIONS), seed=0), folder)
    return {}


def table(results: list[dict[str, Any]]) -> str:
    """Return figures, and microseconds of every stage for a passage, as Markdown."""
    numbers = [name for name, value in results[-1].items() if isinstance(value, float | int) and name != "articles"]
    rows = [[name, *(f"{r[name]:,.2f}" for r in results)] for name in numbers]
    for stage in results[-1]["stages"]:
        cells = [f"{1e6 * r['stages'].get(stage, 0) / r['passages']:,.0f}" for r in results]
        rows.append([f"{stage}, µs a passage", *cells])
    rows.append(["all of it, µs a passage", *(f"{1e6 * r['cpu_seconds'] / r['passages']:,.0f}" for r in results)])
    return markdown(["figure", *(f"{result['articles']:,} {result['dense']}" for result in results)], rows)


STEPS: dict[str, Callable[[Path, Any], dict[str, Any]]] = {
    "corpus": corpus,
    "build": build,
    "search": search,
    "tune": tune,
    "route": route,
}


def main() -> None:
    """Measure what the command line names."""
    parser = arguments(__doc__, "work", work=Path("runs/scale"))
    parser.add_argument("--articles", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--dense", nargs="+", default=["opq"])
    parser.add_argument("--router", action="store_true", help="tune a router and search with it")
    parser.add_argument("--step", choices=tuple(STEPS), default=None, help="what a process does")
    parsed = parser.parse_args()
    parsed.work.mkdir(parents=True, exist_ok=True)
    if parsed.step is not None:
        first = parsed.articles[0] if parsed.step == "corpus" else parsed.dense[0]
        print(json.dumps(STEPS[parsed.step](parsed.work, first)))
        return
    results = []
    for dense in parsed.dense:
        for articles in parsed.articles:
            there = (parsed.work / str(articles) / f"{dense}.index").exists()
            steps = ((() if there else ("build",)) + ("tune", "route")) if parsed.router else ("build", "search")
            results.append(measured(parsed.work, articles, dense, steps))
            write(results, parsed)
    show("scale", table(results), parsed)


if __name__ == "__main__":
    main()
