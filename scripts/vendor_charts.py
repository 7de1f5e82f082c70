"""Fetch the chart libraries of the page, minified, with their licences and checksums.

    python scripts/vendor_charts.py

Needs npm. To update a library, change its version below, run this, look at every view of the
page, and commit what has changed.
"""

import hashlib
import json
import subprocess
import tarfile
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

VENDOR = Path(__file__).parents[1] / "nas_bench" / "report" / "page" / "vendor"


@dataclass(frozen=True)
class Library:
    """A package of the npm registry and the one file of it that the page needs."""

    package: str
    version: str
    licence: str
    file: str


LIBRARIES = (
    Library("d3", "7.9.2", "ISC", "dist/d3.min.js"),
    Library("@observablehq/plot", "0.6.17", "ISC", "dist/plot.umd.min.js"),
)
"""In the order in which the page loads them."""


def main() -> None:
    """Replace what is vendored."""
    VENDOR.mkdir(parents=True, exist_ok=True)
    known = [_fetch(library) for library in LIBRARIES]
    listing = json.dumps(known, indent=2) + "\n"
    (VENDOR / "libraries.json").write_text(listing, encoding="utf-8", newline="\n")


def _fetch(library: Library) -> dict[str, str]:
    """Write the file and its licence; what `libraries.json` says of them."""
    with tempfile.TemporaryDirectory() as temporary:
        packed = ["npm", "pack", "--silent", f"{library.package}@{library.version}"]
        subprocess.run(packed, cwd=temporary, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(temporary).glob("*.tgz")
        code = _member(archive, library.file)
        licence = _member(archive, "LICENSE")
    name = Path(library.file).name
    (VENDOR / name).write_bytes(code)
    (VENDOR / f"{name}.LICENSE").write_bytes(licence)
    return asdict(library) | {"file": name, "sha256": hashlib.sha256(code).hexdigest()}


def _member(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as package:
        member = package.extractfile(f"package/{name}")
        if member is None:
            raise ValueError(f"{archive.name} has no file {name}; look where it has moved to")
        return member.read()


if __name__ == "__main__":
    main()
