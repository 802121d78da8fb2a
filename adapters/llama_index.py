"""A retriever for LlamaIndex (extra ``llama-index``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..agent.search_result import SearchResult
from ..errors import MissingExtraError
from ..index.where import Where
from ..retrievers._places import in_full
from ._evidence import Agent, agent_of, metadata_of, searched

try:
    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.schema import NodeRelationship, NodeWithScore, QueryBundle, RelatedNodeInfo, TextNode
except ImportError as error:
    raise MissingExtraError("llama-index-core", "llama-index", "the retriever for LlamaIndex") from error

_FOR_MODELS = ("title", "source", "page")
"""What a language model reads of the metadata, before the text."""


class TrailhoundRetriever(BaseRetriever):
    """Finds the evidence for a question.

    A node has the id of the passage. Its score is the probability that it supports the question, where every passage
    of the result has one, and otherwise the score that the search ranks by; the metadata have both.

    Args:
        agent: an agent or a group that searches, or the folder of an index.
        similarity_top_k: passages to return at most.
        where: only these documents are seen; all when None.
        seconds: then a search stops and returns what it has.
        more: what LlamaIndex's own retrievers take, like ``callback_manager``.
    """

    def __init__(
        self,
        agent: Agent | Path | str,
        similarity_top_k: int = 10,
        where: Where | None = None,
        seconds: float | None = None,
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self.agent, self.similarity_top_k = agent_of(agent), similarity_top_k
        self.where, self.seconds = where, seconds

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return _nodes(self.agent.search(query_bundle.query_str, **self._asked))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await searched(self.agent, query_bundle.query_str, self._asked, _nodes)

    @property
    def _asked(self) -> dict[str, Any]:
        return {"limit": self.similarity_top_k, "where": self.where, "seconds": self.seconds}


def _nodes(result: SearchResult) -> list[NodeWithScore]:
    sure = all(one.probability is not None for one in result.evidence)
    nodes = []
    for one in result.evidence:
        passage, metadata = one.passage, metadata_of(one, result)
        node = TextNode(
            id_=passage.id,
            text=in_full(passage),
            metadata=metadata,
            excluded_llm_metadata_keys=[name for name in metadata if name not in _FOR_MODELS],
            excluded_embed_metadata_keys=[*metadata],
            start_char_idx=passage.start,
            end_char_idx=passage.end,
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=passage.document_id)},
        )
        nodes.append(NodeWithScore(node=node, score=one.probability if sure else one.score))
    return nodes
