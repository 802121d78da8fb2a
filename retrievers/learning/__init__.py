"""Differentiable retrieval and its objectives."""
