"""Ledgers damaged at random: nothing crashes, and every loss is named."""

import functools
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import synthetic

from nas_bench.cli import status
from nas_bench.execution.resume import missing
from nas_bench.report.comparison import comparisons
from nas_bench.report.content import content
from nas_bench.report.markdown import section
from nas_bench.report.numbers import numbers
from nas_bench.report.standing import standing
from nas_bench.report.table import leaderboard
from nas_bench.results.checks import all_findings
from nas_bench.results.ledger import Ledger
from nas_bench.results.merging import merge
from nas_bench.results.overview import overview
from nas_bench.results.reading import Run, read_run
from nas_bench.trials.config import TrialConfig
from nas_bench.trials.planning import plan
from nas_bench.trials.protocol import load_protocol

CHANGES = {"tasks": ["sine"], "methods": ["tiny", "gradmax"], "seeds": [0], "budget": "8 epochs"}
OPTIONS = ["--tasks", "sine", "--methods", "tiny,gradmax", "--seeds", "0", "--budget", "8 epochs"]
WEIRD: list[Any] = [
    None, True, -1, 10**40, -(10**400), 1e308, float("nan"), float("inf"), "", "x" * 5000,
    "\x1b[2J", "../../../etc/passwd", [], [[]], {}, {"": {}}, "NaN", "ok", "damaged", 3.5,
]  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """Trials of a plan: two with results, one that diverged, one that runs."""
    folder = tmp_path_factory.mktemp("base") / "results"
    ledger = Ledger(folder)
    first, second, third, fourth = configs()
    synthetic.run(ledger, first)
    synthetic.run(ledger, second)
    synthetic.fail(ledger, third)
    synthetic.begin(ledger, fourth)
    for record in synthetic.records(fourth)[:5]:
        ledger.write(fourth, synthetic.as_dict(record))
    return folder


@functools.cache
def configs() -> list[TrialConfig]:
    return plan(load_protocol("smoke", [CHANGES]))


def seen(run: Run) -> str:
    """What of a trial must not be lost in silence."""
    return repr((run.id, run.status, run.curve, run.growth, run.result, run.config))


def truncate(chance: random.Random, path: Path, trials: list[Path]) -> None:
    path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])


def garble(chance: random.Random, path: Path, trials: list[Path]) -> None:
    content = bytearray(path.read_bytes())
    start = chance.randrange(len(content))
    content[start : start + chance.randrange(40)] = chance.randbytes(chance.randrange(1, 40))
    path.write_bytes(content)


def flip(chance: random.Random, path: Path, trials: list[Path]) -> None:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def remove(chance: random.Random, path: Path, trials: list[Path]) -> None:
    path.unlink()


def empty(chance: random.Random, path: Path, trials: list[Path]) -> None:
    path.write_bytes(b"")


def bury(chance: random.Random, path: Path, trials: list[Path]) -> None:
    path.write_bytes(chance.choice([b"[" * 100_000, b"\x00" * 500, b"{}\n" * 50, b"null\n"]))


def make_folder(chance: random.Random, path: Path, trials: list[Path]) -> None:
    path.unlink()
    path.mkdir()


def make_pipe(chance: random.Random, path: Path, trials: list[Path]) -> None:
    path.unlink()
    os.mkfifo(path)


def link_out(chance: random.Random, path: Path, trials: list[Path]) -> None:
    place = chance.choice([path, path.parent, path.parents[1], path.parents[2]])
    outside = trials[0].parents[5] / "outside"
    place.rename(outside)
    place.symlink_to(outside)


def make_file(chance: random.Random, path: Path, trials: list[Path]) -> None:
    place = chance.choice([path.parent, path.parents[1], path.parents[2]])
    shutil.rmtree(place)
    place.write_bytes(chance.randbytes(9))


def swap(chance: random.Random, path: Path, trials: list[Path]) -> None:
    other = chance.choice([trial for trial in trials if trial != path.parent]) / path.name
    mine, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(mine)


def swap_folders(chance: random.Random, path: Path, trials: list[Path]) -> None:
    one, other = chance.sample(trials, 2)
    one.rename(one.with_name("away"))
    other.rename(one)
    one.with_name("away").rename(other)


def duplicate(chance: random.Random, path: Path, trials: list[Path]) -> None:
    shutil.copytree(path.parent, path.parents[1] / chance.choice(["s7", "s00", "copy", "s0 (1)"]))


def overwrite(chance: random.Random, path: Path, trials: list[Path]) -> None:
    names = ["run.json", "curve.jsonl", "growth.jsonl"]
    path.write_bytes((chance.choice(trials) / chance.choice(names)).read_bytes())


def repeat_line(chance: random.Random, path: Path, trials: list[Path]) -> None:
    lines = path.read_bytes().splitlines(keepends=True) or [b"\n"]
    lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))
    path.write_bytes(b"".join(lines))


def drop_line(chance: random.Random, path: Path, trials: list[Path]) -> None:
    lines = path.read_bytes().splitlines(keepends=True) or [b"\n"]
    del lines[chance.randrange(len(lines))]
    path.write_bytes(b"".join(lines))


def rewrite(chance: random.Random, path: Path, trials: list[Path]) -> None:
    """Another value somewhere in the JSON."""
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    if not lines:
        return
    number = chance.randrange(len(lines))
    value = json.loads(lines[number])
    inside = value
    while True:
        key = chance.choice(list(inside))
        if isinstance(inside[key], dict) and inside[key] and chance.random() < 0.8:
            inside = inside[key]
            continue
        inside[key] = chance.choice(WEIRD)
        break
    lines[number] = json.dumps(value)
    path.write_text("\n".join(lines) + "\n")


def forbid(chance: random.Random, path: Path, trials: list[Path]) -> None:
    chance.choice([path, path.parent, path.parents[1]]).chmod(0)


DAMAGES: list[Callable[[random.Random, Path, list[Path]], None]] = [
    truncate, garble, flip, remove, empty, bury, make_folder, make_pipe, link_out, make_file, swap,
    swap_folders, duplicate, overwrite, repeat_line, drop_line, rewrite, rewrite, rewrite,
]  # fmt: skip
if os.geteuid() != 0:
    DAMAGES.append(forbid)


def damaged(base: Path, folder: Path, seed: int) -> str:
    """A copy of the base in a folder, damaged once or twice; how."""
    shutil.copytree(base, folder)
    chance = random.Random(seed)
    trials = sorted(path.parent for path in folder.glob("*/*/*/*/s*/run.json"))
    said = []
    for _ in range(chance.choice([1, 1, 2])):
        damage = chance.choice(DAMAGES)
        files = [f for f in sorted(folder.rglob("*.json*")) if f.is_file() and f.stat().st_size]
        files = [file for file in files if file.parent in trials]
        try:
            damage(chance, chance.choice(files), trials)
        except (OSError, ValueError, RecursionError):  # the first left nothing to do it to
            continue
        said.append(damage.__name__)
    return f"seed {seed}: {' and '.join(said)}"


def lost(base: Path, folder: Path) -> list[str]:
    """The trials that had ended and do not read as before."""
    ended = (run for run in Ledger(base).runs() if run.status != "running")
    places = ((run, run.folder.relative_to(base)) for run in ended)
    return [str(place) for run, place in places if seen(read_run(folder / place)) != seen(run)]


def names(lines: list[str], place: str) -> bool:
    """Whether a line names the trial, or what lies above it."""
    parts = Path(place).parts
    above = {"/".join(parts[: depth + 1]) for depth in range(len(parts))}
    return any(any(f"/{a}:" in f"/{line}" for a in above) for line in lines)


def check(base: Path, folder: Path, seed: int) -> int:
    """Damage a ledger and look at it in every way; how many trials were lost."""
    how = damaged(base, folder, seed)
    contents = Ledger(folder).contents()
    runs, aside = contents.runs, contents.aside
    shown = overview(folder)
    found = [f"{finding.place}: {finding.message}" for finding in all_findings(contents)]
    assert shown.strays == tuple(aside), how
    compared = comparisons(runs)
    standings = [standing(comparison) for comparison in compared]
    numbers(standings)
    assert all(section(leaderboard(found)) for found in standings), how
    missing(configs(), Ledger(folder), "none")
    list(merge([folder], folder.with_name("merged"), dry=True))
    gone = lost(base, folder)
    for place in gone:
        for who, lines in (
            ("status", [*shown.problems, *aside]),
            ("report", [*content(runs, "", standings, contents.damage)["problems"], *aside]),
            ("verify", [*found, *aside]),
        ):
            assert names(lines, place), f"{how}: {who} is silent about {place}: {lines}"
    return len(gone)


def clear(folder: Path) -> None:
    for parent, folders, _ in os.walk(folder):
        for name in folders:
            (Path(parent) / name).chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.parametrize("count", [150, pytest.param(1000, marks=pytest.mark.crash)])
def test_no_damage_is_silent_and_none_is_a_crash(base: Path, tmp_path: Path, count: int) -> None:
    total = 0
    for seed in range(count):
        place = tmp_path / str(seed)
        total += check(base, place / "results", seed)
        clear(place)
    assert total > 0.7 * count


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("count", [4, pytest.param(100, marks=pytest.mark.crash)])
def test_every_verb_looks_at_damage_and_says_so(
    base: Path, tmp_path: Path, capsys, count: int
) -> None:
    for seed in range(1000, 1000 + count):
        place = tmp_path / str(seed)
        how = damaged(base, place / "results", seed)
        there = ["--results", str(place / "results")]
        for verb, codes in (
            (["status", *there], (0, 3)),
            (["verify", *there], (0, 3, 5)),
            (["plan", *there, *OPTIONS, "--json"], (0,)),
            (["report", *there], (0, 3, 4)),
        ):
            code = status(verb)
            captured = capsys.readouterr()
            assert code in codes, f"{how}: {verb[0]} ended with {code}: {captured.err}"
            assert "run again with -v" not in captured.err, f"{how}: {verb[0]}: {captured.err}"
        clear(place)


def test_what_is_damaged_runs_again_and_nothing_is_lost(base: Path, tmp_path: Path) -> None:
    for seed in range(2000, 2020):
        folder = tmp_path / str(seed) / "results"
        how = damaged(base, folder, seed)
        ledger = Ledger(folder)
        for config in missing(configs(), ledger, "none"):
            synthetic.run(ledger, config)
        again = missing(configs(), Ledger(folder), "none")
        assert again == [], how
        clear(folder.parent)
