"""A hook of mkdocs: links that lead out of docs/ become names of files in the repository."""

import re
from typing import Any

_OUT = re.compile(r"\[([^\]]*)\]\((?:\.\./|schema/)([^)#]+)(?:#[^)]*)?\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with such links as text, since the site has no address of the repository."""
    return _OUT.sub(r"\1 (`\2`)", markdown)
