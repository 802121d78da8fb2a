"""Trailhound in other frameworks; each module needs the extra of its name, and knows one framework alone."""
