"""The knowledge graph over passages: linking, building, walking, ranking, and the opened index around it."""
