"""Data, networks, training recipes and what they cost."""
