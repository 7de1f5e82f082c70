"""A pack read: the trials of one protocol and task in a zip file, which a stranger may have made.

Nothing that it says is trusted: what does not belong there is refused by name, and no more is
read than the limits allow.
"""

import errno
import os
import re
import stat
import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from nas_bench.results import files
from nas_bench.results.layout import CURVE, GROWTH, PACK, RUN, VERIFIED

SIZE = 2**30
"""Bytes of a pack."""
MEMBERS = 200_000
"""Files in a pack."""
MEMBER = 2**28
"""Bytes of one of its files."""
TOTAL = 2**32
"""Bytes of all of them together."""

_FILES = "|".join(map(re.escape, (RUN, CURVE, GROWTH, VERIFIED)))
_NAME = re.compile(rf"((?:[^/]+/){{4}}s\d+)/({_FILES}|damaged-\d+/.+)")
_LENGTH = 250
_ENTRY = b"PK\x01\x02"
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_DAMAGE = (
    BadZipFile, EOFError, IndexError, NotImplementedError, OSError, OverflowError, RuntimeError,
    ValueError, zlib.error,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Archive:
    """A pack as it was when it was opened.

    Attributes:
        path: of its file.
        modified: when that was written, in seconds since the epoch.
        members: its files by name, sorted.
        refused: why the others are not read, by name.
    """

    path: Path
    modified: float
    members: Mapping[str, ZipInfo] = field(repr=False)
    refused: Mapping[str, str] = field(repr=False)
    _content: ZipFile = field(repr=False)

    @cached_property
    def trials(self) -> Mapping[str, tuple[str, ...]]:
        """The names of their files by the places of trials, also of files that are refused."""
        found: dict[str, list[str]] = defaultdict(list)
        for name in (*self.members, *self.refused):
            if match := _NAME.fullmatch(name):
                found[match[1]].append(match[2])
        return MappingProxyType({place: tuple(found[place]) for place in sorted(found)})

    def read(self, name: str) -> bytes:
        """The content of a member.

        Raises:
            FileNotFoundError: if there is none.
            OSError: if it is refused or damaged.
        """
        if name in self.refused:
            raise OSError(errno.EINVAL, self.refused[name], name)
        if name not in self.members:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        member = self.members[name]
        try:
            with self._content.open(member) as file:
                found = file.read(member.file_size + 1)
        except _DAMAGE as error:
            problem = f"it is damaged in {self.path.name}: {error or 'it ends too early'}"
            raise OSError(errno.EIO, problem, name) from error
        if len(found) != member.file_size:
            raise OSError(errno.EIO, f"it is cut in {self.path.name}", name)
        return found


def open_archive(path: Path) -> Archive:
    """A pack, as far as its names can be trusted.

    Raises:
        ValueError: if it cannot be read at all; the message is one sentence.
    """
    try:
        modified = os.lstat(path).st_mtime
        return archive_of(files.read(path, SIZE + 1), path, modified)
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror or error}") from error


def archive_of(content: bytes, path: Path, modified: float = 0.0) -> Archive:
    """The pack with these bytes.

    Args:
        content: of its file.
        path: where it lies or will lie; its names must begin as this ends.
        modified: when it was written, in seconds since the epoch.

    Raises:
        ValueError: if it cannot be read at all; the message is one sentence.
    """
    if len(content) > SIZE:
        raise ValueError(f"it is larger than {SIZE >> 20} MiB")
    if content.count(_ENTRY) > MEMBERS:  # before they become objects
        raise ValueError(f"it has more than {MEMBERS} files")
    try:
        opened = ZipFile(BytesIO(content))
    except _DAMAGE as error:
        raise ValueError(f"it is no whole zip file: {error}") from error
    infos = [info for info in opened.infolist() if not _is_folder(info, path)]
    if sum(info.file_size for info in infos) > TOTAL:
        raise ValueError(f"its files are larger than {TOTAL >> 20} MiB together")
    counts = Counter(info.orig_filename for info in infos)
    refused = {
        info.orig_filename: problem
        for info in infos
        if (problem := _refusal(info, path, counts[info.orig_filename]))
    }
    members = {i.orig_filename: i for i in infos if i.orig_filename not in refused}
    return Archive(path, modified, dict(sorted(members.items())), refused, opened)


def stray_name(name: str, path: Path) -> str:
    """Why a file of this name does not belong into the pack at a path; empty if it does."""
    if name.startswith("/"):
        return "its name is absolute"
    if "\\" in name or not name.isprintable():
        return "its name has characters that are not allowed"
    if len(name.encode(errors="replace")) > _LENGTH:
        return "its name is too long"
    if not {"", ".", ".."}.isdisjoint(name.split("/")):
        return "its name leads elsewhere"
    task = f"{path.parent.name}/{path.name.removesuffix(PACK)}"
    if not name.startswith(f"{task}/"):
        return f"it lies outside {task}"
    return "" if _NAME.fullmatch(name) else "it is no file of a trial"


def _is_folder(info: ZipInfo, path: Path) -> bool:
    """Whether it is an entry without content on the way to trials, as other tools write them."""
    name = info.orig_filename
    return name.endswith("/") and not info.file_size and not stray_name(f"{name}s0/{RUN}", path)


def _refusal(info: ZipInfo, path: Path, count: int) -> str:
    """Why a member is not read; empty if it is."""
    if problem := stray_name(info.orig_filename, path):
        return problem
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "it is a link, which is not followed" if stat.S_ISLNK(kind) else "it is no file"
    if count > 1:
        return f"it is there {count} times"
    if info.flag_bits & _ENCRYPTED:
        return "it is encrypted"
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        return "it is compressed in a way that is not read"
    return f"it is larger than {MEMBER >> 20} MiB" if info.file_size > MEMBER else ""
