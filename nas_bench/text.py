"""Text as people read it; imports nothing, so that quick commands stay quick."""


def one_line(text: str) -> str:
    """The text without line breaks and control characters."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split())
