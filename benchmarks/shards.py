"""What sharding costs and changes: rankings of several shards against one index, and the time beside the slowest shard.

    python benchmarks/shards.py --corpus ../shared/data/2wiki --questions ../shared/data/2wiki
    python benchmarks/shards.py --corpus ../shared/data/2wiki --questions ../shared/data/2wiki --times
    python benchmarks/shards.py --corpus ../shared/data/techdocs --questions ../shared/data/techdocs --ray
    python benchmarks/shards.py --corpus ../shared/data/2wiki --questions ../shared/data/2wiki --ray --kills 20

Shards and one ordinary index of the same corpus are searched by the same agents.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from trailhound import Evidence, Index, IndexSettings, SearchAgent, ShardedIndex
from trailhound.retrievers._thread_limits import computing_on
from trailhound.retrievers.protocols import Progress
from trailhound.retrievers.questions._labelled import load_questions
from trailhound.retrievers.records import Vectors
from trailhound.retrievers.vectors._encoder import load_encoder
from trailhound.sharding._shard import Shard, Waiting

SHARDS = (1, 2, 4, 8)
TIMED = 4
SYSTEMS = ("lexical", "dense", "hybrid", "hops", "policy")
LIMIT = 20
WARM = 10
"""Questions that are asked before times are taken."""


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


def compare(one: Index, indexes: dict[int, ShardedIndex], questions: Sequence[str]) -> None:
    """Print for every system and number of shards how many rankings are those of one index, and how scores differ."""
    for system in SYSTEMS:
        agent = SearchAgent(one, system=system)
        wanted = [agent.search(question, LIMIT) for question in questions]
        for shards, index in indexes.items():
            agent = SearchAgent(index, system=system)
            same = first = 0
            error = 0.0
            for question, its in zip(questions, wanted, strict=True):
                mine = agent.search(question, LIMIT)
                ids = [[one.passage.id for one in result.evidence] for result in (mine, its)]
                same, first = same + (ids[0] == ids[1]), first + (set(ids[0][:5]) == set(ids[1][:5]))
                known = {one.passage.id: one for one in its.evidence}
                for found in mine.evidence:
                    if found.passage.id in known:
                        error = max(error, *_differences(found, known[found.passage.id]))
            print(
                f"{system:8} {shards} shards: {same} of {len(questions)} rankings equal, {first} with the same first"
                f" five; BM25 and cosines to {error:.1e}",
                flush=True,
            )


def _differences(mine: Evidence, its: Evidence) -> list[float]:
    pairs = [(mine.bm25, its.bm25), (mine.cosine, its.cosine)]
    return [0.0, *(abs(a - b) / max(abs(b), 1e-9) for a, b in pairs if a is not None and b is not None)]


def overhead(index: ShardedIndex, questions: Sequence[str], system: str) -> None:
    """Print the median time of a search over all shards, and what it is beyond the slowest shard, two ways.

    Beyond the same search of each shard alone, opened as the ordinary index it is; and beyond the calls that the search
    makes of it, made again. Every question is new to all of them, but its vector is known. Then how long a search waits
    for the answers to each method, in which shards of this process make them.
    """
    agent, whole, beyond_search, beyond_calls = SearchAgent(index, system=system), [], [], []
    alone = [
        SearchAgent(Index.open(index.path / name, encoder=index.encoder), system=system) for name in index.about.shards
    ]
    for one in (agent, *alone):
        for question in questions[:WARM]:
            one.search(question, LIMIT)
    waited: dict[str, list[float]] = {}
    for asked, question in enumerate(questions[WARM:]):
        index.encoder.encode([question])
        calls: dict[str, list[tuple[str, tuple[Any, ...]]]] = {}
        shards, index.shards = index.shards, tuple(Listening(shard, calls, waited, asked) for shard in index.shards)
        whole.append(_seconds(partial(agent.search, question, LIMIT)))
        index.shards = shards
        beyond_search.append(whole[-1] - max(_seconds(partial(one.search, question, LIMIT)) for one in alone))
        beyond_calls.append(whole[-1] - max(_seconds(partial(_again, shard, calls[shard.name])) for shard in shards))
    total, search, made = (statistics.median(times) * 1000 for times in (whole, beyond_search, beyond_calls))
    print(
        f"{system} over {len(index.shards)} shards: {total:.1f} ms, {search:.1f} more than a search of the slowest"
        f" shard alone, {made:.1f} more than its calls (medians)",
        flush=True,
    )
    parts = {method: statistics.median((times + [0.0] * len(whole))[: len(whole)]) for method, times in waited.items()}
    print("  of it waiting for", ", ".join(f"{method} {1000 * each:.2f}" for method, each in parts.items()), flush=True)


def _again(shard: Shard, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> None:
    for method, given in calls:
        shard.call(method, *given)()


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


class Listening:
    """A shard that keeps what it is asked, and how long a search waited for the answers to each method.

    Args:
        shard: the shard.
        calls: by shard, what it was asked.
        waited: by method, the seconds of every search, to which its own are added.
        search: the number of the search.
    """

    def __init__(
        self,
        shard: Shard,
        calls: dict[str, list[tuple[str, tuple[Any, ...]]]],
        waited: dict[str, list[float]],
        search: int,
    ) -> None:
        self.name, self._shard, self._waited, self._search = shard.name, shard, waited, search
        self._calls = calls.setdefault(shard.name, [])

    def call(self, method: str, *given: Any) -> Waiting[Any]:
        """Note the call."""
        self._calls.append((method, given))
        answer, times = self._shard.call(method, *given), self._waited.setdefault(method, [])
        times += [0.0] * (self._search + 1 - len(times))

        def wait() -> Any:
            began = time.perf_counter()
            try:
                return answer()
            finally:
                times[self._search] += time.perf_counter() - began

        return wait

    def close(self) -> None:
        """Let go of the shard."""
        self._shard.close()


def kill(index: ShardedIndex, questions: Sequence[str], kills: int) -> None:
    """Kill an actor so many times while searches go on; print what they found meanwhile and afterwards."""
    import ray

    agent = SearchAgent(index)
    whole = [[one.passage.id for one in agent.search(question, LIMIT).evidence] for question in questions]
    searches = partial = wrong = 0
    away: list[float] = []
    for number in range(kills):
        shard: Any = index.shards[number % len(index.shards)]
        ray.kill(shard.replicas[0].actor, no_restart=False)
        started = time.perf_counter()
        while True:
            place = searches % len(questions)
            found = agent.search(questions[place], LIMIT)
            searches += 1
            if not found.unreachable:
                wrong += [one.passage.id for one in found.evidence] != whole[place]
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
    parser.add_argument("--folder", type=Path, help="keep the indexes here")
    parser.add_argument("--ray", action="store_true", help="measure actors on this machine as well")
    parser.add_argument("--times", action="store_true", help="take times alone, and compare no rankings")
    parser.add_argument("--kills", type=int, default=20, help="actors to kill with --ray (default: 20)")
    parsed = parser.parse_args(arguments)
    encoder = Remembering()
    labelled, _ = load_questions(parsed.questions, parsed.split)
    questions = [question.text for question in labelled[: parsed.most]]
    settings = IndexSettings(late_interaction=False)
    with tempfile.TemporaryDirectory() as passing, computing_on(1):
        place = parsed.folder or Path(passing)
        indexes = {
            shards: ShardedIndex.build(parsed.corpus, place / str(shards), shards, settings=settings, encoder=encoder)
            for shards in ((TIMED,) if parsed.times else SHARDS)
        }
        if not parsed.times:
            one = Index.build(parsed.corpus, place / "one", settings=settings, encoder=encoder)
            compare(one, indexes, questions)
        for system in ("hybrid", "policy"):
            overhead(indexes[TIMED], questions, system)
        if parsed.ray:
            from trailhound.retrievers._ray_cluster import connect

            connect("local")
            with ShardedIndex(indexes[TIMED].path, encoder, on_ray=True) as on_ray:
                for system in ("hybrid", "policy"):
                    overhead(on_ray, questions, system)
                kill(on_ray, questions, parsed.kills)


if __name__ == "__main__":
    main(sys.argv[1:])
