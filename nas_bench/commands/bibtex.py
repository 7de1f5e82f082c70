"""BibTeX of a plugin's papers, from the `References:` of its docstring."""

import inspect
import re

from nas_bench.specs import InputError

_ENTRY = re.compile(r"(?P<head>\S.*?), (?P<year>(?:19|20)\d\d)\b.*?(?P<url>https?://\S+)")
"""As in `Title, Author, Author, 2024, section 3. https://…`."""
_NAME = re.compile(r"((van|von|de|der|den) )*[^\W\d]\S*( et al\.)?")


def bibtex(plugin: type, name: str) -> str:
    """An entry for each reference of a class.

    Args:
        plugin: the class of a method, task or trigger.
        name: what users call it, for messages.

    Raises:
        InputError: if its docstring names none.
    """
    _, _, references = (inspect.getdoc(plugin) or "").partition("References:")
    entries = [_entry(found) for found in _ENTRY.finditer(" ".join(references.split()))]
    if not entries:
        raise InputError(
            f"{name} names no paper: the docstring of its class has none of the form `References: "
            "Title, Author, Author, year. https://…`"
        )
    return "\n\n".join(entries)


def _entry(found: re.Match[str]) -> str:
    title, authors = _split(found["head"])
    year, url = found["year"], found["url"].rstrip(".")
    _, _, eprint = url.partition("arxiv.org/abs/")
    fields = {
        "title": f"{{{title}}}",
        "author": " and ".join(authors),
        "year": year,
        **({"eprint": eprint, "archivePrefix": "arXiv"} if eprint else {}),
        "url": url,
    }
    word = next((word for word in re.findall(r"[^\W_]+", title) if len(word) > 3), "")
    key = f"{authors[0].split()[-1]}{year}{word}".lower()
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join((f"@misc{{{key},", *lines, "}"))


def _split(head: str) -> tuple[str, list[str]]:
    """Title and last names of authors: single words, those with particles, and `et al.`."""
    parts = head.split(", ")
    first = len(parts)
    while first > 1 and _NAME.fullmatch(parts[first - 1]):
        first -= 1
    names = [name for part in parts[first:] for name in re.split(r" (?=et al\.)", part)]
    authors = ["others" if name == "et al." else name for name in names]
    return ", ".join(parts[:first]), authors or ["unknown"]
