"""Trailhound: learned multi-hop retrieval that shows its path. Start with ``Index`` and ``SearchAgent``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .envs._registration import register_environments

if TYPE_CHECKING:
    from .agent.search_agent import SearchAgent
    from .agent.search_group import SearchGroup
    from .agent.search_result import Evidence, SearchResult, Step
    from .envs.settings import EnvironmentSettings
    from .errors import TrailhoundError
    from .index.index import Index
    from .index.settings import IndexSettings
    from .index.updates import SyncReport, UpdateReport
    from .index.where import Where
    from .learning.policy.recipe import Recipe, load_recipe
    from .learning.policy.sweeping import SweepReport, sweep
    from .learning.policy.training import TrainingReport, train
    from .learning.queries.downstream_tuning import DownstreamSettings, tune_query
    from .learning.queries.hop_encoder import TuningSettings, tune
    from .learning.reranker import tune_reranker
    from .learning.router.router_tuning import RouterTuning, refresh_router, tune_router
    from .learning.training_questions import TrainingSource
    from .measuring.comparison import Comparison, compare
    from .measuring.evaluation import Evaluation, evaluate
    from .measuring.misses import MissReport, explain_misses
    from .measuring.report import write_report
    from .retrievers.records import Document, Passage, Question
    from .sharding.sharded_index import ShardedIndex

register_environments()  # gymnasium.make knows the environment once this package is imported
__version__ = "0.1.0"
__all__ = [
    "Comparison", "Document", "DownstreamSettings", "EnvironmentSettings", "Evaluation", "Evidence", "Index",
    "IndexSettings", "MissReport", "Passage", "Question", "Recipe", "RouterTuning", "SearchAgent", "SearchGroup",
    "SearchResult", "ShardedIndex", "Step", "SweepReport", "SyncReport", "TrailhoundError", "TrainingReport",
    "TrainingSource", "TuningSettings", "UpdateReport", "Where", "compare", "evaluate",
    "explain_misses", "load_recipe", "refresh_router", "sweep", "train", "tune", "tune_query", "tune_reranker",
    "tune_router", "write_report",
]  # fmt: skip
# Heavy libraries load with the first name that needs them: `import trailhound` stays fast.
_HOMES = {
    "agent.search_agent": "SearchAgent", "agent.search_group": "SearchGroup", "envs.settings": "EnvironmentSettings",
    "agent.search_result": "Evidence SearchResult Step", "errors": "TrailhoundError", "index.index": "Index",
    "index.settings": "IndexSettings", "index.updates": "SyncReport UpdateReport", "index.where": "Where",
    "learning.policy.recipe": "Recipe load_recipe", "learning.policy.sweeping": "SweepReport sweep",
    "learning.policy.training": "TrainingReport train", "learning.queries.hop_encoder": "TuningSettings tune",
    "learning.queries.downstream_tuning": "DownstreamSettings tune_query", "learning.reranker": "tune_reranker",
    "learning.router.router_tuning": "RouterTuning refresh_router tune_router",
    "learning.training_questions": "TrainingSource", "measuring.evaluation": "Evaluation evaluate",
    "measuring.comparison": "Comparison compare", "measuring.misses": "MissReport explain_misses",
    "measuring.report": "write_report", "retrievers.records": "Document Passage Question",
    "sharding.sharded_index": "ShardedIndex",
}  # fmt: skip


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names.split():
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"module 'trailhound' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
