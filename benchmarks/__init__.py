"""Benchmarks: against other libraries, over sizes of data, and from commit to commit."""
