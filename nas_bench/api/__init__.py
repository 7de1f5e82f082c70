"""What the command line and Python callers do alike; nothing heavy is imported before it runs."""
