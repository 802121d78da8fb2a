"""An index that changes: the journal, and what came and went since the base was built."""
