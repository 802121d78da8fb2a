"""Trailhound: learned multi-hop retrieval."""
