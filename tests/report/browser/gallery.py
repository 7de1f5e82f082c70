"""Screenshots of every view of made-up ledgers, as a person would look at them.

    python tests/report/browser/gallery.py /tmp/shots
    python tests/report/browser/gallery.py /tmp/shots --only ties,one-seed --widths 390
    python tests/report/browser/gallery.py /tmp/shots --folder results/published

Each ledger has a name, and is written by the `Ledger` itself. Every view is opened at three
widths, light and dark, in Chromium without network. What axe finds to be a serious obstacle, what
the console says and a page that is wider than its window are printed, and make the exit code 1.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import synthetic
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from synthetic import trial

from nas_bench.report.content import content
from nas_bench.report.html import page
from nas_bench.results import files
from nas_bench.results.ledger import Ledger
from nas_bench.trials.config import Budget, TrialConfig, Twin
from nas_bench.trials.messages import Record, as_dict

VIEWS = (
    "overview", "leaderboard", "pareto", "anytime", "growth", "pairwise", "budget", "failures",
    "provenance",
)  # fmt: skip
WIDTHS = (1440, 768, 390)
FEW = ("tiny", "gradmax", "random_growth", "fixed")


def trials(
    ledger: Ledger,
    methods: Sequence[str] = FEW,
    seeds: int = 10,
    altered: Callable[[Record], Record] = lambda record: record,
    **fields: Any,
) -> None:
    """Trials that end well, with records that may be altered."""
    for method in methods:
        for seed in range(seeds):
            put(ledger, trial(method, seed, **fields), altered)


def put(
    ledger: Ledger,
    config: TrialConfig,
    altered: Callable[[Record], Record] = lambda record: record,
    environment: dict[str, Any] = synthetic.ENVIRONMENT,
) -> None:
    """One trial that ends well, with three growths at two sites."""
    ledger.write(config, {"type": "started", "environment": environment})
    for record in synthetic.records(config):
        if not config.method.startswith("fixed") and record.step in (30, 60, 90):
            for site in ("body.7.conv1", "body.7.conv2"):
                event = replace(synthetic.growth(record.step, added=4), site=site)
                ledger.write(config, as_dict(event))
        ledger.write(config, as_dict(altered(record)))
    ledger.finish(config)


def scored(accuracy: float) -> Callable[[Record], Record]:
    """Records whose accuracies are what is given."""
    return lambda r: replace(
        r, train_accuracy=accuracy, validation_accuracy=accuracy, test_accuracy=accuracy
    )


def less(accuracy: float) -> Callable[[Record], Record]:
    """Records whose accuracies are less by what is given, at that of the test split."""
    return lambda record: scored(max((record.test_accuracy or 0) - accuracy, 0.01))(record)


def lost(loss: float) -> Callable[[Record], Record]:
    """Records of a regression whose losses are what is given."""
    return lambda r: replace(
        r, train_loss=loss, validation_loss=loss * (2 - r.step / 180), test_loss=loss,
        train_accuracy=None, validation_accuracy=None, test_accuracy=None,
    )  # fmt: skip


def everything(ledger: Ledger) -> None:
    """Twins, free growth, several tasks, a failed seed, a regression."""
    synthetic.sweep(ledger.folder, seeds=10)
    for method in ("tiny", "gradmax"):
        for seed in range(10):
            twin = Twin(of=trial(method, seed).id, match="flops")
            put(ledger, trial(method, seed, twin=twin))
    synthetic.sweep(ledger.folder, seeds=3, kind="free")
    trials(ledger, task="mnist", seeds=6)
    trials(ledger, task="diabetes", seeds=6, altered=lost(0.3))


def one_seed(ledger: Ledger) -> None:
    """Nothing is testable and nothing has a spread."""
    trials(ledger, seeds=1)


def ties(ledger: Ledger) -> None:
    """All methods have the same scores."""
    trials(ledger, altered=scored(0.9))


def all_failed(ledger: Ledger) -> None:
    """No trial has a result."""
    for method in FEW:
        for seed in range(3):
            synthetic.fail(ledger, trial(method, seed))


def nan(ledger: Ledger) -> None:
    """The files of one method are damaged, and a seed of another one."""
    trials(ledger)
    for place in ledger.folder.rglob("run.json"):
        if "gradmax" in str(place) or ("random" in str(place) and place.parent.name == "s0"):
            place.write_text('{"score": NaN}')


def mixed_protocols(ledger: Ledger) -> None:
    """The same methods under two protocols, two versions of one, and two budgets."""
    trials(ledger, seeds=6)
    trials(ledger, seeds=6, protocol="lite")
    trials(ledger, seeds=6, version=2)
    trials(ledger, seeds=6, budget=Budget(flops=5e9))


def forty_methods(ledger: Ledger) -> None:
    """Equal costs and rising scores; names that sort as the scores do."""
    for number in range(40):
        method = "fixed" if number == 20 else f"tiny[k={number:02d}]"
        trials(ledger, [method], 6, less(0.05 - number / 400))


def long_name(ledger: Ledger) -> None:
    """A name of 200 characters without a place to break."""
    trials(ledger, [*FEW, "w" * 200], seeds=6)


def script(ledger: Ledger) -> None:
    """Names that are markup."""
    trials(ledger, [*FEW, "<script>document.title='owned'</script>"], seeds=6)


def right_to_left(ledger: Ledger) -> None:
    """Names that are written from right to left, and marks that turn what follows."""
    trials(ledger, [*FEW, "שיטה", "\u202eright to left"], seeds=6)


def extreme_values(ledger: Ledger) -> None:
    """Losses over twenty-four powers of ten."""
    for method, loss in zip(FEW, (1e-14, 1e-10, 0.3, 5.8e8), strict=True):
        trials(ledger, [method], altered=lost(loss), task="diabetes")


def two_tasks(ledger: Ledger) -> None:
    """Mean ranks without critical differences."""
    for task in ("digits", "iris"):
        trials(ledger, seeds=6, task=task)


def seven_tasks(ledger: Ledger) -> None:
    """Mean ranks with critical differences, and profiles of performance."""
    for n, task in enumerate(("digits", "iris", "wine", "mnist", "breast_cancer", "spirals", "x")):
        for m, method in enumerate(FEW):
            trials(ledger, [method], 6, less(((m + n // 3) % 4) / 50), task=task)


def stale(ledger: Ledger) -> None:
    """Data that has changed since."""
    for method in FEW:
        for seed in range(6):
            data = "old" if method == "tiny" else "new"
            put(ledger, trial(method, seed), environment=synthetic.ENVIRONMENT | {"data": data})


def mixed_code(ledger: Ledger) -> None:
    """Seeds of one row that ran on different data and machines."""
    for method in FEW:
        for seed in range(6):
            place = {"data": f"{seed % 2}", "python": f"3.1{seed % 2}", "shared_device": True}
            put(ledger, trial(method, seed), environment=synthetic.ENVIRONMENT | place)


def partial_seeds(ledger: Ledger) -> None:
    """Rows of four and of nine of ten seeds; failures of one."""
    trials(ledger, ["tiny", "random_growth"])
    trials(ledger, ["fixed"], 4)
    trials(ledger, ["gradmax"], 9)
    synthetic.fail(ledger, trial("gradmax", 9))


def not_applicable(ledger: Ledger) -> None:
    """A method that refuses the network beside others, and a task that all refuse."""
    trials(ledger, seeds=6)
    synthetic.refuse(ledger, trial("net2net"))
    for method in ("net2net", "splitting"):
        synthetic.refuse(ledger, trial(method, task="iris"))


LEDGERS: dict[str, Callable[[Ledger], None]] = {
    make.__name__.replace("_", "-"): make
    for make in (
        everything, one_seed, ties, all_failed, nan, mixed_protocols, forty_methods, long_name,
        script, right_to_left, extreme_values, two_tasks, seven_tasks, stale, mixed_code,
        partial_seeds, not_applicable,
    )
}  # fmt: skip


def made(name: str, folder: Path) -> dict[str, Any]:
    """What a report shows of the ledger of this name, written into an empty folder."""
    LEDGERS[name](Ledger(folder))
    return shown(folder)


def shown(folder: Path) -> dict[str, Any]:
    """What a report shows of a results folder."""
    found = Ledger(folder).contents()
    return content(found.runs, folder.name, problems=found.damage)


def shots(browser: Browser, html: Path, widths: Sequence[int]) -> Iterator[str]:
    """Writes the pictures of a page beside it, and says what is wrong with it."""
    for width in widths:
        for scheme in ("light", "dark"):
            context = browser.new_context(
                viewport={"width": width, "height": 900 if width > 500 else 844},
                color_scheme=scheme,
            )
            context.set_offline(True)
            said: list[str] = []
            tab = context.new_page()
            tab.on("pageerror", lambda error, said=said: said.append(str(error)))
            tab.on("console", lambda message, said=said: said.append(message.text))
            tab.goto(html.as_uri())
            tab.locator("#footer p").wait_for(state="attached")
            for view in VIEWS if tab.locator("nav").count() else ():
                tab.locator(f"nav a[data-key='view:{view}']").click()
                tab.locator(f"nav [aria-current][data-key='view:{view}']").wait_for()
                picture = html.parent / f"{html.stem}-{view}-{width}-{scheme}.png"
                tab.screenshot(path=picture, full_page=True)
                said += obstacles(tab)
                yield from (f"{picture.stem}: {each}" for each in said)
                said.clear()
            context.close()


def obstacles(tab: Page) -> Iterator[str]:
    """What axe finds serious, and whether the page has to be scrolled sideways."""
    for violation in Axe().run(tab).response["violations"]:
        if violation["impact"] in ("serious", "critical"):
            yield f"{violation['id']}: {violation['nodes'][0]['html'][:160]}"
    if tab.evaluate("document.documentElement.scrollWidth > innerWidth"):
        yield "wider than its window"


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the pages, and the pictures of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path, help="folder for pages and pictures")
    parser.add_argument("--only", default=",".join(LEDGERS), help="names of ledgers, with commas")
    parser.add_argument("--folder", type=Path, help="a results folder, instead of made-up ones")
    parser.add_argument("--widths", default=",".join(map(str, WIDTHS)))
    options = parser.parse_args(arguments)
    options.target.mkdir(parents=True, exist_ok=True)
    files.synchronise = lambda path: None  # the disk may be slow, and nothing is kept
    widths = [int(width) for width in options.widths.split(",")]
    wrong = 0
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as temporary:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name in [options.folder.name] if options.folder else options.only.split(","):
            found = shown(options.folder) if options.folder else made(name, Path(temporary) / name)
            html = options.target / f"{name}.html"
            html.write_bytes(page(found))
            for problem in shots(browser, html, widths):
                print(problem, flush=True)
                wrong += 1
        browser.close()
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
