"""Labelled questions: those over texts and those over a knowledge graph."""
