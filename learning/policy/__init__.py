"""Training of the search policy."""
