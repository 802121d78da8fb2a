"""Serving indexes over HTTP: search, streamed search, changes, chat completions and a page for people."""
