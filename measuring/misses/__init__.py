"""What an evaluation missed, and at which stage."""
