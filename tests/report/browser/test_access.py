from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

pytestmark = pytest.mark.slow


def serious(tab: Any) -> list[str]:
    found = Axe().run(tab).response["violations"]
    return [
        f"{violation['id']}: {node['html'][:200]}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_view_has_a_serious_obstacle(opened: Any, scheme: str) -> None:
    tab = opened("twins=yes", color_scheme=scheme)
    for view in [link.get_attribute("data-key") for link in tab.locator("nav a").all()]:
        tab.locator(f"[data-key='{view}']").click()
        expect(tab.locator(f"[data-key='{view}']")).to_have_attribute("aria-current", "page")
        assert serious(tab) == [], view


def test_the_panel_has_no_serious_obstacle(opened: Any, shown: dict[str, Any]) -> None:
    trial = shown["comparisons"][0]["rows"][1]["trials"][0]
    assert serious(opened(f"trial={trial['id']}")) == []
    assert serious(opened("rows=tiny")) == []


def test_all_that_can_be_pressed_shows_its_focus(opened: Any) -> None:
    tab = opened()
    for _ in range(12):
        tab.keyboard.press("Tab")
        style = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert style != "none"
