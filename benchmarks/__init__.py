"""Benchmarks: against other libraries, over sizes, and from commit to commit."""
