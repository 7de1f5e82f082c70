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


CONTRAST = """text => {
  const brush = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const light = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const luminance = (colour) => {
    brush.fillStyle = colour;
    brush.fillRect(0, 0, 1, 1);
    const [red, green, blue] = brush.getImageData(0, 0, 1, 1).data;
    return 0.2126 * light(red / 255) + 0.7152 * light(green / 255) + 0.0722 * light(blue / 255);
  };
  const colours = [getComputedStyle(text).fill, getComputedStyle(document.body).backgroundColor];
  const [dark, bright] = colours.map(luminance).sort((a, b) => a - b);
  return (bright + 0.05) / (dark + 0.05);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_names_at_the_ends_of_lines_can_be_read(
    opened: Any, shown: dict[str, Any], scheme: str
) -> None:
    tab = opened("view=anytime", color_scheme=scheme, viewport={"width": 1280, "height": 900})
    labels = tab.locator("main .chart svg text")
    for row in shown["comparisons"][0]["rows"]:
        if row["role"] != "twin":
            assert labels.get_by_text(row["name"], exact=True).evaluate(CONTRAST) >= 4.5, row


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
