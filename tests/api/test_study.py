from pathlib import Path

import pytest

from nas_bench.api.selection import Selection
from nas_bench.api.study import read_study
from nas_bench.specs import InputError
from nas_bench.templates import METHOD
from nas_bench.trials.planning import plan

STUDY = """
protocol: mlp
methods: 'mine,tiny'
plugins: mine.py
tasks: digits
seeds: 0-2
data: data
results: out
schedule: {growths: 3}
"""


@pytest.fixture
def study(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr("nas_bench.plugins._loaded", {})
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "mine.py").write_text(METHOD.format(name="mine", Name="Mine"))
    (folder / "study.yaml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    return folder / "study.yaml"


def test_a_study_says_everything_and_its_paths_begin_at_its_folder(study):
    found = Selection(config=study).prepared()
    assert (found.results, found.data) == (study.parent / "out", study.parent / "data")
    assert found.plugin_paths == (study.parent / "mine.py",)
    protocol = found.changed_protocol()
    assert (protocol.name, protocol.seeds, protocol.tasks) == ("mlp", (0, 1, 2), ("digits",))
    assert protocol.methods == ("mine", "tiny")
    assert protocol.schedule.growths == 3


def test_what_is_typed_counts_more_than_the_study(study):
    typed = Selection(
        config=study, protocol="smoke", seeds="7", changes=("schedule.growths=2",),
        results=Path("there"), methods="tiny",
    ).prepared()  # fmt: skip
    protocol = typed.changed_protocol()
    assert (protocol.name, protocol.seeds, protocol.schedule.growths) == ("smoke", (7,), 2)
    assert (typed.results, protocol.methods) == (Path("there"), ("tiny",))


def test_the_command_of_a_study_selects_the_same_trials_without_it(study):
    from nas_bench.commands.plan import plan as verb

    found = Selection(config=study, seeds="0,4").prepared()
    command = found.command("plan")
    assert "--config" not in command
    assert command[command.index("--plugin") + 1] == "study/mine.py"
    context = verb.make_context("plan", command[2:])
    context.params.pop("as_json")
    again = Selection(**context.params).prepared()
    ids = [trial.id for trial in plan(found.changed_protocol())]
    assert ids == [trial.id for trial in plan(again.changed_protocol())]
    assert len(ids) == 12


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("sede: 1", "unknown protocol setting 'sede': did you mean seeds"),
        ("extends: lite", "a study has no extends; .*: write `protocol: lite`"),
        (
            "gpus_per_trial: 1",
            "a study has no gpus_per_trial; give --gpus-per-trial",
        ),
        ("results: 3", "results is 3, expected text"),
        ("results: ''", "results is '', expected text"),
        ("protocol: ''", "protocol is '', expected text"),
        ("plugins: ['']", r"plugins is \[''\], expected a path or a list of paths"),
        ("data: ~nosuchuser/x", "and there is none: write the path in full"),
        ("plugins: {a: b}", "plugins is {'a': 'b'}, expected a path or a list of paths"),
        ("no-name: 2", "unknown protocol setting .no-name."),
    ],
)
def test_what_a_study_may_not_say_is_one_sentence(line, sentence, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(line)
    with pytest.raises(InputError, match=sentence):
        read_study(path)
