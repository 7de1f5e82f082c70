"""The results folder: the only truth about what was run; everything else is derived."""
