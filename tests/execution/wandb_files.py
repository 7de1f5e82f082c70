"""Reads back what wandb wrote: LevelDB's log format, blocks of 32 KiB with protobuf records."""

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

_BLOCK, _FILE_HEADER, _CHUNK_HEADER = 32768, 7, struct.Struct("<IHB")
_FULL, _LAST = 1, 4
_PATIENCE = 30.0


def records(path: Path) -> Iterator[Record]:
    """Every record of a `.wandb` file."""
    content, place, whole = path.read_bytes(), _FILE_HEADER, b""
    while place + _CHUNK_HEADER.size <= len(content):
        if _BLOCK - place % _BLOCK < _CHUNK_HEADER.size:
            place += _BLOCK - place % _BLOCK
            continue
        _, length, kind = _CHUNK_HEADER.unpack_from(content, place)
        place += _CHUNK_HEADER.size
        whole += content[place : place + length]
        place += length
        if kind in (_FULL, _LAST):
            record = Record()
            record.ParseFromString(whole)
            yield record
            whole = b""


class Written:
    """An offline run: its `run` record, its rows in order, its summary."""

    def __init__(self, folder: Path) -> None:
        (file,) = folder.glob("*.wandb")
        _await_end(file)
        self.rows: list[dict[str, Any]] = []
        self.summary: dict[str, Any] = {}
        self.folder = folder
        for record in records(file):
            if record.HasField("run"):
                self.run = record.run
            elif record.HasField("history"):
                self.rows.append(_values(record.history.item))
            elif record.HasField("summary"):
                self.summary |= _values(record.summary.update)
            elif record.HasField("exit"):
                self.exit_code = record.exit.exit_code

    @property
    def config(self) -> dict[str, Any]:
        return {item.key: json.loads(item.value_json) for item in self.run.config.update}


def written(results: Path) -> list[Written]:
    """The offline runs in a results folder, oldest first."""
    found = [path for path in (results / "wandb").glob("offline-run-*") if path.is_dir()]
    return [Written(path) for path in sorted(found, key=lambda path: path.stat().st_ctime)]


def _await_end(file: Path) -> None:
    """Wandb's own process writes the file's end shortly after the run was finished."""
    deadline = time.monotonic() + _PATIENCE
    while not any(record.HasField("exit") for record in records(file)):
        assert time.monotonic() < deadline, f"{file} has no end"
        time.sleep(0.1)


def _values(items: Any) -> dict[str, Any]:
    return {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}
