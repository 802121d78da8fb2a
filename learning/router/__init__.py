"""Training of the router."""
