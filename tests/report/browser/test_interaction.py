import csv
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.slow


def colour_of(shown: dict[str, Any], name: str) -> str:
    rows = [row["name"] for row in shown["comparisons"][0]["rows"]]
    return f"var(--row-{rows.index(name)})"


def names(tab: Any) -> list[str]:
    return [
        cell.get_attribute("title") for cell in tab.locator(".board tbody .row-label > span").all()
    ]


def test_columns_sort_both_ways_and_then_not(opened: Any, shown: dict[str, Any]) -> None:
    rows = [row for row in shown["comparisons"][0]["rows"] if row["role"] != "twin"]
    costs = {row["name"]: row["costs"]["seconds"]["mean"] for row in rows}
    tab = opened()
    given = names(tab)
    heading = tab.get_by_role("columnheader", name="Seconds")
    heading.get_by_role("button").click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    assert [costs[name] for name in names(tab)] == sorted(costs.values())
    heading.get_by_role("button").click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    assert [costs[name] for name in names(tab)] == sorted(costs.values(), reverse=True)
    heading.get_by_role("button").click()
    expect(heading).to_have_attribute("aria-sort", "none")
    assert names(tab) == given


def test_sorting_works_from_the_keyboard_and_keeps_the_focus(opened: Any) -> None:
    tab = opened()
    tab.locator("[data-key='sort:parameters']").focus()
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("columnheader", name="Parameters")).to_have_attribute(
        "aria-sort", "ascending"
    )
    assert tab.evaluate("document.activeElement.dataset.key") == "sort:parameters"


def test_columns_can_be_chosen_and_stay_so(opened: Any) -> None:
    tab = opened()
    tab.get_by_text("Columns", exact=True).click()
    tab.get_by_role("checkbox", name="Seconds").uncheck()
    expect(tab.get_by_role("columnheader", name="Seconds")).to_have_count(0)
    tab.reload()
    expect(tab.get_by_role("columnheader", name="Seconds")).to_have_count(0)
    expect(tab.get_by_role("columnheader", name="Parameters")).to_have_count(1)


def test_menus_fold_when_they_are_left(opened: Any) -> None:
    tab = opened()
    menu = tab.locator("details.menu").first
    for leave in (
        lambda: tab.keyboard.press("Escape"),
        lambda: tab.locator(".answer").click(),
    ):
        menu.locator("summary").click()
        expect(menu).to_have_attribute("open", "")
        leave()
        expect(menu).not_to_have_attribute("open", "")
    assert tab.evaluate("document.activeElement.tagName") != "INPUT"


def test_the_back_button_goes_back(opened: Any, shown: dict[str, Any]) -> None:
    tab = opened()
    tab.get_by_role("link", name="Pareto").click()
    tab.locator("[data-key='cost:seconds']").check(force=True)
    tab.select_option("#compare", shown["comparisons"][1]["id"])
    tab.go_back()
    expect(tab.locator("#compare")).to_have_value(shown["comparisons"][0]["id"])
    expect(tab.locator("[data-key='cost:seconds']")).to_be_checked()
    tab.go_back()
    expect(tab.locator("[data-key='cost:training_flops']")).to_be_checked()
    tab.go_back()
    expect(tab.locator("nav [aria-current]")).to_have_text("Leaderboard")


def marks(tab: Any, colour: str) -> int:
    return tab.locator(f"main .chart [stroke='{colour}'], main .chart [fill='{colour}']").count()


@pytest.mark.parametrize("view", ["pareto", "anytime"])
def test_rows_hide_and_a_link_remembers_it(opened: Any, shown: dict[str, Any], view: str) -> None:
    colour = colour_of(shown, "tiny")
    tab = opened(f"view={view}")
    assert marks(tab, colour)
    tab.locator("[data-key='legend:tiny']").click()
    expect(tab.locator("[data-key='legend:tiny']")).to_have_attribute("aria-pressed", "false")
    assert not marks(tab, colour)
    assert "hide=tiny" in tab.url
    tab.reload()
    expect(tab.locator("[data-key='legend:tiny']")).to_have_attribute("aria-pressed", "false")
    assert not marks(tab, colour)
    tab.locator("[data-key='legend:tiny']").click()
    assert marks(tab, colour)


def test_hidden_rows_have_no_bar(opened: Any, shown: dict[str, Any]) -> None:
    tab = opened("view=budget&hide=tiny")
    labels = tab.locator("main .chart svg text").all_text_contents()
    assert "gradmax" in labels
    assert "tiny" not in labels


def test_hiding_all_rows_leaves_a_way_back(opened: Any) -> None:
    tab = opened("view=pareto")
    tab.get_by_role("button", name="Hide all").click()
    expect(tab.locator("main")).to_contain_text("nothing to draw")
    tab.get_by_role("button", name="Show all").click()
    assert tab.locator("main .chart svg").count() > 0


def test_twins_show_when_asked_for(opened: Any) -> None:
    tab = opened()
    assert not any("twin" in name for name in names(tab))
    tab.get_by_label("Show twins").check()
    assert sum("twin" in name for name in names(tab)) == 2


def test_the_keyboard_stops_once_a_row(opened: Any) -> None:
    for line in opened("twins=yes").locator(".board tbody tr").all():
        assert line.locator("button:not([tabindex='-1'])").count() == 1
        assert line.locator("button").count() > 4


FORMS = {
    "Markdown": "| 1–3 | fixed baseline | ",
    "LaTeX": r"1--3 & fixed baseline & ",
    "CSV": "1,3,fixed,",
}


@pytest.mark.parametrize("form", FORMS)
def test_tables_are_copied(opened: Any, shown: dict[str, Any], form: str) -> None:
    best = next(row for row in shown["comparisons"][0]["rows"] if row["role"] != "twin")
    assert (best["name"], best["rank"]) == ("fixed", [1, 3])
    tab = opened(permissions=["clipboard-read", "clipboard-write"])
    tab.get_by_text("Copy", exact=True).first.click()
    tab.get_by_role("button", name=f"as {form}").first.click()
    expect(tab.get_by_role("button", name=f"{form} copied")).to_be_visible()
    text = tab.evaluate("navigator.clipboard.readText()")
    line = next(each for each in text.splitlines() if "fixed" in each)
    assert line.startswith(FORMS[form])
    mean, margin = best["score"]["text"]
    scores = {
        "Markdown": f"{mean} {margin}",
        "LaTeX": f"{mean} {margin}".replace("±", r"$\pm$"),
        "CSV": str(best["score"]["mean"]),
    }
    assert scores[form] in line


def test_a_chart_is_saved_as_it_is_shown(opened: Any, tmp_path: Path) -> None:
    tab = opened("view=pareto", accept_downloads=True, color_scheme="dark")
    with tab.expect_download() as waiting:
        tab.get_by_role("button", name="Download SVG").first.click()
    waiting.value.save_as(tmp_path / "saved.svg")
    text = (tmp_path / "saved.svg").read_text()
    ElementTree.fromstring(text)
    assert "tiny" not in text or "<svg" in text
    assert "var(" not in text
    assert "currentColor" not in text
    assert 'fill="rgb(20, 23, 26)"' in text


def test_rows_are_found_from_twenty_on(opened: Any, shown: dict[str, Any]) -> None:
    assert opened().get_by_label("Find a row").count() == 0
    made = json.loads(json.dumps(shown))
    rows = made["comparisons"][0]["rows"]
    rows += [rows[0] | {"name": f"tiny[k={n}]", "role": "method"} for n in range(20)]
    tab = opened("", made)
    tab.goto(f"{tab.url.partition('#')[0]}#compare={made['comparisons'][0]['id']}")
    box = tab.get_by_label("Find a row")
    box.press_sequentially("K=1")
    visible = tab.locator(".board tbody tr:visible")
    expect(visible).to_have_count(11)  # 1 and 10 to 19
    expect(tab.get_by_role("status")).to_contain_text("11 of ")
    tab.reload()
    expect(visible).to_have_count(11)
    box.fill("")
    tab.locator("[data-key='only:baseline']").check(force=True)
    expect(visible).to_have_count(sum(row["role"] == "baseline" for row in rows))


def test_a_number_opens_its_trials_and_one_of_them(opened: Any, shown: dict[str, Any]) -> None:
    row = next(row for row in shown["comparisons"][0]["rows"] if row["name"] == "gradmax")
    tab = opened()
    line = tab.locator(".board tbody tr").filter(has=tab.locator("[title='gradmax']"))
    seeds = line.get_by_role("button", name=f"{row['seeds_ok']}/{row['seeds']}")
    seeds.click()
    dialog = tab.get_by_role("dialog")
    expect(dialog).to_contain_text(f"{row['seeds']} trials of gradmax")
    assert dialog.locator("tbody tr").count() == len(row["trials"])
    dialog.get_by_role("button", name=row["trials"][-1]["id"][:8]).click()
    expect(dialog).to_contain_text("the loss is NaN at step 75")
    expect(dialog).to_contain_text(row["trials"][-1]["folder"])
    assert dialog.locator(".chart svg").count() == 1
    tab.keyboard.press("Escape")
    expect(tab.locator("dialog")).not_to_be_visible()
    expect(tab).not_to_have_url(re.compile("trial=|rows="))


def test_the_panel_says_how_a_row_was_trained(opened: Any, shown: dict[str, Any]) -> None:
    made = json.loads(json.dumps(shown))
    found = made["comparisons"][0]
    found["shared_settings"]["recipe.batch_size"] = 32
    row = next(row for row in found["rows"] if row["name"] == "tiny")
    row["own_settings"] |= {"recipe.learning_rate": 0.01}
    tab = opened(f"compare={found['id']}&rows=tiny", made)
    assert "learning rate 0.01, batch size 32" in tab.locator("#trials").inner_text()


def test_focus_returns_to_the_number_that_opened_the_panel(opened: Any) -> None:
    tab = opened()
    first = tab.locator(".board tbody .opens").first
    first.focus()
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("dialog")).to_be_visible()
    assert tab.evaluate("document.activeElement.closest('dialog') !== null")
    tab.keyboard.press("Escape")
    expect(tab.locator("dialog")).not_to_be_visible()
    assert first.evaluate("element => element === document.activeElement")


def test_a_link_opens_a_trial(opened: Any, shown: dict[str, Any]) -> None:
    trial = shown["comparisons"][0]["rows"][0]["trials"][0]
    tab = opened(f"trial={trial['id']}")
    expect(tab.get_by_role("dialog")).to_contain_text(trial["id"])
    tab.get_by_role("button", name="Close").click()
    expect(tab.locator("dialog")).not_to_be_visible()


def test_a_point_tells_and_opens_what_it_is(opened: Any, shown: dict[str, Any]) -> None:
    tab = opened("view=pareto")  # the first cost in which rows differ
    chart = tab.locator("main .chart").first
    mark = chart.locator(f"path[fill='{colour_of(shown, 'tiny')}']").last
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(chart).to_contain_text("on the front with probability")
    tab.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(tab.get_by_role("dialog")).to_contain_text("trials of")


@pytest.mark.parametrize(
    "view", ["leaderboard", "pareto", "anytime", "growth", "pairwise", "budget"]
)
def test_what_is_shown_can_be_saved_as_csv(opened: Any, view: str, tmp_path: Path) -> None:
    tab = opened(f"view={view}", accept_downloads=True)
    with tab.expect_download() as waiting:
        tab.get_by_role("button", name="Download CSV").first.click()
    saved = tmp_path / "saved.csv"
    waiting.value.save_as(saved)
    header, *rows = csv.reader(saved.read_text().splitlines())
    assert waiting.value.suggested_filename.endswith(".csv")
    assert len(header) >= 4
    assert rows
    assert all(len(row) == len(header) for row in rows)


def test_the_csv_of_the_leaderboard_has_numbers_in_full(
    opened: Any, shown: dict[str, Any], tmp_path: Path
) -> None:
    tab = opened(accept_downloads=True)
    with tab.expect_download() as waiting:
        tab.get_by_role("button", name="Download CSV").first.click()
    waiting.value.save_as(tmp_path / "saved.csv")
    rows = list(csv.DictReader((tmp_path / "saved.csv").read_text().splitlines()))
    expected = [row for row in shown["comparisons"][0]["rows"] if row["role"] != "twin"]
    assert [row["Method"] for row in rows] == [row["name"] for row in expected]
    assert [float(row["score"]) for row in rows] == [row["score"]["mean"] for row in expected]


def test_the_data_of_a_chart_shows_when_asked_for(opened: Any) -> None:
    tab = opened("view=pareto")
    assert tab.locator("main table").count() == 0
    tab.get_by_text("Show data").first.click()
    expect(tab.get_by_role("region", name="Data:")).to_contain_text("On the front")


def test_single_seeds_show_against_steps_alone(opened: Any) -> None:
    tab = opened("view=anytime")
    assert tab.get_by_label("Single seeds (against steps only)").is_disabled()
    tab.locator("[data-key='along:steps']").check(force=True)
    before = tab.locator("main .chart path").count()
    tab.get_by_label("Single seeds").check()
    assert tab.locator("main .chart path").count() > before + 50


def test_growth_of_one_seed_has_its_events(opened: Any, shown: dict[str, Any]) -> None:
    tab = opened("view=growth")
    tab.locator("select[data-key=seed]").select_option("2")
    expect(tab.locator("main")).to_contain_text("Seed 2, one line for each site")
    expect(tab.locator("main")).to_contain_text("Every attempt of seed 2")
    events = tab.get_by_role("region", name="Growth events of")
    assert events.locator("tbody tr").count() == 3
