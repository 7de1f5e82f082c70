"""Trials: what identifies them, what they say, and how they run."""
