"""How the encoder of queries is tuned."""
