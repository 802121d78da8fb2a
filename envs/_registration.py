"""Registers the environment with Gymnasium; done when ``trailhound`` is imported."""

from __future__ import annotations

NAME = "trailhound/Search-v0"


def register_environments() -> None:
    """Register ``trailhound/Search-v0`` (once)."""
    from gymnasium.envs.registration import register, registry

    if NAME not in registry:
        register(NAME, entry_point="trailhound.envs._search_env:SearchEnv")
