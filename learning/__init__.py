"""Training: the policy, its queries, the reader, the re-ranker and the router."""
