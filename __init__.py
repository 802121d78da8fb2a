"""Trailhound: learned multi-hop retrieval that shows its path. Start with ``Index`` and ``SearchAgent``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .envs.registration import register_environments

if TYPE_CHECKING:
    from .agent.search_agent import Evidence, SearchAgent, SearchResult, Step
    from .envs.settings import EnvironmentSettings
    from .errors import TrailhoundError
    from .index.index import Index
    from .index.settings import IndexSettings
    from .index.updates import UpdateReport
    from .learning.policy.recipe import Recipe, load_recipe
    from .learning.policy.training import TrainingReport, train
    from .learning.training_questions import TrainingSource
    from .measuring.evaluation import Evaluation, evaluate
    from .retrievers.records import Document, Passage, Question

register_environments()  # gymnasium.make knows the environment once this package is imported
__version__ = "0.1.0"
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
    "UpdateReport",
    "evaluate",
    "load_recipe",
    "train",
]
# Heavy libraries load with the first name that needs them: `import trailhound` stays fast.
_HOMES = {
    "measuring.evaluation": ("Evaluation", "evaluate"),
    "learning.policy.recipe": ("Recipe", "load_recipe"),
    "agent.search_agent": ("Evidence", "SearchAgent", "SearchResult", "Step"),
    "learning.policy.training": ("TrainingReport", "train"),
    "learning.training_questions": ("TrainingSource",),
    "envs.settings": ("EnvironmentSettings",),
    "errors": ("TrailhoundError",),
    "index.index": ("Index",),
    "index.settings": ("IndexSettings",),
    "index.updates": ("UpdateReport",),
    "retrievers.records": ("Document", "Passage", "Question"),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"module 'trailhound' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
