"""A corpus in several indexes, built apart and searched as one."""
