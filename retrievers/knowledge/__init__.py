"""Knowledge graphs as corpora: facts, their vectors, their questions."""
