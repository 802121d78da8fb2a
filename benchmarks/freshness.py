"""How long until an inserted document is found, and what changes cost a search.

python benchmarks/freshness.py --sizes 10000 100000 --json freshness.json

An encyclopedia of each size is indexed, with vectors of a stand-in encoder (feature hashing): the built-in one would
take a quarter of an hour for 100,000 articles. Inserts are encoded by the built-in encoder as well, on one thread, so
that its time is in every figure of theirs. What is inserted are other articles of the same world: they name articles of
the base and are named by them. Each is looked for by its title and text in the next query.

Of everything two times are given: by the clock, and of the processor (``cpu``). On a machine with nothing else to do
they differ by what the disk takes; on a busy one the clock's says little.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import shutil
import tempfile
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from time import perf_counter, process_time

import numpy as np
from trailhound import Document, Index, UpdateReport
from trailhound.demo._encyclopedia import Encyclopedia, generate
from trailhound.graph._knowledge_graph import GROUPS
from trailhound.retrievers.protocols import Progress
from trailhound.retrievers.records import Query, Vectors
from trailhound.retrievers.vectors._encoder import MiniLMEncoder, embedding_text
from trailhound.retrievers.words._terms import analyse

INSERTS = 50
SEARCHES = 100


class StandIn:
    """Hashed words in place of an encoder's vectors; once ``real`` is set, texts are encoded by MiniLM too."""

    name = "stand-in-384"
    dimension = 384

    def __init__(self) -> None:
        self.real = False
        self._encoder = MiniLMEncoder(threads=1)

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode ``texts``, float32 [n, 384]."""
        if self.real:
            self._encoder.encode(texts, progress)
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for stem in analyse(text):
                code = zlib.crc32(stem.encode())
                vectors[row, code % self.dimension] += 1 if code >> 31 else -1
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)


def main() -> None:
    """Measure every size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000], metavar="N")
    parser.add_argument("--bulk", type=int, default=1000, metavar="N", help="documents that are added at once")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the bases there, and use those that are there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parsed = parser.parse_args()
    figures: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="trailhound-freshness-") as folder:
        for size in parsed.sizes:
            found = measure(size, parsed.bulk, parsed.keep or Path(folder), parsed.seed)
            figures.append(found)
            for name, value in found.items():
                print(f"{name:<44}{value}", flush=True)
            print()
    if parsed.json is not None:
        parsed.json.write_text(json.dumps({"machine": platform.platform(), "sizes": figures}, indent=2) + "\n", "utf-8")


def measure(size: int, bulk: int, folder: Path, seed: int) -> dict[str, object]:
    """Build a base of ``size`` articles, change it, and return what was seen."""
    world = generate(articles=size + 2 * INSERTS + bulk, questions=SEARCHES, seed=seed)
    documents = list(world.documents)
    Random(seed).shuffle(documents)
    encoder = StandIn()
    place = folder / f"freshness-{size}-{seed}.index"
    figures: dict[str, object] = {"passages": size}
    if not place.exists():
        figures |= once("build", lambda: Index.build(documents[:size], place, encoder=encoder))
    kept, place = place, place.with_name(f"changed-{place.name}")
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(kept, place)
    figures |= once("open", lambda: Index.open(place, encoder=encoder, verify=False))
    index = Index.open(place, encoder=encoder, verify=False)
    encoder.real = True
    figures |= searches("before", index, world)
    figures |= spread("refresh_without_changes", [timed(index.refresh) for _ in range(1000)])
    # Once per process: the tables of titles are made, the encoder warms up.
    figures |= once("first_insert", lambda: index.add(documents[size : size + 1]))
    new = documents[size + 1 : size + 1 + INSERTS]
    figures |= searchable("insert", [partial(index.add, [document]) for document in new])
    figures["found_in_next_query"] = f"{sum(map(partial(is_found, index), new))} of {INSERTS}"
    texts = [embedding_text(document.title, document.text) for document in new]
    figures |= spread("encoding", [timed(partial(encoder.encode, [text])) for text in texts])
    changed = [Document(d.id, d.title, f"{d.text} It was changed.", atomic=True) for d in documents[: INSERTS // 2]]
    figures |= searchable("replace", [partial(index.add, [d], replace=True) for d in changed])
    gone = [document.id for document in documents[INSERTS : 2 * INSERTS]]
    figures |= searchable("delete", [partial(index.delete, [d]) for d in gone])
    figures |= searches("after", index, world)
    bulk_texts = [embedding_text(document.title, document.text) for document in documents[-bulk:]]
    figures |= once(f"encoding_of_{bulk}", lambda: encoder.encode(bulk_texts))
    figures |= searchable(f"bulk_of_{bulk}", [partial(index.add, documents[-bulk:])])
    figures |= searches("after_bulk", index, world)
    figures |= once("open_with_changes", lambda: Index.open(place, encoder=encoder, verify=False))
    figures["segments"] = len(index.manifest["segments"])
    figures["peak_memory_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return figures


def is_found(index: Index, document: Document) -> bool:
    """Return whether a query for a document finds it."""
    rows = index.lexical.search(Query(f"{document.title} {document.text}"), 5).rows.tolist()
    return document.id in [passage.document_id for passage in index.store.passages(rows)]


def searches(when: str, index: Index, world: Encyclopedia) -> dict[str, object]:
    """Return the milliseconds of a search by each sub-index, and of the hops from what it finds."""
    figures: dict[str, object] = {}
    queries = [index.query(question.text) for question in world.questions]
    for name in ("lexical", "dense", "entity"):
        part = index.sub_indexes[name]
        figures |= spread(f"{name}_{when}", [timed(partial(part.search, query, 10)) for query in queries])
    found = [index.dense.search(query, 10).rows.tolist() for query in queries]
    figures |= spread(f"hops_{when}", [timed(partial(hop, index, rows)) for rows in found])
    return figures


def hop(index: Index, rows: Sequence[int]) -> None:
    """Ask for every neighbour."""
    for row in rows:
        for group in GROUPS:
            index.graph.neighbours(row, group)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the milliseconds of a call, by the clock and of the processor."""
    started, spent = perf_counter(), process_time()
    work()
    return 1000 * (perf_counter() - started), 1000 * (process_time() - spent)


def searchable(name: str, changes: Sequence[Callable[[], UpdateReport]]) -> dict[str, object]:
    """Make changes; return the times until searches see them, and the times of the whole calls, which also merge."""
    seen: list[float] = []
    calls = [timed(lambda change=change: seen.append(change().milliseconds)) for change in changes]
    figures: dict[str, object] = {
        f"{name}_searchable_ms_p50": round(float(np.median(seen)), 3),
        f"{name}_searchable_ms_p95": round(float(np.quantile(seen, 0.95)), 3),
    }
    return figures | spread(name, calls)


def once(name: str, work: Callable[[], object]) -> dict[str, object]:
    """Return the milliseconds of one call."""
    clock, cpu = timed(work)
    return {f"{name}_ms": round(clock, 1), f"{name}_cpu_ms": round(cpu, 1)}


def spread(name: str, times: Sequence[tuple[float, float]]) -> dict[str, object]:
    """Return median and 95th percentile of what :func:`timed` returned."""
    figures: dict[str, object] = {}
    for kind, values in zip(("ms", "cpu_ms"), zip(*times, strict=True), strict=True):
        figures[f"{name}_{kind}_p50"] = round(float(np.median(values)), 3)
        figures[f"{name}_{kind}_p95"] = round(float(np.quantile(values, 0.95)), 3)
    return figures


if __name__ == "__main__":
    main()
