"""Pointwise re-rankers: a cross-encoder, links of the graph, a combination of sparse and dense scores."""
