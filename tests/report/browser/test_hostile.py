"""Names and texts come from other people's plugins."""

import json
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.slow

HOSTILE = (
    "<script>document.title='owned'</script>",
    "</script><img src=x onerror=\"document.title='owned'\">",
    "a\"quote' & <b>tag</b>\nline two\ttab",
    "w" * 200,
    "\u202eright to left \ud83d\ude00 \u0000 \u2028",
    "toString",
    "a|b~c&hide=tiny#view=pareto",
    "--- <!-- <script",
)


def renamed(shown: dict[str, Any]) -> dict[str, Any]:
    """The same content with hostile names of rows, tasks, protocols and sites."""
    comparison = shown["comparisons"][0]
    text = json.dumps(shown | {"comparisons": [comparison]})
    names = [row["name"] for row in comparison["rows"]]
    for name, hostile in zip(sorted(names, key=len, reverse=True), HOSTILE * 2, strict=False):
        text = text.replace(json.dumps(name), json.dumps(f"{hostile} {names.index(name)}"))
    made = json.loads(text)
    for row in made["comparisons"][0]["rows"]:
        for trial in row["trials"]:
            trial["reason"] = HOSTILE[0] if trial["reason"] else ""
            trial["sites"] = [HOSTILE[1] for _ in trial["sites"]]
    made["comparisons"][0]["title"] = HOSTILE[2] + HOSTILE[3]
    made["results"] = HOSTILE[1]
    made["problems"] = list(HOSTILE)
    made["environments"] = [{HOSTILE[0]: HOSTILE[1], "__proto__": HOSTILE[3]}]
    return made


@pytest.mark.parametrize("width", [360, 1280])
def test_hostile_names_are_text_and_break_nothing(
    opened: Any, shown: dict[str, Any], width: int
) -> None:
    made = renamed(shown)
    tab = opened("twins=yes", made, viewport={"width": width, "height": 800})
    title = tab.title()
    for view in [link.get_attribute("data-key") for link in tab.locator("nav a").all()]:
        tab.locator(f"[data-key='{view}']").click()
        expect(tab.locator(f"[data-key='{view}']")).to_have_attribute("aria-current", "page")
        assert tab.locator("main img, main b, main script, header img").count() == 0
        assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth"), view
    assert tab.title() == title != "owned"


def test_a_row_with_a_hostile_name_opens_and_hides(opened: Any, shown: dict[str, Any]) -> None:
    made = renamed(shown)
    rows = [row for row in made["comparisons"][0]["rows"] if row["role"] != "twin"]
    tab = opened("", made)
    for number, row in enumerate(rows):
        tab.locator(".board tbody tr").nth(number).locator(".method .opens").click()
        expect(tab.get_by_role("dialog")).to_contain_text(f"{len(row['trials'])} trials of")
        assert tab.locator("dialog tbody tr").count() == len(row["trials"])
        tab.keyboard.press("Escape")
        expect(tab.locator("dialog")).not_to_be_visible()
    tab.locator("[data-key='view:pareto']").click()
    expect(tab.locator("[data-key='view:pareto']")).to_have_attribute("aria-current", "page")
    legend = tab.locator(".legend button[aria-pressed]")
    for number in range(len(rows)):
        legend.nth(number).click()
        expect(legend.nth(number)).to_have_attribute("aria-pressed", "false")
        legend.nth(number).click()
