"""Encoders of texts, and the vectors they made."""
