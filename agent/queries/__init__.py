"""The tuned encoder of queries."""
