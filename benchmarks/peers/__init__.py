"""Hubwright beside other ways to keep a host true: `python -m benchmarks.peers` runs all of them."""
