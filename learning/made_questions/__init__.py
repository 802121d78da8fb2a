"""Questions made from a corpus alone."""
