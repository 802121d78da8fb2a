"""Words: the lexical and the entity sub-index, terms, phrases and titles."""
