"""A sharded index: ordinary indexes of parts of a corpus, searched as one with the scores of one."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

from ..agent._fixed_systems import DEPTH
from ..errors import PolicyError, QuestionsError, ShardError
from ..index.settings import IndexSettings
from ..retrievers._folder import LOCK_TIMEOUT
from ..retrievers.protocols import Encoder, Progress, query_vectors
from ..retrievers.records import Document, Passage
from ..retrievers.words._analyser import identifiers
from ..retrievers.words._asked_words import asked_words
from ..retrievers.words._lexical import MOST_IDENTIFIED
from ..retrievers.words._word_statistics import CorpusSize, WordStatistics
from ._additions import ChangeableShards
from ._building import Partition, ShardedBuild, read_shards
from ._merging import Merger
from ._shard import LocalShard, Shard, Waiting
from ._shard_server import FieldWord, ShardAnswer, ShardQuestion, ShardStatistics
from ._tasks import run_here
from .sharded_result import ShardedPassage, ShardedResult

T = TypeVar("T")

SHARDED_SYSTEMS = ("lexical", "dense", "hybrid")
"""Fixed systems that answer over shards."""

_SPARE = 10
"""Passages beyond those wanted that a shard is asked for: of equal scores it cannot know which come first in all."""

_FIELDS = ("forms", "both")
"""Fields that an identifier is looked for in, one after the other."""


class ShardedIndex(ChangeableShards):
    """A sharded index, opened. Its rankings are those of one index of the same documents.

    Args:
        path: the folder that :meth:`build` wrote.
        encoder: instead of the one that the shards name; must have its name.
        threads: for encoding questions.
        lock_timeout: seconds that a change waits for another process.
        on_ray: every shard is an actor of the Ray cluster that this process is connected to, whose machines all see
            ``path``; an actor that is lost is started again, and a search does not wait for it.
        open_shard: opens a shard by its folder instead.
        replicas: actors of each shard, on as many machines as there are. The least busy one is asked, and another when
            it is slow or lost, so nothing is unreachable while one of them lives.

    Raises:
        IndexFolderError: when there is no sharded index, or a shard cannot be opened.
        EncoderError: when ``encoder`` is another than the shards' own.
    """

    def __init__(
        self,
        path: Path | str,
        encoder: Encoder | None = None,
        threads: int = 1,
        on_ray: bool = False,
        open_shard: Callable[[Path], Shard] | None = None,
        lock_timeout: float = LOCK_TIMEOUT,
        replicas: int = 1,
    ) -> None:
        self.path, self.lock_timeout = Path(path), lock_timeout
        self.about = read_shards(self.path)
        self._given, self._threads = encoder, threads
        if encoder is not None:
            self.about.check_encoder(encoder)
        if replicas < 1 or (replicas > 1 and not on_ray):
            raise ShardError(f"{replicas} replicas cannot be: they are 1 or more actors of Ray (on_ray=True, --ray)")
        if open_shard is None:
            open_shard = partial(LocalShard, encoder=encoder)
            if on_ray:
                from ._ray import RayShard  # Ray is an extra

                open_shard = partial(RayShard, encoder=encoder, replicas=replicas)
        self.shards: tuple[Shard, ...] = tuple(open_shard(self.path.absolute() / name) for name in self.about.shards)

    @classmethod
    def build(
        cls,
        corpus: Path | str | Iterable[Path | str] | Iterable[Document],
        out: Path | str,
        shards: int,
        *,
        settings: IndexSettings | None = None,
        encoder: Encoder | None = None,
        threads: int | None = None,
        warn: Callable[[str], None] | None = None,
        progress: Progress | None = None,
        strict: bool = False,
        on_ray: bool = False,
        partition: Partition = "hash",
    ) -> ShardedIndex:
        """Index a corpus in so many parts, and open the result. Shards that an earlier call made of the same stay.

        Args:
            corpus: a path or paths, or documents, as for :meth:`Index.build`; no knowledge graph.
            out: the folder to make or change; every shard in it is an index of its own.
            shards: how many.
            settings, encoder, threads, warn, progress, strict: as for :meth:`Index.build`.
            on_ray: every shard is a task of the Ray cluster that this process is connected to, whose machines all
                see ``out``; a task whose machine is lost begins again elsewhere.
            partition: ``hash``, a document is in the shard that the hash of its id says; or ``topics``, it lies where
                others of its kind do, so that few shards need be asked.

        Raises:
            IndexFolderError: when ``out`` is something else, or the settings cannot be those of a part.
            CorpusError: when the corpus cannot be read, or holds no text.
            MissingExtraError: when Ray is to build and is not installed.
        """
        build = ShardedBuild(Path(out), shards, settings or IndexSettings(), encoder, threads, partition)
        run = run_here
        if on_ray:
            from ._ray import run_on_ray as run  # Ray is an extra
        build.write(corpus, warn or (lambda message: None), progress, strict, run)
        return cls(out, encoder, threads or 1)

    def __len__(self) -> int:
        """Return the number of passages when it was built."""
        return self.about.passages

    def __enter__(self) -> ShardedIndex:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let go of all shards."""
        for shard in self.shards:
            shard.close()

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder of the shards; loaded when first used."""
        if self._given is not None:
            return self._given
        encoder = self.about.settings.load_encoder(self._threads)
        self.about.check_encoder(encoder)
        return encoder

    def search(self, question: str, limit: int = 10, system: str = "hybrid") -> ShardedResult:
        """Find passages in all shards, in their newest state.

        Words weigh by their frequencies in all shards that answer, so a shard that is lost changes scores a little.

        Args:
            question: in words.
            limit: passages to return at most.
            system: ``lexical``, ``dense`` or ``hybrid``.

        Raises:
            QuestionsError: when the question is empty or the limit cannot be.
            PolicyError: when there is no such system over shards.
            ShardError: when no shard can be reached.
        """
        if system not in SHARDED_SYSTEMS:
            raise PolicyError(f"over shards there is no system {system!r}: choose one of {', '.join(SHARDED_SYSTEMS)}")
        if not question.strip() or limit < 1:
            raise QuestionsError(f"{limit} passages for the question {question!r} cannot be found: ask for one or more")
        lost: set[str] = set()
        wide = max(limit, DEPTH)
        shards, by_words, known = self._weighed(question, lost) if system != "dense" else (self.shards, None, ())
        vector = None if system == "lexical" else query_vectors(self.encoder, [question])[0]
        asked = ShardQuestion(question, vector, wide + _SPARE, by_words, known if system == "hybrid" else ())
        answers: dict[str, ShardAnswer] = _gathered([(shard.name, shard.call("ask", asked)) for shard in shards], lost)
        merger = Merger(answers)
        found = merger.fused(limit, wide) if system == "hybrid" else merger.merged(system, limit)
        passages = self._read(merger.places(found), found.scores.tolist(), answers, lost)
        return ShardedResult(question, passages, system, tuple(one.name for one in self.shards if one.name in lost))

    def _read(
        self,
        places: Sequence[tuple[str, int]],
        scores: Sequence[float],
        answers: Mapping[str, ShardAnswer],
        lost: set[str],
    ) -> tuple[ShardedPassage, ...]:
        """Return the passages of what was ranked, without those of shards that are lost by now."""
        rows = {name: [row for shard, row in places if shard == name] for name in dict(places)}
        if not rows:
            return ()
        asked = [(one, one.call("passages", rows[one.name], answers[one.name].generation)) for one in self._of(rows)]
        texts: dict[str, list[Passage]] = _gathered([(shard.name, waiting) for shard, waiting in asked], lost)
        known = {(name, row): one for name in texts for row, one in zip(rows[name], texts[name], strict=True)}
        there = [(place, score) for place, score in zip(places, scores, strict=True) if place in known]
        return tuple(
            ShardedPassage(rank, known[place], score, place[0]) for rank, (place, score) in enumerate(there, start=1)
        )

    def _of(self, names: Container[str]) -> list[Shard]:
        return [shard for shard in self.shards if shard.name in names]

    def _weighed(
        self, question: str, lost: set[str]
    ) -> tuple[Sequence[Shard], tuple[CorpusSize, WordStatistics], tuple[FieldWord, ...]]:
        """Return the shards that are there, what words weigh in them, and the identifiers that few passages have."""
        named = [[(field, term) for term in one.terms for field in _FIELDS] for one in identifiers(question)]
        words = {(asked.field, asked.term) for asked in asked_words(question)}.union(*named)
        begun = [(shard.name, shard.call("statistics", sorted(words))) for shard in self.shards]
        statistics: dict[str, ShardStatistics] = _gathered(begun, lost)
        corpus = CorpusSize.total([one.size for one in statistics.values()])
        frequencies = {word: _sum(statistics, word) for word in words}
        known = [next((word for word in one if 0 < frequencies[word] <= MOST_IDENTIFIED), None) for one in named]
        return (
            self._of(statistics),
            (corpus, WordStatistics(corpus.passages, frequencies)),
            tuple(w for w in known if w is not None),
        )


def _sum(statistics: Mapping[str, ShardStatistics], word: FieldWord) -> int:
    return sum(one.frequencies[word] for one in statistics.values())


def _gathered(begun: Sequence[tuple[str, Waiting[T]]], lost: set[str]) -> dict[str, T]:
    """Wait for every shard; those that are lost are added to ``lost``.

    Raises:
        ShardError: when all are.
    """
    found: dict[str, T] = {}
    reasons = []
    for name, waiting in begun:
        try:
            found[name] = waiting()
        except ShardError as error:
            lost.add(name)
            reasons.append(str(error))
    if not found:
        raise ShardError(f"none of the shards can be reached ({'; '.join(reasons)}): start them again")
    return found
