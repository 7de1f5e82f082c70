"""A result is stale if behaviour or data is of another day, and not if code merely is."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import synthetic
from synthetic import trial

from nas_bench import plugins
from nas_bench.behaviour import Change, Scope, core_version, earlier
from nas_bench.discovery import PluginKind
from nas_bench.results.ledger import Ledger
from nas_bench.results.staleness import (
    described,
    is_stale,
    newest_data,
    outdated,
    shipped_versions,
    versions,
)
from nas_bench.results.summary import Summary, upgraded
from nas_bench.templates import METHOD

LOADED: dict[str, Any] = {
    "behaviour": {"core": 1, "method": versions("method")["tiny"], "task": 1},
    "resolved": {"method": {"exact": False}, "recipe": {"optimizer": "adam"}, "sites": ["linear"]},
}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    ledger = Ledger(tmp_path_factory.mktemp("results"))
    ledger.begin(trial())
    environment = {"data": "a", "sources": {"core": "0" * 16}}
    ledger.write(trial(), {"type": "loaded", "environment": environment, **LOADED})
    for record in synthetic.records(trial()):
        ledger.write(trial(), synthetic.as_dict(record))
    ledger.finish(trial())
    (run,) = ledger.runs()
    return run


@pytest.fixture
def today(result: Summary) -> Summary:
    """The result as today's code would write it."""
    return replace(result, behaviour={**result.behaviour, "core": core_version()})


def known(scope: Scope | None) -> tuple[Change, ...]:
    return Change(version=1, changed="first"), Change(version=2, changed="second", scope=scope)


def test_other_source_text_alone_ages_nothing(today: Summary) -> None:
    assert not is_stale(today)


@pytest.mark.parametrize(
    ("scope", "stale"),
    [
        (None, True),
        (Scope(methods=("tiny", "gradmax")), True),
        (Scope(methods=("gradmax",)), False),
        (Scope(methods=("tiny[exact=true]",)), False),
        (Scope(methods=("tiny[exact=false]",)), True),
        (Scope(sites=("convolution",)), False),
        (Scope(sites=("convolution", "linear")), True),
        (Scope(options={"schedule.where": ("best",)}), False),
        (Scope(options={"schedule.where": ("best", "each")}), True),
        (Scope(options={"recipe.optimizer": ("adam",)}), True),
        (Scope(options={"recipe.momentum": (0.9,)}), True),  # nobody knows this one's momentum
    ],
)
def test_a_change_of_the_core_reaches_what_lies_in_its_scope(
    result: Summary, scope: Scope | None, stale: bool
) -> None:
    assert is_stale(result, known=known(scope)) == stale


def test_a_later_version_counts_even_where_an_earlier_one_does_not_reach(result: Summary) -> None:
    changes = (*known(Scope(methods=("gradmax",))), Change(version=3, changed="third"))
    assert outdated(result, known=changes) == ["core"]


@pytest.mark.parametrize("part", ["core", "method", "task"])
def test_a_result_of_another_version_is_stale(today: Summary, part: str) -> None:
    other = replace(today, behaviour={**today.behaviour, part: 99})
    assert outdated(other) == [part]


def test_other_data_makes_stale(today: Summary) -> None:
    assert outdated(today, {"digits": "b"}) == ["data"]
    assert outdated(today, {"digits": "a"}) == outdated(today, {"mnist": "b"}) == []


def test_todays_data_is_that_of_the_latest_result(result: Summary) -> None:
    later = replace(result, finished="9999", environment={**result.environment, "data": "b"})
    assert newest_data([later, result]) == {"digits": "b"}
    assert is_stale(result, newest_data([later, result]))


def test_what_is_not_known_of_a_result_counts_as_reached(result: Summary) -> None:
    bare = replace(result, resolved={})
    assert is_stale(bare, known=known(Scope(sites=("convolution",))))
    assert described(bare).sites is None


def test_results_from_before_versions_have_that_of_their_cores_hash(result: Summary) -> None:
    (core,) = (name for name, version in earlier().core.items() if version == 1)
    old = {"schema": 1, "task": "digits[activation=tanh]", "environment": {}}
    known = upgraded({**old, "environment": {"sources": {"core": core}}})
    assert known["behaviour"] == {"core": 1, "method": 1, "task": 1}
    assert known["resolved"] == {"sites": ["linear"]}
    unknown = upgraded({**old, "environment": {"sources": {"core": "f" * 16}}})
    assert unknown["behaviour"] == {}
    assert is_stale(replace(result, behaviour={}))


@pytest.mark.parametrize("kind", ["method", "task"])
def test_versions_read_from_text_are_those_of_the_classes(kind: PluginKind) -> None:
    classes = {n: p.cls for n, p in plugins.plugins(kind).items() if p.cls is not None}
    built_in = {n: cls.version for n, cls in classes.items() if plugins.is_built_in(cls)}
    assert shipped_versions(kind) == built_in


def test_versions_of_plugin_files_that_are_loaded_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "_loaded", {})
    file = tmp_path / "aged.py"
    text = METHOD.replace("{name}", "aged").replace("{Name}", "Aged")
    file.write_text(
        text.replace("    summary:", "    version: ClassVar[int] = 3\n    summary:", 1)
    )
    plugins.load_path(file)
    assert versions("method")["aged"] == 3


@pytest.mark.parametrize("version", ["0", "True", '"2"', "1.5"])
def test_a_version_that_is_no_whole_number_is_refused(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "_loaded", {})
    file = tmp_path / "odd.py"
    text = METHOD.replace("{name}", "odd").replace("{Name}", "Odd")
    file.write_text(text.replace("    summary:", f"    version = {version}\n    summary:", 1))
    with pytest.raises(plugins.PluginError, match="use a whole number of at least 1"):
        plugins.load_path(file)


def test_versions_of_installed_plugins_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = METHOD.replace("{name}", "installed").replace("{Name}", "Installed")
    stated = "    version: ClassVar[int] = 2\n    summary:"
    (tmp_path / "stranger_of_age.py").write_text(text.replace("    summary:", stated, 1))
    metadata = tmp_path / "stranger_of_age-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: stranger-of-age\nVersion: 1\n"
    )
    entry = "[nas_bench.methods]\nstranger = stranger_of_age:Installed\n"
    (metadata / "entry_points.txt").write_text(entry)
    monkeypatch.syspath_prepend(tmp_path)
    assert versions("method")["installed"] == 2
