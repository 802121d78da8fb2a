"""Training of the re-rankers."""
