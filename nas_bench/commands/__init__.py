"""The verbs of the command line, one file each; nothing heavy is imported before they run."""
