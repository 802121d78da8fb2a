"""Memories of vectors: dense, compressed, of word pieces."""
