"""What replicas bring: how long searches take while one replica of every shard is slow, with and without hedging.

    python benchmarks/ray_replicas.py

The corpus is invented. The slow replica hands some of its answers, or all, over later. Questions are encoded
beforehand.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from random import Random
from threading import Timer
from typing import Any

import numpy as np
from trailhound import IndexSettings, SearchAgent, ShardedIndex
from trailhound.demo._encyclopedia import generate
from trailhound.retrievers._ray_cluster import connect
from trailhound.retrievers._thread_limits import computing_on
from trailhound.retrievers.protocols import Progress, query_vectors
from trailhound.retrievers.records import Vectors
from trailhound.retrievers.vectors._encoder import load_encoder

LIMIT = 10


class Sleepy:
    """A replica that answers late, always or now and then."""

    def __init__(self, replica: Any, seconds: float, share: float, seed: int) -> None:
        self._replica, self._seconds, self._share, self._random = replica, seconds, share, Random(seed)

    def begin(self, method: str, *given: Any) -> Future[Any]:
        """Begin a method, and hand its answer over later."""
        begun = self._replica.begin(method, *given)
        if self._random.random() >= self._share:
            return begun
        late: Future[Any] = Future()
        begun.add_done_callback(lambda done: Timer(self._seconds, lambda: late.set_result(done.result())).start())
        return late

    def close(self) -> None:
        """Let go of it."""
        self._replica.close()


class Known:
    """An encoder that knows the questions already, so that a client costs little."""

    def __init__(self, questions: Sequence[str]) -> None:
        encoder: Any = load_encoder("minilm", 1)
        self.name, self.dimension = encoder.name, encoder.dimension
        self._known = dict(zip(questions, query_vectors(encoder, questions), strict=True))

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Return the vectors of known texts."""
        return np.stack([self._known[text] for text in texts])


@contextmanager
def slowed(index: ShardedIndex, seconds: float, share: float, hedging: bool) -> Iterator[None]:
    """Let the first replica of every shard be slow, and let nobody hedge where that is not wanted."""
    shards: list[Any] = list(index.shards)
    kept = [(shard.replicas, shard.delay) for shard in shards]
    for number, shard in enumerate(shards):
        shard.replicas = (Sleepy(shard.replicas[0], seconds, share, number), *shard.replicas[1:])
        shard.calls = shard.hedged = 0
        if not hedging:
            shard.delay = lambda method: 60.0
    try:
        yield
    finally:
        for shard, (replicas, delay) in zip(shards, kept, strict=True):
            shard.replicas, shard.delay = replicas, delay


def hedge(agent: SearchAgent, index: ShardedIndex, questions: Sequence[str]) -> None:
    """Print how long searches take while one replica is slow, with and without hedging.

    Every question is asked once: what was asked before is remembered.
    """
    ways = [(late, hedging) for late in ((0.0, 0.0), (0.1, 0.05), (0.1, 1.0)) for hedging in (False, True)]
    each = len(questions) // len(ways)
    for number, ((seconds, share), hedging) in enumerate(ways):
        with slowed(index, seconds, share, hedging):
            times = []
            for question in questions[number * each : (number + 1) * each]:
                began = time.perf_counter()
                agent.search(question, LIMIT)
                times.append((time.perf_counter() - began) * 1000)
            shards: list[Any] = list(index.shards)
            more = sum(shard.hedged for shard in shards) / sum(shard.calls for shard in shards)
        quantiles = statistics.quantiles(times, n=100)
        late = f"{share:.0%} of the answers of one replica {seconds * 1000:.0f} ms late"
        print(
            f"{late}, {'hedged' if hedging else 'not hedged'}: p50 {quantiles[49]:.1f} ms, p95 {quantiles[94]:.1f}, p99"
            f" {quantiles[98]:.1f}; {more:.1%} of the calls asked twice ({each} searches)",
            flush=True,
        )


def main(arguments: Sequence[str]) -> None:
    """Build an invented corpus in shards and search their replicas."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--articles", type=int, default=1000, help="of the corpus (default: 1000)")
    parser.add_argument("--questions", type=int, default=1250, help="(default: 1250)")
    parser.add_argument("--shards", type=int, default=2, help="(default: 2)")
    parsed = parser.parse_args(arguments)
    corpus = generate(articles=parsed.articles, questions=parsed.questions, seed=3)
    questions = list(dict.fromkeys(question.text for question in corpus.questions))
    connect("local")
    with tempfile.TemporaryDirectory() as folder, computing_on(1):
        place, settings = Path(folder) / "index", IndexSettings(late_interaction=False)
        ShardedIndex.build(corpus.documents, place, parsed.shards, settings=settings).close()
        with ShardedIndex(place, Known(questions), on_ray=True, replicas=2) as index:
            agent = SearchAgent(index, system="hybrid")
            for question in questions[:50]:
                agent.search(question, LIMIT)
            hedge(agent, index, questions[50:])


if __name__ == "__main__":
    main(sys.argv[1:])
