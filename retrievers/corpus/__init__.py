"""Corpus readers: files of every kind that users have, read as documents of normalised text."""
