"""Re-rankers of what a system found: a few fitted weights, and the sentence of a passage that supports best."""
