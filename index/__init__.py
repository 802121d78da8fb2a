"""The index of a corpus: built, opened, changed and routed."""
