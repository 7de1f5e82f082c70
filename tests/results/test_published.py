"""The results that come with the repository: read by version, aged only by what reaches them."""

from pathlib import Path

import pytest
import torch
from behaviour import guard

from nas_bench import plugins
from nas_bench.behaviour import Change, Scope, changes, core_version, earlier
from nas_bench.growth import find_sites
from nas_bench.results.ledger import Ledger
from nas_bench.results.reading import Run
from nas_bench.results.staleness import is_stale

PUBLISHED = Path(__file__).parents[2] / "results" / "published"


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return Ledger(PUBLISHED).glances()


def current(runs: list[Run]) -> list[Run]:
    """Whole results of today's behaviour."""
    found = [run for run in runs if run.status == "ok" and not is_stale(run)]
    assert len(found) > 300
    return found


def stale(runs: list[Run], scope: Scope | None) -> list[Run]:
    bump = Change(version=core_version() + 1, changed="a test", scope=scope)
    return [run for run in current(runs) if is_stale(run, known=(*changes(), bump))]


def test_they_are_few_files_and_whole(runs: list[Run]) -> None:
    assert [run.place for run in runs if run.problems] == []
    assert not list(PUBLISHED.rglob("run.json"))
    assert sum(path.is_file() for path in PUBLISHED.rglob("*")) < 250


def test_their_page_is_one_file_that_opens_at_once() -> None:
    page = PUBLISHED / "report" / "report.html"
    assert 100_000 < page.stat().st_size <= 1_200_000


def test_a_bump_without_a_scope_ages_all(runs: list[Run]) -> None:
    assert stale(runs, None) == current(runs)


@pytest.mark.parametrize("method", ["fixed", "net2net"])
def test_a_bump_with_a_scope_ages_only_what_lies_inside(runs: list[Run], method: str) -> None:
    found = stale(runs, Scope(methods=(method,)))
    assert {run.method.partition("[")[0] for run in found} == {method}
    convolutional = stale(runs, Scope(methods=(method,), sites=("convolution",)))
    assert {run.task.partition("[")[0] for run in convolutional} <= {"cifar100", "image_arrays"}
    reset = stale(runs, Scope(methods=(method,), options={"optimizer_policy": ("reset",)}))
    assert {run.config.optimizer_policy for run in reset if run.config} <= {"reset"}


def test_the_kinds_of_sites_of_earlier_results_are_those_of_the_tasks() -> None:
    for name, shape in guard.EXAMPLES.items():
        if name in earlier().sites:
            task = plugins.task(name)
            sites = find_sites(task.network(task.seed_widths), torch.zeros(2, *shape))
            kinds = {kind for site in sites if task.grows(site.name) for kind in site.kinds}
            assert set(earlier().sites[name]) == kinds, name
