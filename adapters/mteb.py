"""A search that ``mteb.evaluate`` runs on tasks of retrieval and re-ranking (extra ``mteb``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .. import __version__
from ..errors import MissingExtraError
from ..retrievers.records import Run
from ._judged import JudgedSearch

try:
    from mteb.models.model_meta import ModelMeta
except ImportError as error:
    raise MissingExtraError("mteb", "mteb", "the search for mteb") from error


class TrailhoundSearch(JudgedSearch):
    """Indexes the corpus of a task and searches it: ``mteb.evaluate(TrailhoundSearch(), tasks)``."""

    @property
    def mteb_model_meta(self) -> ModelMeta:
        """What mteb writes results under: the policy or system that searches, and the version."""
        system = self._how.get("system") or "policy"
        return ModelMeta.create_empty({"name": f"trailhound/{system}", "revision": __version__})

    def index(self, corpus: Iterable[Mapping[str, Any]], **task: Any) -> None:
        """Index the corpus of a task.

        Args:
            corpus: records with ``id``, ``text`` and perhaps ``title``.
            task: what mteb says of it, which makes no difference.
        """
        self.read((record["id"], record.get("title") or "", record["text"]) for record in corpus)

    def search(
        self,
        queries: Iterable[Mapping[str, Any]],
        *,
        top_k: int,
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        **task: Any,
    ) -> Run:
        """Return the best documents of every query.

        Args:
            queries: records with ``id`` and ``text``.
            top_k: documents of a query.
            top_ranked: the documents that a task of re-ranking asks about, by query.
            task: what mteb says of it, which makes no difference.
        """
        return self.run({query["id"]: _question(query) for query in queries}, top_k, top_ranked)


def _question(query: Mapping[str, Any]) -> str:
    """Return what a query asks in one text, as mteb's own models read it: turns in order, then the instruction."""
    text = query["text"]
    if not isinstance(text, str):
        text = "; ".join(turn if isinstance(turn, str) else turn["content"] for turn in text)
    instruction = query.get("instruction")
    return f"{text} {instruction}" if instruction else str(text)
