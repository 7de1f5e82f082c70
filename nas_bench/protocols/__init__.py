"""The named protocols, as data."""
