"""The commands of the command line, a file each: ``add`` its arguments to the parser, ``run`` it."""
