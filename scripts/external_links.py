"""Which addresses that README and docs link to do not answer; not part of the tests."""

import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

ROOT = Path(__file__).parents[1]
REFUSING = (401, 403, 405, 429)
"""What hosts say that are there but let no script in."""


def addresses(text: str) -> Iterator[str]:
    """Addresses in Markdown, in links or bare, outside of code."""
    prose = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    for address in re.findall(r"https?://[^\s<>\"'`\])]+", prose):
        yield address.rstrip(".,;:").partition("#")[0]


def problem(address: str, seconds: float = 20.0) -> str | None:
    """Why an address does not answer, or None."""
    try:
        with urlopen(Request(address, headers={"User-Agent": "Mozilla/5.0"}), timeout=seconds):
            return None
    except HTTPError as error:
        return None if error.code in REFUSING else f"{error.code} {error.reason}"
    except (URLError, OSError, ValueError) as error:
        return str(getattr(error, "reason", error))


def main() -> int:
    """Print a line for each that does not; whether there is any."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
    found = {a: page for page in reversed(pages) for a in addresses(page.read_text("utf-8"))}
    with ThreadPoolExecutor(8) as pool:
        answers = list(zip(found.items(), pool.map(problem, found), strict=True))
    lost = [f"{page.relative_to(ROOT)}: {a}: {why}" for (a, page), why in answers if why]
    print("\n".join([*lost, f"{len(found)} addresses, {len(lost)} without an answer"]))
    return int(bool(lost))


if __name__ == "__main__":
    sys.exit(main())
