"""The commands of the command line: each has an ``add_`` function for its arguments, and one that runs it."""
