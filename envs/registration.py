"""Registers the environment with Gymnasium, which finds this function through the package's entry point."""

from __future__ import annotations


def register_environments() -> None:
    """Register ``trailhound/Search-v0`` (once)."""
    import gymnasium

    if "trailhound/Search-v0" not in gymnasium.registry:
        gymnasium.register("trailhound/Search-v0", entry_point="trailhound.envs.search_env:SearchEnv")
