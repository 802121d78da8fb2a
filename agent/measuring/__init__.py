"""What a system finds, in figures."""
