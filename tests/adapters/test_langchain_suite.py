"""LangChain's own suite for retrievers, unchanged."""

from __future__ import annotations

from typing import Any

import pytest
from trailhound import SearchAgent

pytest.importorskip("langchain_tests", reason="langchain-tests is not installed: make test-adapters")

from langchain_core.retrievers import BaseRetriever
from langchain_tests.integration_tests import RetrieversIntegrationTests
from trailhound.adapters.langchain import TrailhoundRetriever

# Whoever runs the suite tells pytest-asyncio which of its tests are coroutines.
pytest.mark.asyncio(RetrieversIntegrationTests.test_ainvoke_returns_documents)


class TestTrailhoundRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _given(self, agent: SearchAgent, question: str) -> None:
        self.agent, self.question = agent, question

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return TrailhoundRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"agent": self.agent}

    @property
    def retriever_query_example(self) -> str:
        return self.question
