"""A change of an index: what was removed and added, with all that was worked out about it, and its bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..errors import DamagedIndexError
from .records import Document, Passage, Vectors

Mention = tuple[int, int, int, int]
"""(mentioned row, relation, start, end)."""

Share = tuple[int, int, float]
"""(row, other row, summed idf of what they share)."""


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
    """

    removed: tuple[str, ...]
    documents: tuple[Document, ...]
    passages: tuple[tuple[Passage, ...], ...]
    vectors: Vectors
    mentions: Mapping[int, Sequence[Mention]] = field(default_factory=dict)
    shares: Sequence[Share] = ()

    def to_bytes(self) -> bytes:
        """Return the change as bytes: the length of a JSON text, that text, then the vectors.

        Raises:
            TypeError, ValueError: when metadata is not JSON.
            UnicodeEncodeError: when a text has a lone surrogate.
        """
        record = {
            "removed": self.removed,
            "documents": [_plain(document) for document in self.documents],
            "passages": [[_plain(passage) for passage in passages] for passages in self.passages],
            "mentions": list(self.mentions.items()),
            "shares": self.shares,
            "vectors": self.vectors.shape,
        }
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        return len(text).to_bytes(8, "little") + text + np.ascontiguousarray(self.vectors, "<f4").tobytes()

    @classmethod
    def from_bytes(cls, content: bytes) -> Change:
        """Return the change that :meth:`to_bytes` wrote.

        Raises:
            DamagedIndexError: when it wrote something else.
        """
        try:
            size = int.from_bytes(content[:8], "little")
            record = json.loads(content[8 : 8 + size])
            vectors = np.frombuffer(content, "<f4", offset=8 + size).reshape(record["vectors"]).astype(np.float32)
            return cls(
                tuple(record["removed"]),
                tuple(Document(**document) for document in record["documents"]),
                tuple(tuple(Passage(**passage) for passage in passages) for passages in record["passages"]),
                vectors,
                {row: [tuple(mention) for mention in mentions] for row, mentions in record["mentions"]},
                [tuple(share) for share in record["shares"]],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedIndexError(f"a change in the journal cannot be read ({error!r})") from error


def _plain(record: Document | Passage) -> dict[str, Any]:
    return {**asdict(record), "metadata": dict(record.metadata)}
