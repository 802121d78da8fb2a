"""Building a sharded index: documents are parted by the hash of their ids or by topics, and each part is indexed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import CorpusError, DamagedIndexError, EncoderError, IndexFolderError
from ..index._build import documents_of, graph_of
from ..index.index import Index
from ..index.settings import IndexSettings
from ..retrievers._atomic_file import storing
from ..retrievers._folder import MANIFEST, locked, read_manifest
from ..retrievers._hashed_files import fingerprint, read_sealed_json, write_sealed_json
from ..retrievers.protocols import Encoder, Progress
from ..retrievers.records import Document
from ..retrievers.vectors._vector_cache import clear_vectors
from ._partition import Indexing, as_line, part_by_topics
from ._regions import Regions, remove_regions
from ._tasks import RunTasks, Warn

SHARDS = "shards.json"
_FORMAT = 3
_REMEDY = "build the index again"
Partition = Literal["hash", "topics"]
PARTITIONS: tuple[Partition, ...] = ("hash", "topics")
"""How documents are parted: by the hash of their ids, or by what they are about."""

_PARTS = "parts"
"""Folder of the documents of every shard, which is there while they are indexed."""


@dataclass(frozen=True)
class AboutShards:
    """What ``shards.json`` says.

    Attributes:
        shards: folders, in order.
        parts: that ids are hashed to; one that had no document when it was built is no shard.
        regions: file of the regions of every shard, where documents were parted by topics; else "".
        settings: how each is indexed.
        encoder: name of the encoder.
        documents, passages: in all of them, when they were built.
        corpus: where its files are and what was read of them, as an index's manifest says it.
    """

    shards: tuple[str, ...]
    parts: int
    regions: str
    settings: IndexSettings
    encoder: str
    documents: int
    passages: int
    corpus: Mapping[str, Any]

    def write(self, folder: Path) -> None:
        """Let the manifest of a sharded index say this."""
        about = {**asdict(self), "format": _FORMAT, "settings": self.settings.to_json()}
        write_sealed_json(folder / SHARDS, about)

    def shard_of(self, document: str) -> str:
        """Return the shard of a document by its id; where its part is no shard, the next one that is."""
        first = shard_of(document, self.parts)
        names = (_name((first + step) % self.parts) for step in range(self.parts))
        return next(name for name in names if name in self.shards)

    def check_encoder(self, encoder: Encoder) -> None:
        """Raise EncoderError where an encoder is not that of the shards."""
        if encoder.name != self.encoder:
            raise EncoderError(f"the shards were built with the encoder {self.encoder!r}, not {encoder.name!r}")

    def file_of_regions(self, folder: Path) -> Path:
        """Return the file of the regions.

        Raises:
            IndexFolderError: when what a question asks for lies anywhere.
        """
        if not self.regions:
            raise IndexFolderError(
                f"{folder} is parted by the hash of ids, so every shard must be asked: leave --ask and --ask-mass out,"
                " or build it with --partition topics"
            )
        return folder / self.regions


def is_sharded(folder: Path) -> bool:
    """Return whether a folder is a sharded index."""
    return (folder / SHARDS).is_file()


def read_shards(folder: Path) -> AboutShards:
    """Read the manifest of a sharded index.

    Raises:
        DamagedIndexError: when it is missing, damaged or of another format.
    """
    found = read_sealed_json(folder / SHARDS, DamagedIndexError, _REMEDY)
    if found.get("format") != _FORMAT:
        raise DamagedIndexError(f"{folder} has the format {found.get('format')!r}, not {_FORMAT}: {_REMEDY}")
    settings = IndexSettings.from_json(found["settings"])
    sizes = (found["documents"], found["passages"])
    return AboutShards(
        tuple(found["shards"]),
        found["parts"],
        found["regions"],
        settings,
        found["encoder"],
        *sizes,
        corpus=found["corpus"],
    )


def done_file(folder: Path, shard: str) -> Path:
    """Return the file that says of which documents a shard was built; without it a repeated build makes it anew."""
    return folder / f"{shard}.json"


def _name(number: int) -> str:
    return f"shard-{number:04d}"


def shard_of(document: str, shards: int) -> int:
    """Return the part of a document by its id: it is the same on every machine."""
    return int.from_bytes(hashlib.sha256(document.encode()).digest()[:8], "big") % shards


@dataclass(frozen=True)
class ShardTask:
    """One shard that is to be built; whoever can read the folder can do it.

    Attributes:
        documents: file of its documents.
        folder: of the index to make.
        done: file that says of which documents it was made, and how.
    """

    documents: Path
    folder: Path
    done: Path
    settings: IndexSettings
    encoder: Encoder | None
    threads: int | None
    stage = "building shards"

    def run(self, warn: Warn, progress: Progress | None) -> None:
        """Build the shard, unless it was built of the same documents in the same way."""
        made_of = self._made_of()
        if self._is_done(made_of):
            clear_vectors(self.folder)
            return
        self.done.unlink(missing_ok=True)
        Index.build(
            _documents(self.documents),
            self.folder,
            settings=self.settings,
            encoder=self.encoder,
            threads=self.threads,
            warn=warn,
            progress=progress,
        ).close()
        write_sealed_json(self.done, {**made_of, "manifest": fingerprint(self.folder / MANIFEST)})

    def _made_of(self) -> dict[str, Any]:
        name = self.encoder.name if self.encoder is not None else ""
        about = {"documents": fingerprint(self.documents), "settings": dict(self.settings.to_json())}
        return {**about, "encoder": name}

    def _is_done(self, made_of: Mapping[str, Any]) -> bool:
        if not self.done.is_file() or not (self.folder / MANIFEST).is_file():
            return False
        wanted = json.loads(json.dumps({**made_of, "manifest": fingerprint(self.folder / MANIFEST)}))
        return bool(read_sealed_json(self.done, DamagedIndexError, _REMEDY) == wanted)


LinkShards = Callable[[Sequence[Path], Path, RunTasks, Warn, Progress | None], None]
"""Writes how the passages of shards stand in the whole corpus: see ``_linking.link``."""


def place_of_links(shard: Path) -> Path:
    """Return the file that says how the passages of a shard stand in the whole corpus."""
    return shard.with_name(f"{shard.name}.links")


def place_of_order(shard: Path) -> Path:
    """Return the file of the places in the corpus of a shard's documents, which is there while it is built."""
    return shard.parent / _PARTS / f"{shard.name}.npy"


@dataclass(frozen=True)
class ShardedBuild:
    """How a sharded index is built: see :meth:`ShardedIndex.build`."""

    out: Path
    shards: int
    settings: IndexSettings
    encoder: Encoder | None
    threads: int | None
    partition: Partition = "hash"

    def __post_init__(self) -> None:
        """Refuse what no part of a corpus can be indexed with."""
        if self.shards < 1:
            raise IndexFolderError(f"{self.shards} shards hold nothing: give 1 or more")
        if self.partition not in PARTITIONS:
            raise IndexFolderError(f"there is no partition {self.partition!r}: choose {' or '.join(PARTITIONS)}")
        if self.settings.mask:
            raise IndexFolderError(
                "nothing is masked before the corpus is parted, so private data would lie on the disk for a while:"
                " index it without shards"
            )
        for name in ("dimension", "drop_duplicates"):
            if getattr(self.settings, name):
                raise IndexFolderError(f"{name} depends on the whole corpus, and a shard is a part: leave it out")
        if self.settings.context != "none":
            raise IndexFolderError("context depends on the whole corpus, and a shard is a part: leave it out")

    def write(
        self,
        corpus: Any,
        warn: Warn,
        progress: Progress | None,
        strict: bool,
        run: RunTasks,
        link: LinkShards,
    ) -> None:
        """Part the documents, build every shard, link them, and write the manifest when all are there."""
        items = [corpus] if isinstance(corpus, str | Path) else corpus
        if graph_of(items, warn) is not None:
            raise IndexFolderError("a knowledge graph is learned from as a whole: build it without shards")
        if (self.out / MANIFEST).exists() or (self.out.exists() and not self.out.is_dir()):
            raise IndexFolderError(f"{self.out} is there and is no sharded index: choose another folder")
        if self.out.is_dir() and not is_sharded(self.out) and not _ours(self.out):
            raise IndexFolderError(f"{self.out} is there and is no sharded index: choose another folder")
        with storing(self.out):
            (self.out / _PARTS).mkdir(parents=True, exist_ok=True)
        with locked(self.out):
            documents, roots = documents_of(items, warn, progress, self.out.resolve(), strict, masked=False)
            parted = (
                self._part(documents) if self.partition == "hash" else self._by_topics(documents, run, warn, progress)
            )
            names = _filled(parted)
            run([self.task(name) for name in names], warn, progress)
            link([self.out.absolute() / name for name in names], self.out.absolute() / _PARTS, run, warn, progress)
            self._commit(names, {**roots.about(), **_reading(documents)})

    def task(self, name: str) -> ShardTask:
        """Return what there is to do for a shard."""
        place = self.out.absolute()
        how = (self.settings, self.encoder, self.threads)
        return ShardTask(place / _PARTS / f"{name}.jsonl", place / name, done_file(place, name), *how)

    def _part(self, documents: Iterable[Document]) -> dict[str, int]:
        """Write the documents of every shard into a file, and their places in another; return how many each has."""
        names = [_name(number) for number in range(self.shards)]
        places = {name: array("q") for name in names}
        with storing(self.out), ExitStack() as stack:
            files = [
                stack.enter_context((self.out / _PARTS / f"{name}.jsonl").open("w", encoding="ascii")) for name in names
            ]
            for place, document in enumerate(documents):
                if document.text.strip():
                    number = shard_of(document.id, self.shards)
                    files[number].write(as_line(document))
                    places[names[number]].append(place)
            for name, mine in places.items():
                np.save(place_of_order(self.out / name), np.frombuffer(mine, np.int64))
        return {name: len(mine) for name, mine in places.items()}

    def _by_topics(
        self, documents: Iterable[Document], run: RunTasks, warn: Warn, progress: Progress | None
    ) -> dict[str, int]:
        """Do the same, by what the documents are about."""
        tasks = {name: self.task(name) for name in map(_name, range(self.shards))}
        targets = [(task.documents, task.folder) for task in tasks.values()]
        indexing = Indexing(self.settings, self.encoder, self.threads)
        with storing(self.out):
            parts = self.out.absolute() / _PARTS
            places = part_by_topics(documents, parts, targets, indexing, run, warn, progress)
            for name, mine in zip(tasks, places, strict=True):
                np.save(place_of_order(self.out / name), np.array(mine, np.int64))
        return {name: len(mine) for name, mine in zip(tasks, places, strict=True)}

    def _commit(self, names: list[str], corpus: Mapping[str, Any]) -> None:
        """Name all shards in the manifest, and remove what it does not name."""
        manifests = [read_manifest(self.out / name) for name in names]
        sizes = (sum(one["documents"] for one in manifests), sum(one["passages"] for one in manifests))
        how = (IndexSettings.from_json(manifests[0]["settings"]), str(manifests[0]["encoder"]))
        regions = "" if self.partition == "hash" else Regions.of(self._opened(names)).save(self.out)
        AboutShards(tuple(names), self.shards, regions, *how, *sizes, corpus=corpus).write(self.out)
        with storing(self.out):
            shutil.rmtree(self.out / _PARTS)
            for path in self.out.glob("shard-[0-9]*"):
                if path.name.partition(".")[0] not in names:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            remove_regions(self.out, but=regions)

    def _opened(self, names: Sequence[str]) -> Iterator[Index]:
        """Iterate over shards, one of which is open at a time."""
        for name in names:
            with Index.open(self.out / name, encoder=self.encoder, verify=False) as index:
                yield index


def _reading(documents: object) -> dict[str, Any]:
    """Return what became of the files of a corpus, where it is one of files."""
    from ..retrievers.corpus._loading import CorpusReader

    return {"reading": documents.report.to_json()} if isinstance(documents, CorpusReader) else {}


def _filled(counts: Mapping[str, int]) -> list[str]:
    """Return the names of shards that have documents."""
    if not any(counts.values()):
        raise CorpusError("the corpus holds no text: there is nothing to index")
    return [name for name, count in counts.items() if count]


def _ours(folder: Path) -> bool:
    """Return whether a folder has only what a build that was stopped has left."""
    return all(
        name in (_PARTS, "lock") or name.lstrip(".").startswith(("shard-", "regions-")) for name in os.listdir(folder)
    )


def _documents(file: Path) -> Iterator[Document]:
    """Iterate over the documents of a shard, in the order in which they were parted."""
    with file.open("rb") as lines:
        for line in lines:
            yield Document(**json.loads(line))
