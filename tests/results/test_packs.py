"""Packs: nothing is lost on the way there and back, and they are read as folders are."""

import os
import shutil
from pathlib import Path

import pytest
import synthetic
from packs import damages, members, only, packed, rewrite, seen, snapshot
from synthetic import trial

from nas_bench.execution.resume import missing, remarks
from nas_bench.report.content import content
from nas_bench.results import archive, packing
from nas_bench.results.archive import open_archive
from nas_bench.results.checks import findings
from nas_bench.results.files import LedgerError
from nas_bench.results.frame import load_results
from nas_bench.results.ledger import Ledger
from nas_bench.results.merging import merge
from nas_bench.results.overview import overview
from nas_bench.results.packing import pack, unpack
from nas_bench.results.reading import checksum
from nas_bench.results.verified import Verified, read_verified, write_verified
from nas_bench.trials.config import Twin

made = packing.packed_bytes


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return synthetic.sweep(tmp_path / "ledger", seeds=2)


def test_packing_and_unpacking_changes_no_byte(ledger: Ledger) -> None:
    before = snapshot(ledger.folder)
    path = packed(ledger)
    assert [p.name for p in (ledger.folder / "smoke").iterdir()] == ["digits.zip"]
    assert members(path) == before
    assert only(unpack(ledger.folder)).action == "unpacked"
    assert snapshot(ledger.folder) == before


def test_the_same_trials_give_the_same_pack(ledger: Ledger, tmp_path: Path) -> None:
    other = Ledger(tmp_path / "other")
    shutil.copytree(ledger.folder, other.folder)
    for path in other.folder.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    assert packed(ledger).read_bytes() == packed(other).read_bytes()


def test_a_packed_ledger_reads_as_its_folders(ledger: Ledger) -> None:
    names = [trial(method, seed) for method in synthetic.SETTINGS for seed in (0, 1, 7)]

    def looked() -> list[object]:
        fresh = Ledger(ledger.folder)
        return [
            list(map(seen, fresh.runs())),
            list(map(seen, fresh.glances())),
            [fresh.status(config) for config in names],
            [c.id for c in missing(names, fresh, "failed")],
            list(remarks(names, [], fresh, ())),
            [(t.place, t.share, t.stale) for t in overview(ledger.folder).trials],
            findings(fresh.runs()),
            content(fresh.runs(), "x"),
            load_results(ledger.folder).to_csv(),
        ]

    before = looked()
    packed(ledger)
    for one, other in zip(before, looked(), strict=True):
        assert repr(one) == repr(other)


def test_a_pack_is_opened_once_per_reading(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed(ledger)
    opened: list[Path] = []

    def counting(path: Path) -> archive.Archive:
        opened.append(path)
        return open_archive(path)

    monkeypatch.setattr("nas_bench.results.sources.open_archive", counting)
    fresh = Ledger(ledger.folder)
    assert len(fresh.runs()) == len(fresh.glances()) == 16
    assert fresh.status(trial("tiny", 1)) == "ok"
    assert len(opened) == 1


def test_unfinished_and_damaged_trials_are_not_packed(ledger: Ledger) -> None:
    synthetic.begin(ledger, trial("tiny", 9))
    before = snapshot(ledger.folder)
    outcome = only(pack(ledger.folder))
    assert outcome.action == "refused"
    assert "1 trial is unfinished, such as smoke/digits/tiny" in outcome.problems[0]
    (ledger.trial_folder(trial("fixed")) / "growth.jsonl").unlink()
    before.pop(f"{ledger.trial_folder(trial('fixed')).relative_to(ledger.folder)}/growth.jsonl")
    assert (
        "1 trial is damaged, such as smoke/digits/fixed" in only(pack(ledger.folder)).problems[0]
    )
    assert snapshot(ledger.folder) == before


@pytest.mark.parametrize("place", ["notes.txt", "tiny/x", "{}/notes.txt", "{}/damaged-1/link"])
def test_what_no_trial_has_is_not_packed(ledger: Ledger, place: str) -> None:
    inside = ledger.trial_folder(trial()).relative_to(ledger.folder / "smoke" / "digits")
    path = ledger.folder / "smoke" / "digits" / place.format(inside)
    path.parent.mkdir(exist_ok=True)
    path.symlink_to("/etc/passwd") if path.name == "link" else path.write_text("mine")
    outcome = only(pack(ledger.folder))
    assert (outcome.action, path.name in outcome.problems[0]) == ("refused", True)
    assert len(Ledger(ledger.folder).runs()) >= 16


def test_what_was_set_aside_in_a_trial_is_packed_with_it(ledger: Ledger) -> None:
    (ledger.trial_folder(trial()) / "curve.jsonl").write_text("broken")
    synthetic.run(ledger, trial())
    assert (ledger.trial_folder(trial()) / "damaged-1" / "curve.jsonl").exists()
    before = snapshot(ledger.folder)
    packed(ledger)
    assert damages(ledger.folder) == []
    list(unpack(ledger.folder))
    assert snapshot(ledger.folder) == before


def test_an_empty_pack_says_that_it_is_empty(ledger: Ledger) -> None:
    rewrite(packed(ledger), {})
    assert only(unpack(ledger.folder)).problems == ("none of it can be read: it holds no trial",)


def test_only_what_was_asked_for_is_packed(ledger: Ledger) -> None:
    synthetic.run(ledger, trial(task="sine"))
    synthetic.run(ledger, trial(protocol="Other one"))
    assert [o.place for o in pack(ledger.folder, tasks=["sine"])] == ["smoke/sine"]
    assert [o.action for o in pack(ledger.folder, protocols=["Other one"])] == ["packed"]
    assert [o.place for o in unpack(ledger.folder, ["smoke"], ["sine"])] == ["smoke/sine"]
    assert len(Ledger(ledger.folder).runs()) == 18


def test_nothing_is_removed_if_the_pack_reads_back_otherwise(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(ledger.folder)
    monkeypatch.setattr(
        packing, "packed_bytes", lambda content: made(dict(list(content.items())[1:]))
    )
    with pytest.raises(LedgerError, match="reads back otherwise"):
        list(pack(ledger.folder))
    assert snapshot(ledger.folder) == before


def test_a_packing_that_was_cut_off_is_finished_by_the_same_command(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(ledger.folder)

    def cut(*paths: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(packing, "_refuse_changes", cut)
        with pytest.raises(KeyboardInterrupt):
            list(pack(ledger.folder))
    assert len(Ledger(ledger.folder).runs()) == 16
    (line,) = damages(ledger.folder)
    assert "16 of its trials lie in folders, too, and those count" in line
    assert members(packed(ledger)) == before
    assert damages(ledger.folder) == []


def test_a_trial_in_a_folder_and_in_a_pack_counts_once_and_the_folder_wins(ledger: Ledger) -> None:
    packed(ledger)
    apart = Ledger(ledger.folder.with_name("apart"))
    synthetic.run(apart, trial("tiny", 1), spread=3.0)
    place = apart.trial_folder(trial("tiny", 1))
    target = ledger.trial_folder(trial("tiny", 1))
    shutil.copytree(place, target)
    fresh = Ledger(ledger.folder)
    theirs, mine = apart.run(trial("tiny", 1)), fresh.run(trial("tiny", 1))
    assert mine
    assert theirs
    assert (mine.pack, mine.result) == (None, theirs.result)
    assert [run.id for run in fresh.runs()].count(mine.id) == 1
    assert damages(ledger.folder)[0].startswith("smoke/digits.zip: 1 of its trials lie in folders")
    assert "differs: keep one" in only(pack(ledger.folder)).problems[0]
    assert "differs: keep one" in only(unpack(ledger.folder)).problems[0]
    assert len(snapshot(ledger.folder)) == 4


def test_new_trials_join_the_pack(ledger: Ledger, tmp_path: Path) -> None:
    path = packed(ledger)
    apart = Ledger(tmp_path / "apart")
    synthetic.run(apart, trial("tiny", 5))
    shutil.copytree(apart.folder, ledger.folder, dirs_exist_ok=True)
    assert Ledger(ledger.folder).status(trial("tiny", 5)) == "ok"
    assert packed(ledger) == path
    assert len(Ledger(ledger.folder).runs()) == 17


def test_nothing_is_written_where_trials_are_packed(ledger: Ledger, tmp_path: Path) -> None:
    path = packed(ledger)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=r"nas-bench unpack .* --protocol smoke --task digits"):
        synthetic.run(Ledger(ledger.folder), trial("tiny", 5))
    other = Ledger(tmp_path / "other")
    synthetic.run(other, trial("tiny", 5))
    synthetic.run(other, trial("tiny", 5, task="sine"))
    for dry in (True, False):
        with pytest.raises(LedgerError, match="nas-bench unpack"):
            list(merge([other.folder], ledger.folder, dry=dry))
    assert not (ledger.folder / "smoke" / "sine").exists()
    synthetic.run(ledger, trial(task="sine"))
    assert (path.read_bytes(), len(ledger.runs())) == (before, 17)


def test_packs_are_sources_of_merging(ledger: Ledger, tmp_path: Path) -> None:
    before = snapshot(ledger.folder)
    packed(ledger)
    target = tmp_path / "target"
    assert {d.action for d in merge([ledger.folder], target)} == {"copied"}
    assert snapshot(target) == before
    list(pack(target))
    assert {d.action for d in merge([ledger.folder], target)} == {"kept"}


def test_the_outcome_of_a_second_run_is_stored_in_the_pack(ledger: Ledger) -> None:
    packed(ledger)
    runs = [run for run in Ledger(ledger.folder).runs() if run.result][:2]
    for run in runs:
        digest = checksum(run.source.read("curve.jsonl"))
        write_verified(run, Verified(run.id, digest, True, "bits", (), (), "now", {}))
    fresh = {run.id: run for run in Ledger(ledger.folder).runs()}
    found = [read_verified(fresh[run.id]) for run in runs]
    assert [outcome.id for outcome in found if outcome] == [run.id for run in runs]
    before = (ledger.folder / "smoke" / "digits.zip").read_bytes()
    list(unpack(ledger.folder))
    assert packed(ledger).read_bytes() == before


def test_damage_in_a_pack_is_named_trial_by_trial(ledger: Ledger) -> None:
    path = packed(ledger)
    found = members(path)
    first, second, third = (
        ledger.trial_folder(trial("tiny", 0)),
        ledger.trial_folder(trial("tiny", 1)),
        ledger.trial_folder(trial("fixed", 0)),
    )
    name = {f: f.relative_to(ledger.folder).as_posix() for f in (first, second, third)}
    del found[f"{name[first]}/run.json"]
    found[f"{name[second]}/curve.jsonl"] = found[f"{name[second]}/curve.jsonl"][:-20]
    rewrite(path, found)
    raw = path.read_bytes()
    inside = found[f"{name[third]}/curve.jsonl"]
    path.write_bytes(raw.replace(inside, inside.replace(b'"step"', b'"STEP"', 1)))
    lines = damages(ledger.folder)
    assert len(lines) == 3
    assert f"{name[first]}: run.json is missing" in lines
    assert any(
        line.startswith(f"{name[second]}: curve.jsonl: the last line is torn") for line in lines
    )
    assert any(
        line.startswith(f"{name[third]}: curve.jsonl cannot be read: it is damaged in digits.zip")
        for line in lines
    )
    outcome = only(unpack(ledger.folder))
    assert f"{name[third]}/curve.jsonl" in outcome.problems[0]
    assert path.with_name("digits.zip.damaged-1").exists()
    assert len(damages(ledger.folder)) == 3
    synthetic.run(Ledger(ledger.folder), trial("fixed", 0))


@pytest.mark.parametrize("size", [0, 10, 0.5, -1])
def test_a_file_that_is_no_pack_is_one_damage(ledger: Ledger, size: float) -> None:
    path = packed(ledger)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * size)] if 0 < size < 1 else raw[: int(size)])
    (line,) = damages(ledger.folder)
    assert line.startswith("smoke/digits.zip: it is no whole zip file")
    found = overview(ledger.folder)
    assert (found.rows, found.problems) == ((), (line,))
    outcome = only(unpack(ledger.folder))
    assert outcome.action == "refused"
    assert "restore digits.zip from a copy" in outcome.problems[0]


def test_a_twin_without_an_original_has_ended_where_its_original_has(ledger: Ledger) -> None:
    bad, twin = trial("diverging", 0), trial("diverging", 0)
    twin = twin.model_copy(update={"twin": Twin(of=bad.id, match="steps")})
    lost = {"status": "failed", "message": "none", "traceback": ""}
    for config, error in ((bad, "DivergedError"), (twin, "OriginalError")):
        synthetic.begin(ledger, config)
        ledger.write(config, {"type": "failure", "error": error, **lost})
        ledger.finish(config)
    assert only(pack(ledger.folder)).action == "packed"


def test_a_twin_waits_for_an_original_that_has_not_ended(ledger: Ledger) -> None:
    twin = trial("diverging", 0).model_copy(update={"twin": Twin(of="0" * 16, match="steps")})
    synthetic.begin(ledger, twin)
    lost = {"status": "failed", "message": "none", "traceback": ""}
    ledger.write(twin, {"type": "failure", "error": "OriginalError", **lost})
    ledger.finish(twin)
    assert only(pack(ledger.folder)).action == "refused"
