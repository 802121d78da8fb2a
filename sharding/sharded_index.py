"""A sharded index: ordinary indexes of parts of a corpus, searched as one with the scores of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from threading import local

from ..errors import ShardError
from ..index._sample import Sample
from ..index.settings import IndexSettings
from ..index.where import Where
from ..retrievers._folder import LOCK_TIMEOUT
from ..retrievers.protocols import Encoder, Progress, SubIndex, query_vectors
from ..retrievers.records import Document, Query, Rows
from ..retrievers.router._shard_judge import shipped_judge
from ..retrievers.vectors._piece_codes import queries_of
from ._additions import ChangeableShards
from ._building import Partition, ShardedBuild, read_shards
from ._fan import Fan
from ._linking import link
from ._regions import Regions
from ._remembering import Remembering
from ._remote_parts import (
    RemoteDense,
    RemoteEntities,
    RemoteGraph,
    RemotePieces,
    RemoteStore,
    RemoteSubIndex,
    RemoteTerms,
)
from ._routing import Choosing, Routing
from ._shard import LocalShard, Shard
from ._state import State
from ._tasks import run_here


class ShardedIndex(ChangeableShards):
    """A sharded index, opened; an agent searches it as it does one index of the same documents.

    Args:
        path: the folder that :meth:`build` wrote.
        encoder: instead of the one that the shards name; must have its name.
        threads: for encoding questions.
        on_ray: every shard is an actor of the Ray cluster that this process is connected to, whose machines all see
            ``path``; an actor that is lost is started again, and a search does not wait for it.
        open_shard: opens a shard by its folder instead.
        lock_timeout: seconds that a change waits for another process.
        replicas: actors of each shard, on as many machines as there are. The least busy one is asked, and another when
            it is slow or lost, so nothing is unreachable while one of them lives.
        ask: the share of the shards that is asked for what they find, the most probable ones for each query.
        ask_mass: of the probability: no more shards are asked than hold so much of it.

    Raises:
        IndexFolderError: when there is no sharded index, a shard cannot be opened, or some are to be left out of one
            that is not parted by topics.
        EncoderError: when ``encoder`` is another than the shards' own.
    """

    facts = None

    def __init__(
        self,
        path: Path | str,
        encoder: Encoder | None = None,
        threads: int = 1,
        on_ray: bool = False,
        open_shard: Callable[[Path], Shard] | None = None,
        lock_timeout: float = LOCK_TIMEOUT,
        replicas: int = 1,
        ask: float = 1.0,
        ask_mass: float = 1.0,
    ) -> None:
        self.path, self.lock_timeout = Path(path).absolute(), lock_timeout
        self.about = read_shards(self.path)
        self.encoder_name = self.about.encoder
        self._given, self._threads = encoder, threads
        self._arguments = (threads, on_ray, None, lock_timeout, replicas, ask, ask_mass)
        if encoder is not None:
            self.about.check_encoder(encoder)
        if replicas < 1 or (replicas > 1 and not on_ray):
            raise ShardError(f"{replicas} replicas cannot be: they are 1 or more actors of Ray (on_ray=True, --ray)")
        self._routing = self._routed(Choosing(ask, ask_mass))
        if open_shard is None:
            open_shard = partial(LocalShard, encoder=encoder)
            if on_ray:
                from ._ray import RayShard  # Ray is an extra

                open_shard = partial(RayShard, encoder=encoder, replicas=replicas)
        self.shards: tuple[Shard, ...] = tuple(open_shard(self.path / name) for name in self.about.shards)
        self._pinned = local()
        self._remembering = Remembering()

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
        if on_ray and threads is None:
            threads = 1  # a task takes one CPU
        build = ShardedBuild(Path(out), shards, settings or IndexSettings(), encoder, threads, partition)
        run = run_here
        if on_ray:
            from ._ray import run_on_ray as run  # Ray is an extra
        build.write(corpus, warn or (lambda message: None), progress, strict, run, link)
        return cls(out, encoder, threads or 1)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as the folder's path: whoever unpickles opens it."""
        return type(self), (self.path, self._given, *self._arguments)

    def __len__(self) -> int:
        """Return the number of passages."""
        return self._state.passages

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

    def query(self, text: str) -> Query:
        """Return ``text`` with its vector, and with its word pieces where the encoder gives them."""
        return self.queries([text])[0]

    def queries(self, texts: Sequence[str]) -> list[Query]:
        """Return texts as :meth:`query` does, encoded together; their words are looked up in one round trip."""
        found = queries_of(self.encoder, texts)
        pinned: State | None = getattr(self._pinned, "state", None)
        if pinned is not None:
            pinned.announce(found)
        return found

    @contextmanager
    def snapshot(self, where: Where | None = None) -> Iterator[None]:
        """Let this thread see one state of every shard, whatever others add or delete meanwhile.

        Args:
            where: only documents that fit are seen.
        """
        outer: State | None = getattr(self._pinned, "state", None)
        self._pinned.state = outer if outer is not None and where is None else self._new_state(where)
        try:
            yield
        finally:
            self._pinned.state = outer

    def refresh(self) -> bool:
        """Do nothing: every search asks the shards for their newest state."""
        return False

    def sub_indexes_for(self, question: Query) -> Mapping[str, SubIndex]:
        """Return the sub-indexes that are searched for a question, by name."""
        state = self._state
        lexical, dense = RemoteSubIndex("lexical", state, ahead=True), RemoteDense(state, ahead=True)
        return {"lexical": lexical, "dense": dense, "entity": RemoteEntities(state)}

    @property
    def sub_indexes(self) -> Mapping[str, SubIndex]:
        """The sub-indexes by name."""
        return {"lexical": self.lexical, "dense": self.dense, "entity": self.entity}

    @property
    def lexical(self) -> RemoteSubIndex:
        """The lexical sub-index of all shards."""
        return RemoteSubIndex("lexical", self._state)

    @property
    def dense(self) -> RemoteDense:
        """The dense sub-index of all shards."""
        return RemoteDense(self._state)

    @property
    def entity(self) -> RemoteEntities:
        """What questions name in all shards."""
        return RemoteEntities(self._state)

    @property
    def store(self) -> RemoteStore:
        """The evidence store of all shards."""
        return RemoteStore(self._state)

    @property
    def terms(self) -> RemoteTerms:
        """The terms of the passages of all shards."""
        return RemoteTerms(self._state)

    @property
    def graph(self) -> RemoteGraph:
        """The edges of the passages of all shards."""
        return RemoteGraph(self._state)

    @property
    def pieces(self) -> RemotePieces | None:
        """The word pieces of the passages of all shards, where they are kept."""
        state = self._state
        return RemotePieces(state) if state.has_pieces else None

    @property
    def sample(self) -> Sample:
        """A sample of the passages of all shards."""
        return self._state.sample()

    @property
    def unreachable(self) -> tuple[str, ...]:
        """Shards that did not answer when the search of this thread began, whose passages are not seen."""
        state = self._state
        return state.fan.names(state.fan.lost)

    def shards_asked(self, question: str) -> tuple[str, ...]:
        """Return the shards that are asked what they find for a question; other queries of its search ask their own."""
        state = self._state
        return state.fan.names(state.chosen(question))

    def look_ahead(self, rows: Rows) -> None:
        """Fetch what is known of passages that a search looks at next, but for their edges, in one round trip."""
        self._state.fetch(rows, linked=False)

    def _routed(self, choosing: Choosing) -> Routing | None:
        """Return what chooses the shards that are asked; None where all are.

        Raises:
            IndexFolderError: see :meth:`AboutShards.file_of_regions`.
        """
        if choosing.all:
            return None
        regions = Regions.load(self.about.file_of_regions(self.path))
        return Routing(regions, shipped_judge(), choosing, lambda text: query_vectors(self.encoder, [text])[0])

    @property
    def _state(self) -> State:
        """The state that this thread sees, the newest outside of :meth:`snapshot`."""
        pinned: State | None = getattr(self._pinned, "state", None)
        return self._new_state(None) if pinned is None else pinned

    def _new_state(self, where: Where | None) -> State:
        return State(Fan(self.shards), where, self._remembering, self.encoder.dimension, self._routing)
