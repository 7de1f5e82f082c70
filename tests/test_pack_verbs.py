"""The verbs pack, unpack and export, and the others on packed ledgers."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import synthetic
from packs import snapshot
from synthetic import trial

from nas_bench import plugins
from nas_bench.cli import status
from nas_bench.execution import Settings
from nas_bench.execution.sweep import sweep
from nas_bench.results.ledger import Ledger
from nas_bench.results.lock import locked
from nas_bench.trials.planning import plan
from nas_bench.trials.protocol import load_protocol

QUICK = ("--tasks", "sine", "--budget", "8 epochs", "--methods", "fixed", "--no-baselines")

LATER = ('"last_write"', '"pack"', "packed in")
"""What lines say that packing changes."""


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAS_BENCH_RESULTS", str(tmp_path / "ledger"))
    monkeypatch.setattr(plugins, "_loaded", {})
    return synthetic.sweep(tmp_path / "ledger", seeds=2)


@pytest.fixture
def said(ledger, capsys):
    """What a verb prints on stdout and stderr, after checking its exit code."""

    def say(*arguments, code=0):
        capsys.readouterr()
        found = status(arguments)
        out, err = capsys.readouterr()
        assert (found, "Traceback" in err) == (code, False), err
        return out, err

    return say


def lasting(text):
    """The lines that packing does not change."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return [line for line in lines if not any(word in line for word in LATER)]


def test_packing_says_what_it_did_and_unpacking_undoes_it(ledger, said):
    before = snapshot(ledger.folder)
    out, err = said("pack")
    assert out.startswith("packed: smoke/digits: 16 trials, ")
    assert err == ""
    assert list(snapshot(ledger.folder)) == ["smoke/digits.zip"]
    assert "nothing of this kind" in said("pack", code=3)[1]
    document = json.loads(said("unpack", str(ledger.folder), "--json")[0])
    assert document["packs"][0]["action"] == "unpacked"
    assert snapshot(ledger.folder) == before


def test_what_cannot_be_packed_is_named_and_the_rest_is_packed(ledger, said):
    synthetic.begin(ledger, trial(task="sine"))
    out, err = said("pack", code=5)
    assert out.startswith("packed: smoke/digits")
    assert err.startswith("refused: smoke/sine: 1 trial is unfinished, such as smoke/sine/tiny/")


def test_packing_needs_the_lock_and_a_folder(ledger, said):
    before = snapshot(ledger.folder)
    with locked(ledger.folder):
        for verb in ("pack", "unpack"):
            assert "another nas-bench" in said(verb, code=4)[1]
    assert snapshot(ledger.folder) == before
    assert "there is no results folder" in said("pack", "nowhere", code=2)[1]
    assert "give the folder once" in said("pack", "ledger", "--results", "ledger", code=2)[1]
    assert not Path("nowhere").exists()


def test_every_verb_says_the_same_of_a_packed_ledger(ledger, said):
    config = trial("gradmax", 1)
    place = ledger.trial_folder(config).relative_to(ledger.folder)
    verbs = [
        ("status", "--json"),
        ("verify",),
        ("verify", "--json"),
        ("compare", "tiny", "random_growth", "--json"),
        ("diff", trial("tiny").id, trial("fixed").id),
        ("diff", str(place), str(ledger.trial_folder(trial("fixed"))), "--json"),
        ("report", "--figures", "none", "--json"),
        ("show", str(place)),
        ("show", str(ledger.trial_folder(config))),
        ("show", config.id[:8], "--json"),
        ("export", "--format", "csv", "--json"),
    ]

    def all_said():
        return [said(*verb, code=5 if verb[0] == "verify" else 0)[0] for verb in verbs]

    before = all_said()
    said("pack")
    for one, other in zip(before, all_said(), strict=True):
        assert lasting(other) == lasting(one)


def test_a_packed_trial_is_shown_by_its_place_as_printed(ledger, said):
    said("pack")
    place = ledger.trial_folder(trial("gradmax", 1)).relative_to(ledger.folder)
    out, _ = said("show", str(place))
    assert f"trial      {trial('gradmax', 1).id}" in out
    assert f"packed in  {ledger.folder / 'smoke' / 'digits.zip'}" in out
    assert said("show", f"ledger/{place}")[0] == out
    assert "there is no trial at" in said("show", "smoke/digits/tiny/00000000/s0", code=2)[1]


def swept(ledger, *changes):
    """The trials of the smoke protocol with these changes, without a report."""
    configs = plan(load_protocol("smoke", changes), baselines=False)
    sweep(configs, ledger, "inline", Settings())


SINE = {"tasks": ["sine"], "budget": "8 epochs", "methods": ["fixed"], "seeds": [0]}


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_running_into_a_pack_is_refused_with_the_way_on(ledger, said):
    run = ("run", *QUICK, "--executor", "inline", "-q", "--seeds")
    swept(ledger, SINE)
    said("pack")
    packed = snapshot(ledger.folder)["smoke/sine.zip"]
    _, err = said(*run, "0-1", code=4)
    assert "sine.zip is packed, so that nothing can be written there" in err
    assert f"`nas-bench unpack {ledger.folder} --protocol smoke --task sine`" in err
    assert snapshot(ledger.folder)["smoke/sine.zip"] == packed
    assert not (ledger.folder / "smoke" / "sine").exists()
    assert json.loads(said(*run, "0", "--json")[0])["trials"][0]["status"] == "ok"
    plan = json.loads(said("plan", *QUICK, "--seeds", "0-1", "--json")[0])
    assert [trial["state"] for trial in plan["trials"]] == ["ok", "to run"]
    assert "packed, so that nothing" in said(*run, "0", "--rerun", "all", code=4)[1]
    said("unpack", "--task", "sine")
    swept(Ledger(ledger.folder), SINE, {"seeds": [0, 1]})


def test_other_tasks_of_a_packed_ledger_run(ledger, said):
    said("pack")
    swept(Ledger(ledger.folder), SINE)
    assert (ledger.folder / "smoke" / "sine").is_dir()
    assert len(Ledger(ledger.folder).runs()) == 17


@pytest.mark.slow
def test_verify_runs_packed_trials_again_and_stores_that_in_the_pack(ledger, said):
    shutil.rmtree(ledger.folder)
    swept(ledger, SINE, {"methods": ["random_growth"], "twins": ["flops"]})
    said("pack")
    out, _ = said("verify", "--rerun", "9")
    assert "2 of 2 reproduced" in out
    (run,) = [r for r in Ledger(ledger.folder).runs() if r.label == "random_growth"]
    assert "reproduced (bits)" in said("show", run.id)[0]
    assert list(snapshot(ledger.folder / "smoke")) == ["sine.zip"]


def test_merging_into_a_pack_is_refused(ledger, said, tmp_path):
    other = Ledger(tmp_path / "other")
    synthetic.run(other, trial("tiny", 7))
    said("pack")
    for options in ([], ["--dry-run"]):
        assert "nas-bench unpack" in said("merge", "other", *options, code=4)[1]
    assert said("merge", "ledger", "--results", "other")[0] == "16 copied\n"


def test_export_writes_three_tables(ledger, said, tmp_path):
    out, _ = said("export", "--format", "csv", "--out", "tables")
    assert [Path(line).name for line in out.splitlines()] == [
        "trials.csv", "records.csv", "growth.csv",
    ]  # fmt: skip
    before = snapshot(tmp_path / "tables")
    said("export", "ledger", "--format", "csv", "--out", "tables")
    assert snapshot(tmp_path / "tables") == before
    document = json.loads(said("export", "--format", "parquet", "--json")[0])
    assert document["paths"][0] == str(ledger.folder / "report" / "export" / "trials.parquet")
    assert document["rows"]["trials"] == len(Ledger(ledger.folder).runs()) == 16
    assert "there are no trials" in said("export", "tables", "--format", "csv", code=3)[1]


def test_parquet_without_pyarrow_is_one_sentence_with_the_cure(said, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    _, err = said("export", "--format", "parquet", code=4)
    assert "pip install 'nas-bench[export]', or use --format csv" in err
    said("export", "--format", "csv")


def test_a_damaged_pack_is_a_finding_and_no_trial(ledger, said):
    said("pack")
    pack = ledger.folder / "smoke" / "digits.zip"
    pack.write_bytes(pack.read_bytes()[:2000])
    (ledger.folder / "smoke" / "note.txt").write_text("mine")
    (ledger.folder / "plain").write_text("mine")
    out, _ = said("verify", code=5)
    assert out.splitlines() == [
        "files: smoke/digits.zip: it is no whole zip file: File is not a zip file",
        "0 trials, 1 finding",
    ]
    assert json.loads(said("verify", "--json", code=5)[0])["trials"] == 0
    asked = ("export", "--format", "csv"), ("report",), ("compare", "tiny", "fixed"), ("status",)
    for verb in asked:
        out, err = said(*verb, code=3)
        assert "smoke/digits.zip: it is no whole zip file" in out + err
        assert "Nothing to " in err
    found = json.loads(said("status", "--json", code=3)[0])
    assert (found["trials"], found["rows"], len(found["problems"])) == ([], [], 1)
    assert found["strays"] == [
        "plain: it is a file where a folder belongs",
        "smoke/note.txt: it is a file where a folder belongs",
    ]


@pytest.mark.parametrize("name", ["file", "folder/file"])
def test_a_file_alone_in_the_place_of_trials_stays_where_it_is_when_packing(ledger, said, name):
    path = ledger.folder / "smoke" / "sine" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    out, err = said("pack")
    assert out.startswith("packed: smoke/digits: 16 trials")
    assert (err, path.read_text()) == ("", "mine")


@pytest.mark.parametrize("place", ["", "smoke", "smoke/digits/tables", "tables"])
def test_tables_are_not_written_among_trials(ledger, said, place):
    before = snapshot(ledger.folder)
    _, err = said("export", "--format", "csv", "--out", str(ledger.folder / place), code=2)
    assert "is where trials lie: choose a folder outside of" in err
    assert snapshot(ledger.folder) == before
    said("export", "--format", "csv", "--out", str(ledger.folder / "report" / "tables"))


def test_a_submission_is_not_written_among_trials(ledger, said):
    before = snapshot(ledger.folder)
    _, err = said("submit", "--output", str(ledger.folder / "smoke" / "digits.zip"), code=2)
    assert "digits.zip is where trials lie" in err
    assert snapshot(ledger.folder) == before


def test_a_file_or_dangling_link_where_tables_belong_is_one_sentence(said, tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "file").write_text("mine")
    _, err = said("export", "--format", "csv", "--out", "link", code=4)
    assert "a file, or a link that leads nowhere, has this name; choose another one" in err
    _, err = said("export", "--format", "csv", "--out", "file/tables", code=4)
    assert "a file lies where a folder belongs; choose another place" in err


def test_a_report_of_nothing_names_the_ledger_that_has_none(said, tmp_path):
    _, err = said("report", str(tmp_path / "empty"), "--into", "elsewhere", code=3)
    assert f"there are no results in {tmp_path / 'empty'}" in err


def test_a_file_is_no_results_folder(said, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("NAS_BENCH_RESULTS", str(tmp_path / "file"))
    for verb in (("status",), ("verify",), ("pack",), ("plan",), ("export", "--format", "csv")):
        assert "file is a file: name a folder" in said(*verb, code=2)[1]
