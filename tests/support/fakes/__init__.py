"""Fakes for unit tests: a made-up host and the programs on it."""
