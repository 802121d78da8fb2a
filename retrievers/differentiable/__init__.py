"""Differentiable retrieval: operators, objectives and what guards their training."""
