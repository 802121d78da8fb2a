"""Trailhound: learned multi-hop retrieval that shows its path. Start with ``Index`` and ``SearchAgent``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .agent.evaluation import Evaluation, evaluate
    from .agent.recipe import Recipe, load_recipe
    from .agent.search_agent import Evidence, SearchAgent, SearchResult, Step
    from .agent.training import TrainingReport, TrainingSource, train
    from .envs.settings import EnvironmentSettings
    from .errors import TrailhoundError
    from .graph.index import Index, IndexSettings
    from .retrievers.records import Document, Passage, Question

__version__ = "0.1.0"

# Heavy libraries load with the first name that needs them: `import trailhound` stays fast.
_PLACES = {
    "Document": "retrievers.records",
    "EnvironmentSettings": "envs.settings",
    "Evaluation": "agent.evaluation",
    "Evidence": "agent.search_agent",
    "Index": "graph.index",
    "IndexSettings": "graph.index",
    "Passage": "retrievers.records",
    "Question": "retrievers.records",
    "Recipe": "agent.recipe",
    "SearchAgent": "agent.search_agent",
    "SearchResult": "agent.search_agent",
    "Step": "agent.search_agent",
    "TrailhoundError": "errors",
    "TrainingReport": "agent.training",
    "TrainingSource": "agent.training",
    "evaluate": "agent.evaluation",
    "load_recipe": "agent.recipe",
    "train": "agent.training",
}

__all__ = [
    "Document",
    "EnvironmentSettings",
    "Evaluation",
    "Evidence",
    "Index",
    "IndexSettings",
    "Passage",
    "Question",
    "Recipe",
    "SearchAgent",
    "SearchResult",
    "Step",
    "TrailhoundError",
    "TrainingReport",
    "TrainingSource",
    "evaluate",
    "load_recipe",
    "train",
]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module 'trailhound' has no attribute {name!r}")
    return getattr(import_module(f".{_PLACES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])
