import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from nas_bench import plugins
from nas_bench.specs import InputError
from nas_bench.trials.config import Budget
from nas_bench.trials.inputs import budget, read_yaml, seeds, setting
from nas_bench.trials.protocol import lineage, load_protocol, protocol_names

MINIMAL = {
    "name": "mine",
    "version": 1,
    "summary": "one line",
    "kind": "free",
    "tasks": ["digits"],
    "methods": ["tiny"],
    "seeds": [0],
    "budget": {"epochs": 5},
    "schedule": {"where": "best"},
}


def written(folder, text):
    path = folder / "mine.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", protocol_names())
def test_every_protocol_of_the_package_is_valid_and_has_its_files_name(name):
    assert load_protocol(name).name == name


def test_the_protocols_of_the_seed_paper_and_of_the_leaderboard_are_there():
    figures = {f"tiny-fig{number}" for number in (5, 11, 12, 13, 14, 15, 16)}
    named = {"smoke", "lite", "standard", "standard-free", "gradmax-student-teacher"}
    assert figures | named <= set(protocol_names())


def test_smoke_grows_at_least_twice_to_the_same_target_with_three_seeds():
    smoke = load_protocol("smoke")
    assert (smoke.kind, smoke.tasks, len(smoke.seeds)) == ("same_target", ("digits",), 3)
    assert (smoke.schedule.growths or 0) >= 2
    assert smoke.twins == ()


def test_a_protocol_from_a_file_has_its_numbers(tmp_path):
    path = written(
        tmp_path,
        """
        {name: mine, version: 1, summary: one line, kind: free, tasks: digits,
         methods: "tiny,fixed", seeds: 0-2, budget: 1e9 flops,
         schedule: {where: best, max_flops: 1e5},
         recipe: {learning_rate: 1e-3}}
        """,
    )
    protocol = load_protocol(path)
    assert protocol.budget == Budget(flops=1e9)
    assert protocol.schedule.max_flops == 1e5
    assert protocol.recipe == {"learning_rate": 1e-3}
    assert protocol.seeds == (0, 1, 2)
    assert protocol.methods == ("tiny", "fixed")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("redraw_dead=1", "redraw_dead: expected true or false, not 1"),
        ("redraw_dead=yes", "redraw_dead: expected true or false, not 'yes'"),
        ("threads=true", "threads: expected a whole number, not True"),
        ('threads="2"', "threads: expected a whole number, not '2'"),
        ("seeds=[true,false]", "seeds: expected a whole number, not True"),
        ('seeds=["3"]', "seeds: expected a whole number, not '3'"),
        ('budget={"steps":true}', "budget.steps: expected a whole number, not True"),
        ('budget={"epochs":"3"}', "budget.epochs: expected a number, not '3'"),
        ("schedule.first=false", "schedule.first: expected a number, not False"),
        ('schedule.neurons="3"', "schedule.neurons: expected a whole number, not '3'"),
        (
            "schedule.max_parameters=true",
            "schedule.max_parameters: expected a whole number, not T",
        ),
        ('validation="0.2"', "validation: expected a number, not '0.2'"),
    ],
)
def test_text_is_no_number_and_a_number_neither_yes_nor_no(text, words):
    with pytest.raises(InputError) as error:
        load_protocol("smoke", [setting(text)])
    assert words in str(error.value)


def test_whole_numbers_may_be_written_as_fractions_and_seeds_and_budgets_as_text():
    changes = [setting("threads=2.0"), {"budget": "1e3 steps", "seeds": "0-2"}]
    protocol = load_protocol("smoke", [*changes, setting("schedule.first=1")])
    assert (protocol.threads, protocol.budget.steps, protocol.schedule.first) == (2, 1000, 1.0)
    assert load_protocol("smoke", [{"seeds": 3, "budget": {"steps": 1e3}}]).seeds == (3,)


def test_a_named_pipe_is_no_protocol(tmp_path):
    path = tmp_path / "pipe.yaml"
    os.mkfifo(path)
    with pytest.raises(InputError, match="it is no regular file"):
        load_protocol(str(path))


def test_later_changes_win_and_leave_the_rest():
    changes = [
        {"schedule": {"every": 3}, "seeds": "0-4", "threads": 2},
        setting("schedule.every=4"),
        {"seeds": "7"},
    ]
    protocol = load_protocol("smoke", changes)
    assert protocol.schedule.every == 4
    assert protocol.schedule.growths == load_protocol("smoke").schedule.growths
    assert protocol.seeds == (7,)
    assert protocol.threads == 2


def test_a_new_budget_replaces_the_unit_too():
    protocol = load_protocol("smoke", [setting("budget.steps=200")])
    assert protocol.budget == Budget(steps=200)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sede": 1}, "unknown protocol setting 'sede': did you mean seeds"),
        ({"schedule": {"wher": "all"}}, "unknown setting of schedule 'wher': did you mean where"),
        ({"budget": {"epoch": 1}}, "unknown setting of budget 'epoch': did you mean epochs"),
        ({"kind": "fre"}, "kind: expected 'same_target' or 'free', not 'fre'"),
        ({"schedule": {"every": -1}}, "schedule.every: expected a number of at least 0, not -1"),
        ({"schedule": {"max_parameters": "seed"}}, "schedule.max_parameters"),
        ({"schedule": {"where": "best"}}, "the same target needs schedule.where"),
        ({"schedule": {"growths": None}}, "needs one of schedule.growths and widths"),
        ({"schedule": {"widths": [[2, 2]]}}, "needs one of schedule.growths and widths"),
        (
            {"kind": "free", "schedule": {"growths": None, "widths": [[2, 2]]}},
            "free growth takes schedule.neurons, not widths",
        ),
        (
            {"kind": "free", "schedule": {"growths": None, "every": 0}},
            "with schedule.every: 0 free growth needs schedule.growths",
        ),
        ({"seeds": []}, "seeds: expected a list with at least 1, not []"),
        ({"seeds": [-1]}, "seeds.0: expected a number of at least 0, not -1"),
        ({"seeds": -1}, "seeds '-1' are not of the form 0-9 or 0,2,5"),
        ({"methods": []}, "methods: expected a list with at least 1, not []"),
        ({"methods": 3}, "methods: expected a list, such as [1,2], not 3"),
        ({"schedule": 3}, "schedule: expected a group of settings, each of the form name: value"),
        ({"schedule": {"widths": [3]}}, "schedule.widths.0: expected a list, such as [1,2], not"),
        ({"recipe": 3}, "recipe: expected a group of settings"),
        ({"budget": 3}, "budget '3' is not of the form 10 epochs, 2000 steps, 1e12 flops or"),
        ({"budget": None}, "budget"),
        ({"budget": {"epochs": float("inf")}}, "budget.epochs: expected a finite number"),
        ({"budget": {"steps": 2.5}}, "budget.steps: expected a whole number, not 2.5"),
        ({"summary": 3}, "summary: expected text, not 3"),
        ({"threads": "many"}, "threads: expected a whole number, not 'many'"),
        ({"budget": {"epochs": 1, "steps": 1}}, "exactly one of epochs, steps, flops or"),
        ({"version": "x"}, "version: expected a whole number, not 'x'"),
        ({"twins": ["step"]}, "twins.0: expected 'steps' or 'flops', not 'step'"),
    ],
)
def test_a_change_that_does_not_fit_gets_one_sentence(change, sentence):
    with pytest.raises(InputError) as caught:
        load_protocol("smoke", [change])
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_protocol_gets_its_neighbour():
    with pytest.raises(InputError, match="unknown protocol 'smok': did you mean smoke"):
        load_protocol("smok")


@pytest.mark.parametrize("text", ["a: [", "- 1", "5"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    with pytest.raises(InputError, match=r"mine\.yaml is not"):
        load_protocol(written(tmp_path, text))


def test_a_file_of_which_nothing_is_left_changes_nothing_and_is_no_protocol(tmp_path):
    path = written(tmp_path, "# seeds: 0-9\n")
    assert load_protocol("smoke", [read_yaml(Path(path))]) == load_protocol("smoke")
    with pytest.raises(InputError, match="name: it is missing"):
        load_protocol(path)


@pytest.mark.parametrize("name", ["./pipe", "folder/mine", "/dev/null"])
def test_a_path_that_names_no_yaml_file_is_told_so(name):
    with pytest.raises(InputError, match=r"its name must end in \.yaml"):
        load_protocol(name)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*No such file"):
        load_protocol(str(tmp_path / "mine.yaml"))


def test_seeds_are_ranges_and_lists():
    assert seeds("0-3") == (0, 1, 2, 3)
    assert seeds("0,2,5") == (0, 2, 5)
    assert seeds("0-2, 7,1") == (0, 1, 2, 7)


@pytest.mark.parametrize("text", ["", "3-1", "a", "-1", "1.5", "0-", "0-9999999999", "٣"])
def test_other_seeds_are_refused(text):
    with pytest.raises(InputError, match="are not of the form 0-9 or 0,2,5"):
        seeds(text)


@pytest.mark.parametrize("text", ["0-99999999", ",".join(f"{i}0000-{i}9999" for i in range(9))])
def test_seeds_are_counted_before_they_are_written_out(text):
    with pytest.raises(InputError, match="are more than 10000: ask for fewer"):
        seeds(text)


def test_budgets_have_a_number_and_a_unit():
    assert budget("10 epochs") == budget("10epochs") == Budget(epochs=10)
    assert budget("0.5 epoch") == Budget(epochs=0.5)
    assert budget("2000 steps") == Budget(steps=2000)
    assert budget("1e12 FLOPs") == budget(" 1e12 flops ") == Budget(flops=1e12)
    assert budget("30 seconds") == budget("30 second") == Budget(seconds=30)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("10", "is not of the form 10 epochs"),
        ("ten epochs", "is not of the form 10 epochs"),
        ("10 epochen", "did you mean epochs"),
        ("20 minutes", "times are given in seconds: 1200 seconds"),
        ("1.5 Hours", "times are given in seconds: 5400 seconds"),
        ("1 day", "times are given in seconds: 86400 seconds"),
        ("1e13 steps", "steps: expected a number of at most 1e+12"),
        ("-5 epochs", "greater than 0"),
        ("2.5 steps", "expected a whole number"),
        ("1e999 flops", "expected a finite number"),
    ],
)
def test_other_budgets_are_refused(text, sentence):
    with pytest.raises(InputError) as caught:
        budget(text)
    assert sentence in str(caught.value)


def test_a_setting_is_json_or_text():
    assert setting("schedule.every=1e-3") == {"schedule": {"every": 1e-3}}
    assert setting("schedule.widths=[[2,4]]") == {"schedule": {"widths": [[2, 4]]}}
    assert setting("schedule.where=all") == {"schedule": {"where": "all"}}


@pytest.mark.parametrize("text", ["schedule.every", "=5", "a..b=5", "a b=5"])
def test_what_is_no_setting_is_refused(text):
    with pytest.raises(InputError, match="is not of the form key=value"):
        setting(text)


def extending(folder, base, file="mine.yaml", **values):
    own = {"name": "mine", "version": 1, "summary": "one line", "extends": base, **values}
    kept = {key: value for key, value in own.items() if value is not None}
    (folder / file).write_text(json.dumps(kept))
    return str(folder / file)


def test_intervals_between_records_are_refused_with_what_to_do_instead(tmp_path):
    cure = "no evaluate_every any more, but it is 2: leave it out, and say with evaluations"
    with pytest.raises(InputError, match=cure):
        load_protocol("lite", [{"evaluate_every": 2}])
    with pytest.raises(InputError, match=cure):
        load_protocol(extending(tmp_path, "lite", evaluate_every=2))


@pytest.mark.parametrize(
    ("name", "value"),
    [("evaluations", 0), ("evaluations", 1001), ("full_evaluations", 0), ("full_evaluations", 9)],
)
def test_grids_have_limits(name, value):
    with pytest.raises(InputError, match=f"{name}"):
        load_protocol("lite", [{name: value}])


def test_lite_reset_is_lite_but_for_its_optimiser():
    reset, lite = load_protocol("lite-reset"), load_protocol("lite")
    own = {name: getattr(reset, name) for name in ("name", "summary", "claim")}
    assert reset == lite.model_copy(update={**own, "optimizer_policy": "reset"})
    assert reset.claim != lite.claim


def test_a_protocol_has_the_values_of_what_it_extends_and_its_own(tmp_path):
    changes = {"budget": "900 steps", "schedule": {"growths": 2}}
    mine, lite = load_protocol(extending(tmp_path, "lite", **changes)), load_protocol("lite")
    assert (mine.name, mine.budget, mine.tasks) == ("mine", Budget(steps=900), lite.tasks)
    assert mine.schedule == lite.schedule.model_copy(update={"growths": 2})


def test_a_path_is_relative_to_the_file_and_chains_are_followed(tmp_path):
    (tmp_path / "deeper").mkdir()
    extending(tmp_path, "smoke", "base.yaml", seeds="4")
    path = extending(tmp_path, "../base.yaml", "deeper/mine.yaml", evaluations=3)
    assert list(lineage(path)) == [path, str(tmp_path / "base.yaml"), "smoke"]
    protocol = load_protocol(path)
    assert (protocol.seeds, protocol.evaluations) == ((4,), 3)
    assert protocol.schedule == load_protocol("smoke").schedule


@pytest.mark.parametrize(
    ("base", "changes", "said"),
    [
        ("mine.yaml", {}, r"extend each other in a circle: \S+mine.yaml → \S+mine.yaml$"),
        ("lit", {}, r"mine.yaml extends lit: unknown protocol 'lit': did you mean lite"),
        ("gone.yaml", {}, r"mine.yaml extends \S+gone.yaml: cannot read"),
        (3, {}, "extends is 3, expected the name of a protocol or the path of a YAML file"),
        ("lite", {"version": None}, "its own name, version, summary: version is missing"),
        ("lite", {"name": None, "summary": None}, "name and summary are missing"),
        ("lite", {"budgets": 3}, "unknown protocol setting 'budgets'"),
    ],
)
def test_what_cannot_be_extended_is_one_sentence(tmp_path, base, changes, said):
    with pytest.raises(InputError, match=said):
        load_protocol(extending(tmp_path, base, **changes))


SETTINGS = {
    # as the papers say them: E.1, E.2, E.3, Algorithm 3, GradMax's notebook
    "tiny-fig11": {
        "optimizer": "sgd", "learning_rate": 1e-4, "batch_size": 100, "batch_growth": False,
        "seed": (1, 1), "target": (110, 51), "growths": 6, "has": "tiny[significance=false]",
    },
    "tiny-fig12": {"growths": 6, "has": "fixed[widths=[1000,1000]]", "learning_rate": 1e-4},
    "tiny-fig13": {"growths": 6, "has": "tiny[significance=false]", "twins": ("steps",)},
    "tiny-fig14": {"batch_size": 500, "batch_growth": True, "has": "tiny"},
    "tiny-fig15": {
        "optimizer": "adam", "learning_rate": 1e-3, "batch_size": 100, "neurons": 5,
        "where": "best", "every": 50, "budget": "2300 steps", "seed": (1,) * 8,
        "has": "tiny[projection=false,significance=false]",
    },
    "tiny-fig16": {
        "optimizer": "adam", "learning_rate": 1e-3, "batch_size": 100, "neurons": 5,
        "where": "best", "every": 50, "budget": "4025 steps",
        "target": (91, 76, 41, 11, 6, 3, 1, 1),
        "has": "tiny[significance=false]",
    },
    "tiny-fig5": {
        "optimizer": "adam", "learning_rate": 1e-4, "budget": "15 epochs", "every": 0,
        "has": "tiny",
    },
    "gradmax-student-teacher": {
        "optimizer": "sgd", "learning_rate": 0.1, "seed": (5,), "target": (10,), "growths": 5,
        "every": 200, "budget": "1500 steps", "has": "gradmax",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_the_protocols_of_papers_run_what_the_papers_say(name):
    protocol = load_protocol(name)
    (spec,) = protocol.tasks
    task = plugins.task(spec)
    schedule = protocol.schedule
    asked = (*protocol.methods, *protocol.baselines)
    found = {
        **asdict(replace(task.recipe, **protocol.recipe)),
        "seed": task.seed_widths,
        "target": task.target_widths,
        "growths": schedule.growths or len(schedule.widths or ()),
        "neurons": schedule.neurons,
        "where": schedule.where,
        "every": schedule.every,
        "budget": str(protocol.budget),
        "twins": protocol.twins,
    }
    expected = dict(SETTINGS[name])
    has = expected.pop("has")
    assert {key: found[key] for key in expected} == expected
    assert has in {plugins.canonical(method, "method") for method in asked}


def test_what_a_protocol_has_otherwise_than_its_source_is_said():
    for name in protocol_names():
        protocol = load_protocol(name)
        assert bool(protocol.departures) == bool(protocol.source), name
        assert all(text for d in protocol.departures for text in (d.paper, d.here, d.why))


PER_TASK = {
    "digits": {"budget": "2e7 flops", "schedule": {"every": 3}, "recipe": {"batch_size": 16}},
    "wine": {"methods": "fixed", "budget": "300 steps"},
}


def test_a_task_has_what_is_its_own_and_the_protocol_s_rest():
    protocol = load_protocol("smoke", [{"per_task": PER_TASK}])
    digits, wine = protocol.on("digits"), protocol.on("wine")
    assert (digits.budget, digits.methods) == (Budget(flops=2e7), protocol.methods)
    assert digits.schedule == protocol.schedule.model_copy(update={"every": 3})
    assert digits.recipe == {"batch_size": 16}
    assert (wine.budget, wine.methods) == (Budget(steps=300), ("fixed",))
    assert (wine.schedule, wine.recipe) == (protocol.schedule, protocol.recipe)
    assert protocol.on("iris") == protocol.model_copy(update={"per_task": {}})


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({"budget": "9 steps"}, {"digits": {"budget"}, "wine": {"budget"}}),
        ({"methods": "tiny"}, {"wine": {"methods"}}),
        ({"schedule": {"every": 7}}, {"digits": {"every"}}),
        ({"schedule": {"growths": 3}}, {}),
        ({"recipe": {"batch_size": 8}}, {"digits": {"batch_size"}}),
    ],
)
def test_what_is_changed_is_changed_for_all_tasks(change, left):
    """`left` names what is then no longer a task's own."""
    protocol = load_protocol("smoke", [{"per_task": PER_TASK}, change])
    for task, own in PER_TASK.items():
        gone = left.get(task, set())
        expected = {
            key: {k: v for k, v in value.items() if k not in gone}
            if isinstance(value, dict)
            else value
            for key, value in own.items()
            if key not in gone
        }
        assert protocol.per_task[task] == expected
        assert protocol.on(task).model_dump(include=set(change)) == load_protocol(
            "smoke", [{"per_task": {task: expected}}, change]
        ).on(task).model_dump(include=set(change))


def test_single_settings_of_a_task_are_changed_by_what_comes_later(tmp_path):
    changes = [{"per_task": PER_TASK}, {"per_task": {"digits": {"schedule": {"growths": 2}}}}]
    protocol = load_protocol("smoke", changes)
    assert protocol.per_task["digits"]["schedule"] == {"every": 3, "growths": 2}
    assert protocol.per_task["wine"] == PER_TASK["wine"]
    both = load_protocol("smoke", [changes[0], {"budget": "9 steps", **changes[1]}])
    assert both.on("digits").budget == Budget(steps=9)
    assert both.on("digits").schedule.growths == 2


@pytest.mark.parametrize(
    ("own", "sentence"),
    [
        (3, "per_task is 3, expected settings by task"),
        ({"digits": 3}, "per_task of digits is 3, expected settings"),
        ({"digits": {"seeds": "3"}}, "unknown setting of a task 'seeds'"),
        ({"digits": {"schedule": {"evry": 3}}}, "unknown setting of schedule 'evry'"),
        ({"digits": {"budget": "3 fops"}}, "unknown unit of a budget 'fops'"),
        ({"digits": {"schedule": {"every": "3"}}}, "per_task digits: schedule.every: expected a"),
        ({"digits": {"schedule": {"where": "best"}}}, "per_task digits: the same target needs"),
    ],
)
def test_settings_of_a_task_are_as_strict_as_those_of_all(own, sentence):
    with pytest.raises(InputError) as error:
        load_protocol("smoke", [{"per_task": own}])
    assert sentence in str(error.value)


def test_what_varies_is_crossed():
    vary = {"schedule.when": ["every", "significant"], "optimizer_policy": ["reset", "zeros"]}
    protocol = load_protocol("smoke", [{"vary": vary}])
    found = [(p.schedule.when, p.optimizer_policy) for p in protocol.variations()]
    assert found == [(w, p) for w in vary["schedule.when"] for p in vary["optimizer_policy"]]
    assert not any(p.vary for p in protocol.variations())
    fixed = load_protocol("smoke", [{"vary": vary}, setting("schedule.when=plateau")])
    assert fixed.vary == {"optimizer_policy": ("reset", "zeros")}
    assert {p.schedule.when for p in fixed.variations()} == {"plateau"}
    smoke = load_protocol("smoke")
    assert smoke.variations() == [smoke]


@pytest.mark.parametrize(
    ("vary", "sentence"),
    [
        (3, "vary is 3, expected lists of values by setting"),
        ({"budget": ["3 steps"]}, "unknown setting to vary 'budget'"),
        ({"schedule.wen": ["every"]}, "unknown setting to vary 'schedule.wen': did you mean"),
        ({"optimizer_policy": "reset"}, "vary.optimizer_policy is 'reset', expected a list"),
        ({"optimizer_policy": []}, "vary.optimizer_policy is [], expected a list of values"),
        ({"optimizer_policy": ["reset", "rset"]}, "smoke, vary: optimizer_policy: expected"),
        ({"schedule.every": [1, "2"]}, "smoke, vary: schedule.every: expected a number, not '2'"),
    ],
)
def test_what_varies_is_a_list_of_valid_values(vary, sentence):
    with pytest.raises(InputError) as error:
        load_protocol("smoke", [{"vary": vary}])
    assert sentence in str(error.value)
