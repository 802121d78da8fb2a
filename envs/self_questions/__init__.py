"""Questions that the program makes from a corpus itself, so that documents alone train a policy."""
