"""Packs that are damaged, or that a stranger made: nothing is silent, nothing gets out."""

import random
import shutil
import stat
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import synthetic
from packs import damages, members, only, packed, seen, snapshot
from synthetic import trial

from nas_bench.results import archive
from nas_bench.results.ledger import Ledger
from nas_bench.results.packing import unpack


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return synthetic.sweep(tmp_path / "ledger", seeds=2)


@pytest.mark.slow
def test_random_damage_is_never_silent_and_never_a_crash(ledger: Ledger) -> None:
    path = packed(ledger)
    raw, chance = path.read_bytes(), random.Random(0)
    whole = {run.place: seen(run) for run in Ledger(ledger.folder).runs()}
    for _ in range(200):
        changed = bytearray(raw)
        for _ in range(chance.choice([1, 1, 9])):
            start = chance.choice([0, len(raw) - 9000])  # anywhere, or in the list of files
            changed[chance.randrange(start, len(raw))] = chance.randrange(256)
        path.write_bytes(changed)
        contents = Ledger(ledger.folder).contents()
        found, lines = {run.place: seen(run) for run in contents.runs}, contents.damage
        for place, before in whole.items():
            if found.get(place) != before:
                assert any(line.startswith((place, "smoke/digits.zip")) for line in lines)


def hostile(name: str, **changes: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    for field, value in changes.items():
        setattr(info, field, value)
    return info


LINK = (stat.S_IFLNK | 0o777) << 16
PIPE = (stat.S_IFIFO | 0o644) << 16
TRIAL = "smoke/digits/tiny/00000000/s7"


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        (hostile("/etc/run.json"), "its name is absolute"),
        (hostile("smoke/digits/tiny/00000000/s7/../../../../../../run.json"), "leads elsewhere"),
        (hostile("smoke/digits/../00000000/s7/run.json"), "leads elsewhere"),
        (hostile("smoke/digits/tiny/0\\0/s7/run.json"), "characters that are not allowed"),
        (hostile("smoke/digits/tiny/\x1b[2J/s7/run.json"), "characters that are not allowed"),
        (hostile("smoke/sine/tiny/00000000/s7/run.json"), "it lies outside smoke/digits/"),
        (hostile("other/digits/tiny/00000000/s7/run.json"), "it lies outside smoke/digits/"),
        (hostile(f"{TRIAL}/evil.sh"), "it is no file of a trial"),
        (hostile(f"{TRIAL}/damaged-1/{'x' * 300}"), "its name is too long"),
        (hostile(f"{TRIAL}/verified.json", external_attr=LINK), "it is a link"),
        (hostile(f"{TRIAL}/verified.json", external_attr=PIPE), "it is no file"),
        (
            hostile(f"{TRIAL}/verified.json", compress_type=zipfile.ZIP_LZMA),
            "in a way that is not",
        ),
    ],
)
def test_what_a_stranger_put_into_a_pack_is_refused_by_name(
    ledger: Ledger, info: zipfile.ZipInfo, reason: str
) -> None:
    path = packed(ledger)
    with zipfile.ZipFile(path, "a") as opened:
        opened.writestr(info, b"x")
    around = {p for p in ledger.folder.parents[0].rglob("*") if ledger.folder not in p.parents}
    runs = Ledger(ledger.folder).runs()
    assert len([run for run in runs if run.config]) == 16
    (line,) = [line for line in damages(ledger.folder) if line.startswith("smoke/digits.zip: ")]
    assert reason in line
    assert repr(info.filename)[1:20] in line
    outcome = only(unpack(ledger.folder))
    assert (outcome.action, reason in outcome.problems[0]) == ("unpacked", True)
    assert len([run for run in Ledger(ledger.folder).runs() if run.config]) == 16
    assert not any(p.is_symlink() for p in ledger.folder.rglob("*"))
    now = {p for p in ledger.folder.parents[0].rglob("*") if ledger.folder not in p.parents}
    assert now == around


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused(ledger: Ledger) -> None:
    path = packed(ledger)
    name = f"{ledger.trial_folder(trial()).relative_to(ledger.folder)}/run.json"
    with zipfile.ZipFile(path, "a") as opened:
        opened.writestr(name, b"{}")
    (line,) = damages(ledger.folder)
    assert (
        line == f"{name.removesuffix('/run.json')}: run.json cannot be read: it is there 2 times"
    )


def test_entries_of_folders_as_other_tools_write_them_are_no_damage(ledger: Ledger) -> None:
    aside = ledger.trial_folder(trial()) / "damaged-1" / "tables"
    aside.mkdir(parents=True)
    (aside / "curve.jsonl").write_text("mine")
    before = snapshot(ledger.folder / "smoke")
    path = ledger.folder / "smoke" / "digits.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for found in sorted((ledger.folder / "smoke").rglob("*")):
            if found != path:
                made.write(found, found.relative_to(ledger.folder))
        made.mkdir("smoke")
    shutil.rmtree(path.with_suffix(""))
    assert damages(ledger.folder) == []
    assert (only(unpack(ledger.folder)).problems, path.exists()) == ((), False)
    assert snapshot(ledger.folder / "smoke") == before


def test_an_encrypted_file_is_refused(ledger: Ledger) -> None:
    path = packed(ledger)
    raw = bytearray(path.read_bytes())
    raw[raw.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    (line,) = damages(ledger.folder)
    assert line.endswith(
        "curve.jsonl cannot be read: it is encrypted; once it is unpacked, the same command runs "
        "this trial again"
    )


@pytest.mark.parametrize(
    ("limit", "value", "reason"),
    [
        ("SIZE", 1000, "it cannot be read: it is larger than"),
        ("MEMBERS", 47, "it has more than 47 files"),
        ("TOTAL", 10**5, "its files are larger than 0 MiB together"),
    ],
)
def test_a_pack_beyond_the_limits_is_one_damage(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, reason: str
) -> None:
    packed(ledger)
    monkeypatch.setattr(archive, limit, value)
    (line,) = damages(ledger.folder)
    assert line.startswith(f"smoke/digits.zip: {reason}")


def test_a_file_beyond_the_limit_is_refused_and_no_size_is_trusted(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(ledger)
    folder = ledger.trial_folder(trial()).relative_to(ledger.folder)
    found = members(path) | {f"{folder}/curve.jsonl": b" " * 50_000_000}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, value in found.items():
            opened.writestr(name, value)
    with monkeypatch.context() as patch:
        patch.setitem(archive.SIZES, "curve.jsonl", 10**6)
        assert "curve.jsonl cannot be read: it is larger than" in damages(ledger.folder)[0]
    raw = bytearray(path.read_bytes())
    entry = raw.rfind(b"PK\x01\x02", 0, raw.rfind(f"{folder}/curve.jsonl".encode()))
    raw[entry + 24 : entry + 28] = (1000).to_bytes(4, "little")
    path.write_bytes(raw)
    tracemalloc.start()
    (line,) = damages(ledger.folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "its checksum is another" in line
    assert peak < 20_000_000
