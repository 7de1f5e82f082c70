"""A pack read: the trials of one protocol and task in a zip file, which a stranger may have made.

Nothing that it says is trusted: what does not belong there is refused by name, and no more is
read than the limits allow.
"""

import errno
import os
import re
import stat
import struct
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
from nas_bench.results.files import DamagedFileError
from nas_bench.results.layout import CURVE, GROWTH, PACK, RUN, SIZES, VERIFIED, is_place

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
_USUAL = re.compile(
    rf"(?:[a-z0-9](?:[a-z0-9_.=~]|-(?!-)){{0,40}}/){{3}}[0-9a-f]{{8}}/s(?:0|[1-9]\d{{0,8}})/(?:{_FILES})",
    re.ASCII,
)
"""Names that drivers write; others are looked at closely, which takes longer."""
_LENGTH = 250
_ENTRY = b"PK\x01\x02"
_HEADER = struct.Struct("<4s22x2H")
_MANY = 0xFFFF
"""A count that is told elsewhere."""
_UTF8 = 0x800
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_DAMAGE = (
    BadZipFile, EOFError, IndexError, NotImplementedError, OSError, OverflowError, RuntimeError,
    ValueError, struct.error, zlib.error,
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
    _content: bytes = field(repr=False)

    @cached_property
    def trials(self) -> Mapping[str, tuple[str, ...]]:
        """The names of their files by the places of trials, also of files that are refused."""
        found: dict[str, list[str]] = defaultdict(list)
        named = (name for name in self.refused if not stray_name(name, self.path))
        for name in (*self.members, *named):
            if match := _NAME.fullmatch(name):
                found[match[1]].append(match[2])
        ordered = sorted(found, key=lambda place: place.split("/"))
        return MappingProxyType({place: tuple(found[place]) for place in ordered})

    def read(self, name: str) -> bytes:
        """The content of a member.

        Raises:
            FileNotFoundError: if there is none.
            DamagedFileError: if it is refused, damaged or too large.
        """
        if name in self.refused:
            raise DamagedFileError(errno.EINVAL, self.refused[name], name)
        if name not in self.members:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        try:
            return _member(self._content, self.members[name])
        except _DAMAGE as error:
            problem = f"it is damaged in {self.path.name}: {error}"
            raise DamagedFileError(errno.EIO, problem, name) from error


def open_archive(path: Path) -> Archive:
    """A pack, as far as its names can be trusted.

    Raises:
        ValueError: if it cannot be read at all; the message is one sentence.
    """
    try:
        modified = os.lstat(path).st_mtime
        return archive_of(files.read(path, SIZE), path, modified)
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
        entries = ZipFile(BytesIO(content)).infolist()
        if len(entries) != _count(content):  # an entry whose length is damaged hides the next
            raise ValueError("its list of files is damaged")
    except _DAMAGE as error:
        raise ValueError(f"it is no whole zip file: {error}") from error
    infos = [info for info in entries if not _is_folder(info, path)]
    if sum(info.file_size for info in infos) > TOTAL:
        raise ValueError(f"its files are larger than {TOTAL >> 20} MiB together")
    counts, start = Counter(info.orig_filename for info in infos), _start(path)
    members, refused = {}, {}
    for info in infos:
        name = info.orig_filename
        usual = name.startswith(start) and _USUAL.fullmatch(name)
        problem = "" if usual else stray_name(name, path)
        if problem := problem or _refusal(info, counts[name]):
            refused[name] = problem
        else:
            members[name] = info
    return Archive(path, modified, dict(sorted(members.items())), refused, content)


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
    if not name.startswith(_start(path)):
        return f"it lies outside {_start(path)}"
    found = _NAME.fullmatch(name)
    return "" if found and is_place(found[1]) else "it is no file of a trial"


def _start(path: Path) -> str:
    """What the names in a pack begin with."""
    return f"{path.parent.name}/{path.name.removesuffix(PACK)}/"


def _count(content: bytes) -> int:
    """How many files a zip file says to have."""
    end = content.rfind(b"PK\x05\x06")
    (count,) = struct.unpack_from("<H", content, end + 10)
    if count == _MANY:
        (count,) = struct.unpack_from("<Q", content, end - 44)
    return count


def _member(content: bytes, member: ZipInfo) -> bytes:
    """What a member of a zip file holds, never more than its entry says.

    As `ZipFile.read`, but three times as fast for files of a few kilobytes.

    Raises:
        ValueError: if it is not what its entry says.
        zlib.error: if it cannot be decompressed.
        struct.error: if it has no header.
    """
    signature, name, extra = _HEADER.unpack_from(content, member.header_offset)
    start = member.header_offset + _HEADER.size + name
    encoding = "utf-8" if member.flag_bits & _UTF8 else "cp437"
    if signature != b"PK\x03\x04" or (
        content[start - name : start] != member.orig_filename.encode(encoding)
    ):
        raise ValueError("its header is another file's")
    found = content[start + extra : start + extra + member.compress_size]
    if member.compress_type == ZIP_DEFLATED:
        found = zlib.decompressobj(-zlib.MAX_WBITS).decompress(found, member.file_size + 1)
    if len(found) != member.file_size or zlib.crc32(found) != member.CRC:
        raise ValueError("its checksum is another")
    return found


def _is_folder(info: ZipInfo, path: Path) -> bool:
    """Whether it is an entry without content on the way to trials, as other tools write them."""
    name = info.orig_filename
    if not name.endswith("/") or info.file_size:
        return False
    parts = name.split("/")[:-1]
    inside = f"{_start(path)}a/{'0' * 8}/s0/damaged-1/a".split("/")
    return not stray_name("/".join(parts + inside[len(parts) :]), path)


def _refusal(info: ZipInfo, count: int) -> str:
    """Why a member is not read, whatever its name; empty if it is."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "it is a link, which is not followed" if stat.S_ISLNK(kind) else "it is no file"
    if count > 1:
        return f"it is there {count} times"
    if info.flag_bits & _ENCRYPTED:
        return "it is encrypted"
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        return "it is compressed in a way that is not read"
    limit = SIZES.get(info.orig_filename.rpartition("/")[2], MEMBER)
    return f"it is larger than {limit >> 20} MiB" if info.file_size > limit else ""
