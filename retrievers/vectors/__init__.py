"""Vectors: encoders, dense memories and late interaction."""
