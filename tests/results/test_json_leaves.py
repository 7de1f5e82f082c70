"""Every value in the JSON of a ledger replaced: nothing crashes, and what is lost is named."""

import copy
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import synthetic
from synthetic import trial

from nas_bench.cli import status
from nas_bench.results.ledger import Ledger
from nas_bench.results.verified import Verified, write_verified

HOSTILE: list[Any] = [
    None, True, -1, 0, 3.5, 10**40, 10**400, 1e308, -1e308, float("nan"), float("inf"), "", "NaN",
    "x" * 5000, "\x1b[2J\r\n", "=cmd|' /C calc'!A0", "<script>", "../../../etc/passwd", "\u202e",
    [], [[]], [None], {}, {"": {}}, [1, "a", {}], "ok", "running", "damaged", "unreadable",
]  # fmt: skip
VERBS = {
    "status": (0, 3),
    "verify": (0, 3, 5),
    "export": (0, 3),
    "report": (0, 3),
}
Path_ = tuple[str | int, ...]


def leaves(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Where the values are, those that hold others too."""
    yield path
    if isinstance(value, dict | list):
        inside = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in inside:
            yield from leaves(part, (*path, key))


def replaced(value: Any, path: Path_, new: Any) -> Any:
    if not path:
        return new
    value = copy.deepcopy(value)
    inside = value
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = new
    return value


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trial with a result that says all that a trial can, its twin, and a failed one."""
    ledger = Ledger(tmp_path_factory.mktemp("leaves") / "results")
    said = {
        "environment": {
            "data": "0" * 64, "device": "cpu", "threads": 1, "shared_device": False,
            "sources": {"core": "1", "method": "2", "task": "3"}, "packages": {"torch": "2"},
            "git": {"commit": "a" * 40, "dirty": False}, "instructions": "AVX2",
        },
        "behaviour": {"core": 3, "method": 1, "task": 1},
        "resolved": {"method": {"k": 1}, "recipe": {"rate": 0.1}, "sites": ["linear"]},
        "plugins": {"method": {"sha256": "0" * 64, "base64": "eA=="}},
    }  # fmt: skip
    for config in (trial("tiny"), trial("fixed", recipe={"learning_rate": 0.1})):
        synthetic.begin(ledger, config)
        ledger.write(config, {"type": "loaded", **said})
        for record in synthetic.records(config):
            if record.step == 30 and config.method == "tiny":
                ledger.write(config, synthetic.as_dict(synthetic.growth(30)))
            ledger.write(config, synthetic.as_dict(record))
        ledger.finish(config)
    run = ledger.run(trial("tiny"))
    assert run
    outcome = Verified(
        id=run.id, curve=run.checksums["curve.jsonl"], reproduced=False, compared="bits",
        because=("device",), differences=("all",), when="today", environment={"device": "cpu"},
    )  # fmt: skip
    write_verified(run, outcome)
    synthetic.run(ledger, trial("tiny", twin={"of": trial("tiny").id, "match": "steps"}))
    synthetic.fail(ledger, trial("gradmax"))
    return ledger.folder


def changes(base: Path) -> Iterator[tuple[Path, int, Path_, Any]]:
    """Files, lines, places in them and new values: all that there are."""
    for file in sorted(base.rglob("*.json*")):
        lines = _lines(file)
        for number in {0, len(lines) - 1} if lines else ():
            for path in leaves(json.loads(lines[number])):
                for value in HOSTILE:
                    yield file.relative_to(base), number, path, value


def _lines(file: Path) -> list[str]:
    text = file.read_text()
    return text.splitlines() if file.suffix == ".jsonl" else [text]


def written(folder: Path, change: tuple[Path, int, Path_, Any], sums: bool) -> str:
    """Write a change into a ledger; its trial. Without sums only types and limits tell it."""
    name, number, path, value = change
    file = folder / name
    lines = _lines(file)
    lines[number] = json.dumps(replaced(json.loads(lines[number]), path, value))
    file.write_text("\n".join(lines) + "\n")
    if not sums and name.suffix == ".jsonl":
        run = file.with_name("run.json")
        run.write_text(json.dumps({**json.loads(run.read_text()), "checksums": {}}))
    return name.parent.as_posix()


@pytest.mark.slow
@pytest.mark.parametrize(
    "count", [8, pytest.param(1500, marks=(pytest.mark.slow, pytest.mark.crash))]
)
def test_any_value_anywhere_is_harmless_and_what_it_costs_is_named(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int
) -> None:
    chance, every = random.Random(count), list(changes(base))
    for change in chance.sample(every, count):
        folder = tmp_path / "results"
        shutil.copytree(base, folder)
        before = {run.place: run.status for run in Ledger(folder).runs()}
        place = written(folder, change, chance.random() < 0.5)
        after = {run.place: run.status for run in Ledger(folder).runs()}
        for verb, codes in VERBS.items():
            figures = "png" if chance.random() < 0.1 else "none"
            more = {"export": ("--format", "csv"), "report": ("--figures", figures)}.get(verb, ())
            capsys.readouterr()
            code = status((verb, str(folder), *more))
            out, err = capsys.readouterr()
            assert (code in codes, "run again with -v" in err) == (True, False), (change, err)
            if before[place] == "ok" != after.get(place):
                assert place in " ".join((out + err).split()), (change, verb)
        for name in ("export/trials.csv", "leaderboard.csv"):
            found = folder / "report" / name
            content = found.read_text() if found.exists() else ""
            assert not any(text in content for text in ("\x1b", ",=cmd")), change
        shutil.rmtree(folder)
