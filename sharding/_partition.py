"""Parting a corpus by what its documents are about, block by block, so that no machine holds all vectors.

    documents.jsonl                  all documents, as they are read, each behind its place in the corpus
    block-0000.jsonl                 a random part of them, by the hash of their ids
    block-0000/shard-0003.jsonl      those of it that lie in a shard, with their vectors in a log beside
    shard-0003.jsonl                 all documents of a shard

The first blocks are the sample that the clusters are learned of. A block is one task: it encodes the first passage of
each document, and these vectors are there when the shard is indexed. An interrupted build encodes no block twice.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..index.settings import IndexSettings
from ..retrievers.compiling._compiler import window_of
from ..retrievers.protocols import Encoder, Progress
from ..retrievers.records import Document, Rows
from ..retrievers.vectors._piece_codes import PieceEncoder
from ..retrievers.vectors._vector_cache import VectorCache
from ..retrievers.vectors._vector_log import Record, VectorLog
from ._tasks import RunTasks, Warn
from ._topics import FirstPassages, Sample, TopicPartition

_BLOCK = 4096
"""Documents of a block, while there are not too many blocks."""

_MOST_BLOCKS = 256
"""Blocks at most: as many files are open at once."""

_SAMPLE = 50_000
"""Documents that the clusters are learned of."""


@dataclass(frozen=True)
class Indexing:
    """How the documents will be indexed, in the threads that an encoder may take."""

    settings: IndexSettings
    encoder: Encoder | None
    threads: int | None

    def loaded(self) -> Encoder:
        """Return the encoder."""
        return self.settings.load_encoder(self.threads) if self.encoder is None else self.encoder


@dataclass(frozen=True)
class _Encoded:
    """The documents of a block, and what they are placed by."""

    places: list[int]
    documents: list[Document]
    record: Record
    first: FirstPassages


@dataclass(frozen=True)
class BlockTask:
    """Encodes a block, and places its documents once it is known where what belongs.

    Attributes:
        folder: of the block; its documents are in the file beside it.
        indexing: how.
        learned: the partition, and the blocks of which it was learned; None to encode only.
    """

    folder: Path
    indexing: Indexing
    learned: tuple[TopicPartition, Sequence[BlockTask]] | None = None
    stage = "parting documents"

    def run(self, warn: Warn, progress: Progress | None) -> None:
        """Encode, and place."""
        mine = self.encoded(progress)
        if self.learned is not None:
            partition, blocks = self.learned
            vectors = sample_of(blocks)[0].smoothed_with(mine.documents, mine.record.vectors)
            self.write(mine, partition.placed(vectors, mine.first.weights))

    def encoded(self, progress: Progress | None = None) -> _Encoded:
        """Return the documents with the vectors of their first passages, in the order of their ids."""
        placed = sorted(_placed_documents(self.folder.with_suffix(".jsonl")), key=lambda each: each[1].id)
        places, documents = [place for place, _ in placed], [document for _, document in placed]
        encoder, settings = self.indexing.loaded(), self.indexing.settings
        window = window_of(encoder, settings.chunk_tokens, lambda message: None)  # the build of a shard warns
        first = FirstPassages.of(documents, window, settings.chunk_tokens)
        pieces = settings.late_interaction and isinstance(encoder, PieceEncoder)
        keys, vectors, codes = VectorCache(self.folder, encoder, pieces, of_index=False).encode(first.texts, progress)
        return _Encoded(places, documents, Record(keys, vectors, codes), first)

    def write(self, mine: _Encoded, placed: Rows) -> None:
        """Write the documents of every shard with their vectors."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        for number in np.unique(placed).tolist():
            rows = np.flatnonzero(placed == number)
            with (self.folder / f"{number}.jsonl").open("w", encoding="ascii") as file:
                file.writelines(_placed_line(mine.places[row], mine.documents[row]) for row in rows.tolist())
            pieces = None if mine.record.pieces is None else mine.record.pieces.take(rows)
            log = VectorLog(self.folder / str(number))
            log.clear()
            log.append(Record(mine.record.keys[rows], mine.record.vectors[rows], pieces))


def sample_of(blocks: Sequence[BlockTask]) -> tuple[Sample, list[_Encoded]]:
    """Return the sample that encoded blocks are, and the blocks."""
    encoded = [block.encoded() for block in blocks]
    documents = [document for one in encoded for document in one.documents]
    return Sample(documents, np.concatenate([one.record.vectors for one in encoded])), encoded


def part_by_topics(
    documents: Iterable[Document],
    place: Path,
    targets: Sequence[tuple[Path, Path]],
    indexing: Indexing,
    run: RunTasks,
    warn: Warn,
    progress: Progress | None,
) -> list[list[int]]:
    """Write the documents of every shard into a file, with the vectors of their first passages in the log of its index.

    Args:
        documents: of the corpus; empty ones are left out.
        place: folder for files on the way.
        targets: for every shard the file of its documents, and the folder of its index.
        indexing: how they will be indexed.
        run: does the blocks.
        warn, progress: as for a build.

    Returns:
        places in the corpus of the documents of every shard; no more shards have any than there are documents.
    """
    paths, count = _blocks(documents, place)
    if not count:
        return [[] for _ in targets]
    blocks = [BlockTask(path.with_suffix(""), indexing) for path in paths]
    sampled = blocks[: -(-_SAMPLE * len(blocks) // count)]
    run(sampled, warn, progress)
    sample, encoded = sample_of(sampled)
    weights = np.concatenate([one.first.weights for one in encoded])
    shards = min(len(targets), len(weights))
    partition = TopicPartition.learned(sample.smoothed, weights, shards, np.random.default_rng(0))
    begin = 0
    for block, mine in zip(sampled, encoded, strict=True):
        vectors = sample.smoothed[begin : begin + len(mine.documents)]
        block.write(mine, partition.placed(vectors, mine.first.weights))
        begin += len(mine.documents)
    rest = [BlockTask(block.folder, indexing, (partition, sampled)) for block in blocks[len(sampled) :]]
    run(rest, warn, progress)
    return [_gather(blocks, number, *target) for number, target in enumerate(targets)]


def as_line(document: Document) -> str:
    """Return a document as a line of a file."""
    return json.dumps(asdict(document)) + "\n"


def _placed_line(place: int, document: Document) -> str:
    return f"{place}\t{as_line(document)}"


def _placed_documents(file: Path) -> Iterator[tuple[int, Document]]:
    """Iterate over the documents of a block, with their places in the corpus."""
    with file.open(encoding="ascii") as lines:
        for line in lines:
            place, _, document = line.partition("\t")
            yield int(place), Document(**json.loads(document))


def _blocks(documents: Iterable[Document], place: Path) -> tuple[list[Path], int]:
    """Write documents into blocks, whatever order they come in; returns the files that have some, and how many."""
    everything = place / "documents.jsonl"
    count = 0
    with everything.open("w", encoding="ascii") as file:
        for where, document in enumerate(documents):
            if document.text.strip():
                file.write(_placed_line(where, document))
                count += 1
    number = min(_MOST_BLOCKS, -(-count // _BLOCK))
    paths = [place / f"block-{block:04d}.jsonl" for block in range(number)]
    with ExitStack() as stack, everything.open(encoding="ascii") as lines:
        files = [stack.enter_context(path.open("w", encoding="ascii")) for path in paths]
        for line in lines:
            identifier = json.loads(line.partition("\t")[2])["id"]
            drawn = hashlib.sha256(b"block" + identifier.encode()).digest()[:8]
            files[int.from_bytes(drawn, "big") % number].write(line)
    everything.unlink()
    return [path for path in paths if path.stat().st_size], count


def _gather(blocks: Sequence[BlockTask], number: int, documents: Path, index: Path) -> list[int]:
    """Put the documents of a shard in the order of the corpus, and their vectors behind each other; returns places."""
    log = VectorLog(index)
    log.clear()
    places: list[tuple[int, int, int]] = []
    with ExitStack() as stack, documents.open("wb") as file:
        parts: list[BinaryIO] = []
        for part in (block.folder / f"{number}.jsonl" for block in blocks):
            if part.is_file():
                places += _places(part, len(parts))
                parts.append(stack.enter_context(part.open("rb")))
        for _, part_number, begin in sorted(places):
            parts[part_number].seek(begin)
            file.write(parts[part_number].readline().partition(b"\t")[2])
    for block in blocks:
        kept = VectorLog(block.folder / str(number))
        for record in kept.read():
            log.append(record)
        kept.clear()
    return sorted(place for place, *_ in places)


def _places(part: Path, number: int) -> Iterator[tuple[int, int, int]]:
    """Iterate over the place in the corpus of every line of a part, with the part's number and where it begins."""
    begin = 0
    with part.open("rb") as lines:
        for line in lines:
            yield int(line.partition(b"\t")[0]), number, begin
            begin += len(line)
