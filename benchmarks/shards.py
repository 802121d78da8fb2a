"""What sharding costs and changes: rankings of several shards against one index, and the time beside the slowest shard.

    python benchmarks/shards.py --corpus ../shared/data/2wiki --questions ../shared/data/2wiki
    python benchmarks/shards.py --corpus ../shared/data/techdocs --questions ../shared/data/techdocs --ray
    python benchmarks/shards.py --corpus ../shared/data/2wiki --questions ../shared/data/2wiki --ray --kills 20

The one index is a sharded index of one shard, an ordinary index, searched by the fixed systems of ``SearchAgent``.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from trailhound import Index, IndexSettings, SearchAgent, ShardedIndex
from trailhound.retrievers._thread_limits import computing_on
from trailhound.retrievers.protocols import Progress
from trailhound.retrievers.questions._labelled import load_questions
from trailhound.retrievers.records import Vectors
from trailhound.retrievers.vectors._encoder import load_encoder
from trailhound.sharding._shard import Shard, Waiting
from trailhound.sharding._shard_server import FieldWord, ShardQuestion
from trailhound.sharding.sharded_index import SHARDED_SYSTEMS

SHARDS = (1, 2, 4, 8)
LIMIT = 20


class Remembering:
    """An encoder that encodes a text once, however many indexes it is in."""

    def __init__(self) -> None:
        self._encoder: Any = load_encoder("minilm", 1)
        self.name, self.dimension = self._encoder.name, self._encoder.dimension
        self.max_tokens, self.count_tokens = self._encoder.max_tokens, self._encoder.count_tokens
        self._known: dict[str, Vectors] = {}

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Return the vectors of texts, computed now or before."""
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        self._known.update(zip(new, self._encoder.encode(new, progress), strict=True))
        return np.stack([self._known[text] for text in texts])


def compare(indexes: dict[int, ShardedIndex], encoder: Remembering, questions: Sequence[str]) -> None:
    """Print for every system and number of shards how many rankings are those of one index, and the score's error."""
    one = Index.open(indexes[1].path / "shard-0000", encoder=encoder)
    for system in SHARDED_SYSTEMS:
        agent = SearchAgent(one, system=system)
        wanted = [[e.passage.id for e in agent.search(question, LIMIT).evidence] for question in questions]
        firsts = [indexes[1].search(question, LIMIT, system) for question in questions]
        for shards, index in indexes.items():
            found = [index.search(question, LIMIT, system) for question in questions]
            same = sum([p.passage.id for p in got.passages] == ids for got, ids in zip(found, wanted, strict=True))
            error = max(
                abs(a.score - b.score) / max(abs(b.score), 1e-9)
                for got, first in zip(found, firsts, strict=True)
                for a, b in zip(got.passages, first.passages, strict=True)
            )
            print(f"{system:8} {shards} shards: {same} of {len(questions)} rankings equal, scores to {error:.1e}")


def overhead(index: ShardedIndex, questions: Sequence[str]) -> None:
    """Print the median time of a search, and what it is beyond the slowest shard's calls, each asked alone."""
    whole, beside = [], []
    for question in questions:
        index.encoder.encode([question])  # known from here on: encoding is not what is measured
        asked: list[ShardQuestion] = []
        words: list[Sequence[FieldWord]] = []
        shards, index.shards = index.shards, tuple(Listening(shard, asked, words) for shard in index.shards)
        index.search(question, LIMIT)
        index.shards = shards
        started = time.perf_counter()
        index.search(question, LIMIT)
        whole.append(time.perf_counter() - started)
        slowest = 0.0
        for shard in index.shards:
            started = time.perf_counter()
            shard.call("statistics", words[0])()
            answer = shard.call("ask", asked[0])()
            shard.call("passages", [*answer.documents][:LIMIT], answer.generation)()
            slowest = max(slowest, time.perf_counter() - started)
        beside.append(whole[-1] - slowest)
    total, more = (statistics.median(times) * 1000 for times in (whole, beside))
    print(f"hybrid search over {len(index.shards)} shards: {total:.1f} ms, {more:.1f} more than the slowest (medians)")


class Listening:
    """A shard that keeps what it is asked."""

    def __init__(self, shard: Shard, asked: list[ShardQuestion], words: list[Sequence[FieldWord]]) -> None:
        self.name, self._shard, self._asked, self._words = shard.name, shard, asked, words

    def call(self, method: str, *given: Any) -> Waiting[Any]:
        """Note the words and the question."""
        if method == "statistics":
            self._words.append(given[0])
        elif method == "ask":
            self._asked.append(given[0])
        return self._shard.call(method, *given)

    def close(self) -> None:
        """Let go of the shard."""
        self._shard.close()


def kill(index: ShardedIndex, questions: Sequence[str], kills: int) -> None:
    """Kill an actor so many times while searches go on; print what they found meanwhile and afterwards."""
    import ray

    whole = [[(p.passage.id, p.score) for p in index.search(question, LIMIT).passages] for question in questions]
    searches = partial = wrong = 0
    away: list[float] = []
    for number in range(kills):
        shard: Any = index.shards[number % len(index.shards)]
        ray.kill(shard.replicas[0].actor, no_restart=False)
        started = time.perf_counter()
        while True:
            place = searches % len(questions)
            found = index.search(questions[place], LIMIT)
            searches += 1
            if not found.unreachable:
                wrong += [(p.passage.id, p.score) for p in found.passages] != whole[place]
                break
            partial += 1
        away.append(time.perf_counter() - started)
    print(
        f"{kills} actors killed: {searches} searches, none failed, {partial} named the shard that was away,"
        f" {wrong} complete ones differed; back after {statistics.median(away):.1f} s (median; at most {max(away):.1f})"
    )


def main(arguments: Sequence[str]) -> None:
    """Build the corpus in 1, 2, 4 and 8 shards and measure them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--split", default="dev", help="of the questions (default: dev)")
    parser.add_argument("--most", type=int, default=300, help="questions (default: 300)")
    parser.add_argument("--ray", action="store_true", help="measure actors on this machine as well")
    parser.add_argument("--kills", type=int, default=20, help="actors to kill with --ray (default: 20)")
    parsed = parser.parse_args(arguments)
    encoder = Remembering()
    labelled, _ = load_questions(parsed.questions, parsed.split)
    questions = [question.text for question in labelled[: parsed.most]]
    settings = IndexSettings(late_interaction=False)
    with tempfile.TemporaryDirectory() as folder, computing_on(1):
        place = Path(folder)
        indexes = {
            shards: ShardedIndex.build(parsed.corpus, place / str(shards), shards, settings=settings, encoder=encoder)
            for shards in SHARDS
        }
        compare(indexes, encoder, questions)
        overhead(indexes[4], questions)
        if parsed.ray:
            from trailhound.retrievers._ray_cluster import connect

            connect("local")
            with ShardedIndex(indexes[4].path, encoder, on_ray=True) as on_ray:
                overhead(on_ray, questions)
                kill(on_ray, questions, parsed.kills)


if __name__ == "__main__":
    main(sys.argv[1:])
