"""Benchmarks: ratios against the bare limit and the peers, measured in one run. Nothing here is asserted by a test."""
