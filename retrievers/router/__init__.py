"""Routing: which shard, docid prefix, docids and sub-index a query should be sent to."""
