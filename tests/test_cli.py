import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from nas_bench import plugins
from nas_bench.cli import status
from nas_bench.commands.doctor import _dataset, _datasets
from nas_bench.commands.parameters import results_folder
from nas_bench.templates import METHOD
from nas_bench.training.torchvision_data import FILES

VERBS = (
    "run", "tune", "plan", "status", "ls", "show", "report", "export", "merge", "verify", "pack",
    "unpack", "submit", "check", "new", "doctor",
)  # fmt: skip
QUICK = ("--executor", "inline", "--seeds", "0", "--tasks", "sine", "--budget", "8 epochs")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAS_BENCH_RESULTS", str(tmp_path / "ledger"))
    monkeypatch.setattr(plugins, "_loaded", {})


def nas_bench(*arguments, code="from nas_bench.cli import main; main()", **options):
    """The command line in a process of its own."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


def said(capsys):
    """What was printed, on stdout and on stderr."""
    captured = capsys.readouterr()
    return captured.out, captured.err


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_every_help_has_three_examples(verb, capsys):
    assert status([*verb.split(), "--help"]) == 0
    help_text, _ = said(capsys)
    examples = help_text.split("Examples:")[1].strip().splitlines()
    assert len(examples) >= 3
    assert all(example.strip().startswith("nas-bench") for example in examples)


def test_help_imports_nothing_heavy():
    heavy = {"torch", "ray", "pandas", "pydantic", "yaml", "rich", "matplotlib", "numpy"}
    code = f"""
import sys
from nas_bench.cli import status
from nas_bench.commands.doctor import _dataset
assert status(["--help"]) == status(["run", "--help"]) == 0
print("HEAVY", sorted({heavy} & sys.modules.keys()))
"""
    assert nas_bench(code=code).stdout.endswith("HEAVY []\n")


def test_python_m_nas_bench_is_nas_bench():
    command = [sys.executable, "-m", "nas_bench", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"nas-bench, version {version('nas-bench')}\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "--methods", "tni"], "unknown method 'tni': did you mean tiny?"),
        (["run", "--tasks", "digit"], "unknown task 'digit': did you mean digits?"),
        (["run", "--protocol", "smoek"], "unknown protocol 'smoek': did you mean smoke?"),
        (["run", "--methods", "tiny[k=5]"], "unknown option 'k'"),
        (["run", "--methods", "tiny[k=5"], "brackets or quotes that do not match"),
        (["run", "--seeds", "x"], "not of the form 0-9 or 0,2,5"),
        (["run", "--budget", "10 ages"], "unknown unit of a budget 'ages'"),
        (["run", "--budget", "1 epochs"], "but the budget ends at 1 epoch"),
        (["run", "--set", "sede=1"], "unknown protocol setting 'sede': did you mean seeds"),
        (["run", "--set", "recipe.batch_size=0"], "recipe: batch_size is 0, expected a whole"),
        (["run", "--set", "budget=3"], "budget '3' is not of the form 10 epochs"),
        (["run", "--tasks", "digits[target_widths=[5]]"], "one width each for every hidden"),
        (["plan", "--set", "schedule.max_parameters=0"], "max_parameters: expected a number gr"),
        (["run", "--set", "recipe.lr=1"], "recipe: unknown option 'lr'"),
        (["run", "--config", "none.yaml"], "cannot read none.yaml: No such file"),
        (["run", "--plugin", "none.py"], "is not there: give the path of a Python file"),
        (["run", "--executor", "dask"], "'dask' is not one of 'ray', 'inline'"),
        (["run", "--mehtods", "tiny"], "No such option"),
        (["run", "--executor", "inline", "--address", "auto"], "leave one of them out"),
        (["run", "--timeout", "nan"], "'nan' is not a number"),
        (["run", "--checkpoint-every", "inf"], "is not in the range"),
        (["run", "--max-concurrent", "9" * 20], "is not in the range"),
        (["run", "--address", "foo"], "'foo' is not of the form host:port or auto"),
        (["show", "tni"], "did you mean tiny"),
        (["check", "tni"], "did you mean tiny"),
        (["ls", "method"], "'method' is not one of 'methods', 'tasks', 'triggers', 'protocols'"),
        (["ls", "--plugin", "/dev/null"], "is no regular file: give the path of a .py file"),
        (["ls", "--plugin", "circle.py"], "is not there: give the path of a Python file"),
        (["ls", "--plugin", "."], "is a folder: give the path of a .py file"),
        (["new", "method", "random"], "would hide the module random"),
        (["new", "task", "numpy"], "would hide the module numpy"),
        (["new", "method", "tiny"], "there is a method tiny in nas_bench.methods.tiny:Tiny"),
        (["new", "method", "digits"], "there is a task digits in nas_bench.tasks.digits:Digits"),
        (["new", "method", "My-Method"], "cannot be a module: use lower-case letters"),
        (["new", "task", "class"], "cannot be a module"),
        (["report", "a", "--results", "b"], "give the folder once"),
        (["report", "--width", "nan"], "'nan' is not a number"),
        (["report", "--figures", "png,gif"], "unknown format 'gif': give some of png, svg, pdf"),
        (["show", "3f2a"], "no trial's id begins with 3f2a"),
        (["plan", "--methods", "tni"], "unknown method 'tni': did you mean tiny?"),
        (["plan", "--seeds", "x"], "not of the form 0-9 or 0,2,5"),
        (["merge"], "Missing argument 'SOURCES...'"),
        (["merge", "nowhere"], "there is no results folder at nowhere"),
        (["merge", ".", "--results", "."], "is the results folder itself"),
        (["merge", ".", "--prefer", "best"], "'best' is not one of 'newest'"),
        (["status", "--watch", "--json"], "--watch and --json do not go together"),
        (["verify", "--rerun", "-1"], "-1 is not in the range 0<=x"),
        (["rnu"], "No such command"),
        (["status", "--results", "~nosuchuser/x"], "~nosuchuser/x means the home folder of"),
        (["ls", "--plugin", "~nosuchuser/x.py"], "and there is none: write the path in full"),
        (["run", "--data", "~nosuchuser/x"], "and there is none: write the path in full"),
        (["run", "--storage", "~nosuchuser/x"], "and there is none: write the path in full"),
        (["run", "--results", ""], "there is no path: give one, or leave the option out"),
        (["export", "--format", "csv", "--out", ""], "there is no path: give one"),
        (["status", ""], "there is no path: give one"),
        (["plan", "--protocol", "utf16.yaml"], "is no UTF-8 text (invalid start byte): save it"),
        (["plan", "--config", "utf16.yaml"], "is no UTF-8 text (invalid start byte): save it"),
        (["status", "--results", "dangling"], "is a link to /nonexistent/x, which is not there"),
        (["run", "--executor", "inline", "--address", "auto"], "not on the cluster at auto"),
        (["run", "--gpus-per-trial", "1.5"], "give a share of one GPU, such as 0.5"),
        (["run", "--gpus-per-trial", "0.00001"], "the least share of a GPU is 0.0001"),
    ],
)
def test_wrong_input_is_one_sentence_on_stderr_and_exit_code_2(arguments, sentence, capsys):
    Path("dangling").symlink_to("/nonexistent/x")
    Path("circle.py").symlink_to("circle.py")
    Path("utf16.yaml").write_text("name: x", encoding="utf-16")
    assert status(arguments) == 2
    out, err = said(capsys)
    assert out == ""
    assert sentence in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_run_ends_in_a_table_and_its_files(capsys, tmp_path):
    assert status(["run", *QUICK, "--methods", "gradmax"]) == 0
    out, err = said(capsys)
    assert {"gradmax", "fixed", "fixed[size=seed]"} <= set(out.split())
    assert "--explain says what every column is" in out
    assert err.splitlines()[:3] == [
        "smoke on sine: 3 rows, seed 0",
        "1 seed can show no difference to be real, and rank no rows: that takes 6",
        "sine trains on cpu: too small to gain from a GPU",
    ]
    paths = [line for line in out.splitlines() if line.startswith(str(tmp_path))]
    assert [Path(path).name for path in paths] == [
        "leaderboard.md", "leaderboard.csv", "leaderboard.tex", "reproduce.sh", "report.json",
        "report.html", " (18 figures)",
    ]  # fmt: skip
    assert "[3/3] sine" in err

    before = (tmp_path / "ledger" / "report" / "leaderboard.csv").read_text()
    assert status(["run", *QUICK, "--methods", "gradmax", "--json"]) == 0
    out, err = said(capsys)
    assert err == ""
    document = json.loads(out)
    assert [trial["status"] for trial in document["trials"]] == ["ok"] * 3
    assert {row["method"] for row in document["table"]} == {"gradmax", "fixed", "fixed[size=seed]"}
    assert document["paths"][:6] == paths[:6]
    assert all(Path(path).is_file() for path in document["paths"])
    assert len(document["paths"]) == 6 + 18
    assert (tmp_path / "ledger" / "report" / "leaderboard.csv").read_text() == before

    assert status(["report", str(tmp_path / "ledger"), "--figures", "png", "--explain"]) == 0
    out, _ = said(capsys)
    assert "gradmax" in out
    assert "One multiply-add is one FLOP" in " ".join(out.split())
    assert status(["report", "--json", "--figures", "png"]) == 0
    reported = json.loads(said(capsys)[0])
    assert reported["table"] == document["table"]
    assert reported["results"] == str(tmp_path / "ledger")
    shown = json.loads((tmp_path / "ledger" / "report" / "report.json").read_text())
    assert reported["comparisons"] == shown["comparisons"]
    assert status(["report", "--figures", "none"]) == 0
    assert not list((tmp_path / "ledger" / "report" / "figures").iterdir())
    assert "gradmax" in said(capsys)[0]

    other = ["--methods", "fixed", "--no-baselines", "--budget", "9 epochs"]
    assert status(["run", *QUICK, *other]) == 0
    out, _ = said(capsys)
    assert "1 other comparison in this folder: nas-bench report shows all" in out
    assert "gradmax" not in out
    assert [line for line in out.splitlines() if "smoke v" in line] == [out.splitlines()[0]]


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_settings_come_from_protocol_then_config_then_set_then_flags(capsys, tmp_path):
    (tmp_path / "changes.yaml").write_text(
        "seeds: 5-6\nbudget: 50 epochs\nrecipe: {learning_rate: 1e-3}\nschedule: {growths: 9}\n"
    )
    arguments = ["run", *QUICK, "--methods", "random_growth", "--no-baselines", "-q"]
    changes = ["--config", "changes.yaml", "--set", "schedule.growths=2", "--set", "seeds=7"]
    assert status([*arguments, *changes]) == 0
    (summary,) = (tmp_path / "ledger").glob("*/*/*/*/*/run.json")
    config = json.loads(summary.read_text())["config"]
    assert config["seed"] == 0
    assert config["budget"]["epochs"] == 8
    assert config["schedule"]["growths"] == 2
    assert config["recipe"] == {"learning_rate": 0.001}
    assert said(capsys)[1] == ""


FAILING = METHOD.replace("        p =", '        raise RuntimeError("no luck")\n        p =')


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_a_method_that_raises_is_a_failed_row_and_exit_code_1(capsys, tmp_path):
    text = FAILING.replace("{name}", "unlucky").replace("{Name}", "Unlucky")
    (tmp_path / "unlucky.py").write_text(text)
    arguments = ["run", *QUICK, "--methods", "unlucky,random_growth", "--plugin", "unlucky.py"]
    assert status(arguments) == 1
    out, err = said(capsys)
    line = text[: text.index("raise RuntimeError")].count("\n") + 1
    place = f"(unlucky.py:{line})"
    assert f"unlucky, seed 0: failed: RuntimeError: no luck {place}" in out
    assert f"failed, RuntimeError: no luck {place}\n" in err
    assert "Traceback" not in err
    assert "run.json" not in err
    assert status([*arguments, "--json", "-v"]) == 1
    out, err = said(capsys)
    (summary,) = (tmp_path / "ledger").glob("*/*/unlucky/*/s0/run.json")
    assert err.splitlines() == [
        "1 trial failed earlier and was not run again; add --rerun failed",
        f"sine unlucky seed 0: the traceback is in {summary}",
    ]
    trials = json.loads(out)["trials"]
    statuses = {trial["method"]: trial["status"] for trial in trials}
    assert statuses.pop("unlucky") == "failed"
    assert status(["show", str(summary.parent)]) == 0
    assert '    raise RuntimeError("no luck")\n' in said(capsys)[0]
    assert set(statuses.values()) == {"ok"}


def test_an_empty_folder_has_nothing_to_report(capsys, tmp_path):
    assert status(["report", str(tmp_path / "empty")]) == 3
    assert said(capsys) == ("", f"Nothing to report: there are no results in {tmp_path}/empty\n")


def test_a_folder_that_cannot_be_written_is_one_sentence_and_exit_code_4(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    results = ["--results", str(tmp_path / "file" / "inside")]
    assert status(["run", *QUICK, "--methods", "fixed", "-q", *results]) == 4
    out, err = said(capsys)
    assert out == ""
    assert err.startswith("Error: cannot write")
    assert "Traceback" not in err


def test_an_unexpected_error_shows_its_traceback_only_when_asked(capsys, tmp_path):
    (tmp_path / "odd.py").write_text(
        METHOD.replace("{name}", "odd")
        .replace("{Name}", "Odd")
        .replace(
            "    def needs",
            "    @property\n    def starts_from(self):\n        raise GeneratorExit('odd')\n\n"
            "    def needs",
        )
    )
    arguments = ["show", "odd", "--plugin", "odd.py"]
    assert status(arguments) == 4
    _, err = said(capsys)
    assert err == "Error: GeneratorExit: odd; run again with -v for the traceback\n"
    assert status([*arguments, "-v"]) == 4
    assert "Traceback" in said(capsys)[1]


@pytest.mark.parametrize("kind", ["methods", "tasks", "triggers", "protocols"])
def test_ls_lists_names_with_summaries(kind, capsys):
    known = {"methods": "tiny", "tasks": "digits", "triggers": "north", "protocols": "smoke"}
    expected = known[kind]
    assert status(["ls", kind, "--json"]) == 0
    rows = json.loads(said(capsys)[0])
    assert expected in {row["name"] for row in rows}
    assert status(["ls", kind]) == 0
    lines = said(capsys)[0].splitlines()
    assert [line.split()[0] for line in lines] == [row["name"] for row in rows]


def test_ls_alone_lists_everything(capsys):
    assert status(["ls", "--json"]) == 0
    everything = json.loads(said(capsys)[0])
    assert list(everything) == ["methods", "tasks", "triggers", "protocols"]
    assert status(["ls"]) == 0
    out, _ = said(capsys)
    assert len(out.splitlines()) == 4 + sum(map(len, everything.values()))
    assert {
        "methods:",
        "tasks:",
        "triggers:",
        "protocols:",
        "tiny",
        "digits",
        "plateau",
        "smoke",
    } <= set(out.split())


def test_ls_shows_what_is_broken_and_why(capsys, tmp_path, monkeypatch):
    metadata = tmp_path / "stranger-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[nas_bench.methods]\nbroken_one = not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert status(["ls", "methods"]) == 0
    out, _ = said(capsys)
    assert "BROKEN (not_there): ModuleNotFoundError: No module named 'not_there'" in out
    assert "tiny" in out


def test_show_knows_methods_tasks_and_protocols(capsys):
    assert status(["show", "tiny[update=false]", "--json"]) == 0
    method = json.loads(said(capsys)[0])
    assert (method["name"], method["options"]["update"]) == ("tiny[update=false]", "false (bool)")
    assert status(["show", "digits", "--json"]) == 0
    task = json.loads(said(capsys)[0])
    assert len(task["sites"]) == len(task["seed_widths"])
    assert list(task["not growable"].values()) == [
        "its output is the model's output: there is no next layer"
    ]
    assert status(["show", "smoke"]) == 0
    assert "same_target" in said(capsys)[0]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["method", "task", "trigger"])
def test_new_writes_one_short_file_that_passes_its_check(kind, capsys, tmp_path):
    assert status(["new", kind, "of_mine"]) == 0
    assert said(capsys)[0] == "of_mine.py\n"
    path = tmp_path / "of_mine.py"
    assert len(path.read_text().splitlines()) < 60
    assert status(["check", "of_mine", "--plugin", "of_mine.py"]) == 0
    assert "FAILED" not in said(capsys)[0]
    before = path.read_text()
    assert status(["new", kind, "of_mine"]) == 2
    assert "is there already" in said(capsys)[1]
    assert path.read_text() == before


@pytest.mark.parametrize("kind", ["method", "task", "trigger"])
def test_what_new_writes_is_in_the_style_of_the_house(kind, tmp_path):
    assert status(["new", kind, "of_mine"]) == 0
    configuration = Path(__file__).parents[1] / "pyproject.toml"
    for command in (["check", "--ignore", "I001"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--config", str(configuration)]
        done = subprocess.run([*ruff, "of_mine.py"], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_failed_check_has_exit_code_5(capsys, tmp_path):
    text = FAILING.replace("{name}", "unlucky").replace("{Name}", "Unlucky")
    (tmp_path / "unlucky.py").write_text(text)
    assert status(["check", "unlucky", "--plugin", "unlucky.py"]) == 5
    assert "more): RuntimeError: no luck" in said(capsys)[0]
    assert status(["check", "unlucky", "--plugin", "unlucky.py", "--json"]) == 5
    assert any(not check["ok"] for check in json.loads(said(capsys)[0]))


def test_what_fails_for_one_reason_is_one_line(capsys, tmp_path):
    text = FAILING.replace('raise RuntimeError("no luck")', "return None")
    (tmp_path / "unlucky.py").write_text(
        text.replace("{name}", "unlucky").replace("{Name}", "Unlucky")
    )
    assert status(["check", "unlucky", "--plugin", "unlucky.py"]) == 5
    out, _ = said(capsys)
    failed = [line for line in out.splitlines() if line.startswith("FAILED")]
    assert failed[0].endswith("more): TypeError: propose returned None, expected NewNeurons")
    assert len(failed) == 1


@pytest.mark.slow
def test_the_examples_of_helps_work(capsys, tmp_path):
    from nas_bench.commands import check, ls, new, show

    modules = (new, ls, show, check)
    lines = [line for module in modules for line in module._EPILOG.splitlines()[2:]]
    assert len(lines) >= 3 * len(modules)
    for line in dict.fromkeys(line for line in lines if "results/" not in line):
        assert status(shlex.split(line)[1:]) == 0, line


def test_matplotlib_is_given_a_folder_where_home_cannot_be_written(tmp_path):
    (tmp_path / "home").write_text("no folder")
    code = "from nas_bench.cli import status; status(['--version']); import matplotlib.pyplot"
    home = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": ""}
    environment = {k: v for k, v in os.environ.items() if k != "MPLCONFIGDIR"} | home
    assert nas_bench(code=code, env=environment).stderr == ""


def test_the_results_folder_is_the_one_given_else_the_variables_else_local(tmp_path, monkeypatch):
    assert results_folder(tmp_path / "given") == tmp_path / "given"
    assert results_folder(None) == tmp_path / "ledger"
    monkeypatch.delenv("NAS_BENCH_RESULTS")
    assert results_folder(None) == tmp_path / "results" / "local"


@pytest.mark.slow
def test_a_closed_pipe_is_no_error():
    command = f"{sys.executable} -m nas_bench ls methods | head -n 0"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.stderr == ""


def test_doctor_says_that_a_data_folder_is_not_there(tmp_path):
    given, chosen = next(_datasets(tmp_path / "data")), next(_datasets(None))
    assert (given.ok, chosen.ok) == (False, None)
    assert given.message == f"{tmp_path}/data is not there: make it, or name another"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", r"\w+Error: .*"),
        (b"<html>no such file</html>", "they are not in their format"),
        (None, "RuntimeError: .*3127"),
    ],
)
def test_doctor_reads_data_and_names_what_is_damaged(content, why, tmp_path, monkeypatch):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in FILES:
        images = name.endswith("images-idx3-ubyte")
        whole = bytes([0, 0, 8, 3 if images else 1]) + bytes([0, 0, 0, 4])
        whole += (bytes([0, 0, 0, 28]) * 2 + bytes(4 * 784)) if images else bytes([0, 1, 2, 3])
        (raw / name).write_bytes(whole)
    found = _dataset(plugins.task("mnist"), tmp_path)
    assert (found.ok, found.message) == (None, "4 training and 4 test samples")
    (raw / FILES[0]).write_bytes(
        (raw / FILES[0]).read_bytes()[:-9] if content is None else content
    )
    found = _dataset(plugins.task("mnist"), tmp_path)
    assert found.ok is False
    assert re.search(rf"the files of MNIST in .* are damaged \({why}\): delete", found.message)


def test_doctor_says_what_data_is_not_there_yet(tmp_path):
    for name in ("mnist", "image_arrays"):
        assert _dataset(plugins.task(name), tmp_path).message == "not there yet"


@pytest.mark.slow
def test_doctor_finds_this_machine_fit(capsys):
    assert status(["doctor", "--json"]) == 0
    findings = {finding["name"]: finding for finding in json.loads(said(capsys)[0])}
    assert {"torch", "ray.tune", "devices", "data of digits", "results folder"} <= findings.keys()


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize(
    ("number", "code", "sentence"),
    [
        (signal.SIGINT, 130, "Interrupted; the same command goes on from here."),
        (signal.SIGTERM, 75, "Ended by SIGTERM; the same command goes on from here."),
    ],
)
def test_an_interrupted_run_says_so_by_its_exit_code_and_continues(number, code, sentence, capsys):
    arguments = [*QUICK, "--methods", "fixed", "--seeds", "0-7", "--no-baselines"]
    command = [sys.executable, "-m", "nas_bench", "run", *arguments]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert running.stderr is not None
    asked, devices, loading, first = (running.stderr.readline() for _ in range(4))
    time.sleep(0.2)
    running.send_signal(number)
    _, err = running.communicate(timeout=300)
    assert asked == "smoke on sine: 1 row, seeds 0-7\n"
    assert devices == "sine trains on cpu: too small to gain from a GPU\n"
    assert loading == "sine: loading data\n"
    assert first.startswith("[1/8")
    assert running.returncode == code
    assert err.splitlines()[-1] == sentence

    assert status(["run", *arguments, "--json"]) == 0
    out, again = said(capsys)
    assert len(json.loads(out)["trials"]) == 8
    assert again.count(": ok") <= 7 - err.count(": ok")


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_a_strangers_method_task_and_trigger_run_under_ray(capsys, ray_running):
    for kind, name in (("method", "of_mine"), ("task", "rings"), ("trigger", "halved")):
        assert status(["new", kind, name]) == 0
    said(capsys)
    arguments = ["run", "--methods", "of_mine", "--tasks", "rings", "--seeds", "0", "--json"]
    arguments += ["--max-concurrent", "1", "--set", "schedule.when=halved[share=0.9]"]
    arguments += [f"--plugin={name}.py" for name in ("of_mine", "rings", "halved")]
    assert status(arguments) == 0
    trials = json.loads(said(capsys)[0])["trials"]
    assert [(trial["method"], trial["status"]) for trial in trials] == [
        ("of_mine", "ok"),
        ("fixed[size=seed]", "ok"),
        ("fixed", "ok"),
    ]
