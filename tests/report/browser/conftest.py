"""A real browser without network, and pages of made-up ledgers for it."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import synthetic
from playwright.sync_api import Browser, Page, expect, sync_playwright
from synthetic import trial

from nas_bench.report.content import content
from nas_bench.report.html import page
from nas_bench.results.ledger import Ledger
from nas_bench.trials.config import Twin

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

TIMEOUT = 30_000  # milliseconds: machines that run tests do other things too
SEEDS = 9

Open = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed; apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        expect.set_options(timeout=TIMEOUT)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Same target with twins, free growth, a second task with published numbers, a regression."""
    folder = tmp_path_factory.mktemp("ledger")
    ledger = synthetic.sweep(folder, seeds=SEEDS)
    for method in ("tiny", "gradmax"):
        for seed in range(SEEDS):
            twin = Twin(of=trial(method, seed).id, match="flops")
            synthetic.run(ledger, trial(method, seed, twin=twin))
    synthetic.sweep(folder, seeds=3, kind="free")
    for seed in range(6):
        for method in ("tiny", "random_growth", "fixed"):
            synthetic.run(ledger, trial(method, seed, task="mnist"))
            synthetic.run(ledger, trial(method, seed, task="diabetes"), regression=True)
    made = content(Ledger(folder).runs(), "made up")
    made["comparisons"].sort(key=lambda c: (c["task"] != "digits", c["kind"] != "same_target"))
    return made


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[str, Any]], Path]:
    """Writes the page of a content, once."""
    known: dict[str, Path] = {}
    folder = tmp_path_factory.mktemp("pages")

    def save(content: dict[str, Any]) -> Path:
        key = json.dumps(content)
        if key not in known:
            known[key] = folder / f"report-{len(known)}.html"
            known[key].write_bytes(page(content))
        return known[key]

    return save


@pytest.fixture
def opened(
    browser: Browser, shown: dict[str, Any], saved: Callable[[dict[str, Any]], Path]
) -> Iterator[Open]:
    """Opens pages offline; whatever the console or the network says of them is a failure."""
    complaints: list[str] = []
    contexts = []

    def open_page(
        state: str = "view=leaderboard", content: dict[str, Any] = shown, **options: Any
    ) -> Page:
        context = browser.new_context(**options)
        context.set_offline(True)
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(TIMEOUT)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("requestfailed", lambda request: complaints.append(request.url))
        tab.goto(f"{saved(content).as_uri()}#{state}")
        tab.locator("#footer p").wait_for(state="attached")
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
