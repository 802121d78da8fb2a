"""Training of the encoder that asks."""
