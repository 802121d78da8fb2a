"""A change of an index: what was removed and added, with all that was worked out about it, and its bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ...errors import DamagedIndexError
from ..records import Document, Passage, Vectors
from ..vectors.residual_codes import Coded, CodedTexts

Mention = tuple[int, int, int, int]
"""(mentioned row, relation, start, end)."""

Share = tuple[int, int, float]
"""(row, other row, summed idf of what they share)."""

_CODED = (("cells", "<u2"), ("codes", "u1"), ("lengths", "<f2"))


@dataclass(frozen=True)
class Change:
    """What happens to an index in one step; rows of new passages follow on the rows that are there.

    Attributes:
        removed: ids of documents that go, replaced ones among them; they go before the new ones come.
        documents: the documents that come.
        passages: the passages of each of them.
        vectors: float32 [k, d], of all these passages in order.
        mentions: row -> everything that its text mentions now; of new passages, and of older ones whose mentions
            are others than before.
        shares: links of new passages over rare names and phrases, each pair once.
        lines: what is put before the text of each new passage to find it by, [k]; none where the index has no context.
        pieces: the word pieces of the new passages, where the index has late interaction.
        dropped: passages of the new documents that repeat another and are left out: see ``Sieve.load``.
    """

    removed: tuple[str, ...]
    documents: tuple[Document, ...]
    passages: tuple[tuple[Passage, ...], ...]
    vectors: Vectors
    mentions: Mapping[int, Sequence[Mention]] = field(default_factory=dict)
    shares: Sequence[Share] = ()
    lines: tuple[str, ...] = ()
    pieces: CodedTexts | None = None
    dropped: tuple[Mapping[str, str], ...] = ()

    def to_bytes(self) -> bytes:
        """Return the change as bytes: the length of a JSON text, that text, then the vectors and the word pieces.

        Raises:
            TypeError, ValueError: when metadata is not JSON.
            UnicodeEncodeError: when a text has a lone surrogate.
        """
        record: dict[str, Any] = {
            "removed": self.removed,
            "documents": [_plain(document) for document in self.documents],
            "passages": [[_plain(passage) for passage in passages] for passages in self.passages],
            "mentions": list(self.mentions.items()),
            "shares": self.shares,
            "vectors": self.vectors.shape,
        }
        # What most indexes have none of is said only where there is any.
        record |= {name: value for name in ("lines", "dropped") if (value := getattr(self, name))}
        arrays = [np.ascontiguousarray(self.vectors, "<f4")]
        if self.pieces is not None:
            record["pieces"] = [*self.pieces.coded.codes.shape, *self.pieces.counts.tolist()]
            arrays += [np.ascontiguousarray(getattr(self.pieces.coded, name), kind) for name, kind in _CODED]
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        return len(text).to_bytes(8, "little") + text + b"".join(array.tobytes() for array in arrays)

    @classmethod
    def from_bytes(cls, content: bytes) -> Change:
        """Return the change that :meth:`to_bytes` wrote.

        Raises:
            DamagedIndexError: when it wrote something else.
        """
        try:
            size = int.from_bytes(content[:8], "little")
            record = json.loads(content[8 : 8 + size])
            begin, shape = 8 + size, record["vectors"]
            vectors = np.frombuffer(content, "<f4", math.prod(shape), begin).reshape(shape).astype(np.float32)
            rest, lines = content[begin + vectors.nbytes :], tuple(record.get("lines", ()))
            if lines and len(lines) != len(vectors):
                raise ValueError(f"{len(lines)} lines of {len(vectors)} passages")
            return cls(
                tuple(record["removed"]),
                tuple(Document(**document) for document in record["documents"]),
                tuple(tuple(_passage(passage) for passage in passages) for passages in record["passages"]),
                vectors,
                {row: [tuple(mention) for mention in mentions] for row, mentions in record["mentions"]},
                [tuple(share) for share in record["shares"]],
                lines,
                _pieces(record.get("pieces"), rest),
                tuple(record.get("dropped", ())),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedIndexError(f"a change in the journal cannot be read ({error!r})") from error


def _plain(record: Document | Passage) -> dict[str, Any]:
    return {**asdict(record), "metadata": dict(record.metadata)}


def _passage(record: dict[str, Any]) -> Passage:
    return Passage(**{**record, "sentences": tuple((start, end) for start, end in record["sentences"])})


def _pieces(shape: Sequence[int] | None, content: bytes) -> CodedTexts | None:
    """Return the word pieces that are ``content``: shape is [t, w] and then the number of pieces of each text."""
    tokens, width, *counts = shape or (0, 0)
    arrays = []
    for name, kind in _CODED:
        each = width if name == "codes" else 1
        array = np.frombuffer(content, kind, tokens * each)
        arrays.append(array.reshape(tokens, each) if name == "codes" else array)
        content = content[array.nbytes :]
    if content or sum(counts) != tokens:
        raise ValueError(f"{len(content)} bytes too many, {sum(counts)} word pieces of {tokens}")
    return None if shape is None else CodedTexts(np.array(counts, np.int64), Coded(*arrays))
