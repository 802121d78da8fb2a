"""From documents to passages: what the corpus compiler does to them."""
