"""Readers: how likely an answer is given a question and the evidence found, and what the answer is."""
