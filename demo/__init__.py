"""Everything once, on a corpus that the program invents."""
