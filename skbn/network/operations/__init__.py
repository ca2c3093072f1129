"""The operations of a network, one file for each, and the registry that finds their functions."""
