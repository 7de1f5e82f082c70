import json
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from itertools import combinations, pairwise, product
from pathlib import Path
from typing import Any

import pytest
import synthetic
from playwright.sync_api import expect

from nas_bench.report.comparison import comparisons
from nas_bench.report.content import content
from nas_bench.report.footnotes import notes
from nas_bench.report.pareto import mixed_places
from nas_bench.report.standing import standing
from nas_bench.results.ledger import Ledger

pytestmark = pytest.mark.slow

VIEWS = (
    "overview", "leaderboard", "pareto", "anytime", "growth", "pairwise", "budget", "failures",
    "provenance",
)  # fmt: skip
DRAWN = ("pareto", "anytime", "growth", "budget")
PHONE = {"width": 360, "height": 740}


def wide(tab: Any) -> bool:
    return tab.evaluate("document.documentElement.scrollWidth > innerWidth")


def overlap(one: dict[str, float], other: dict[str, float]) -> bool:
    """Whether two boxes lie on each other."""
    ends = (("x", "width"), ("y", "height"))
    return all(
        one[at] < other[at] + other[size] and other[at] < one[at] + one[size] for at, size in ends
    )


def visits(tab: Any) -> Iterator[str]:
    """Every view, by its tab."""
    for view in VIEWS:
        tab.locator(f"nav a[data-key='view:{view}']").click()
        expect(tab.locator("nav [aria-current]")).to_contain_text(view.capitalize())
        yield view


def test_every_view_shows_every_comparison(opened: Any, shown: dict[str, Any]) -> None:
    tab = opened()
    for comparison in shown["comparisons"]:
        tab.locator("nav a[data-key='view:leaderboard']").click()
        tab.select_option("#compare", comparison["id"])
        for view in visits(tab):
            place = f"{view} of {comparison['title']}"
            assert len(tab.inner_text("main")) > 150, place
            assert view not in DRAWN or tab.locator("main .chart svg").count(), place
            assert tab.locator("main .chart:empty").count() == 0, place
            assert not wide(tab), place


def test_a_compressed_page_shows_the_same(
    opened: Any, shown: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def seen(made: dict[str, Any]) -> list[str]:
        tab = opened("view=overview", made)
        texts = []
        for view in VIEWS:
            tab.goto(tab.url.partition("#")[0] + f"#view={view}")
            texts.append(tab.locator("main").inner_text())
        return texts

    plain = seen(shown)
    monkeypatch.setattr("nas_bench.report.html._PACKED_FROM", 0)
    assert seen(shown | {"results": "made up, compressed"}) == plain


def test_the_page_opens_with_all_comparisons(opened: Any, shown: dict[str, Any]) -> None:
    tab = opened("")
    expect(tab.locator("nav [aria-current]")).to_have_text("Overview")
    lines = tab.locator(".overview tbody tr")
    heads = [cell.get_attribute("title") for cell in tab.locator(".overview thead th").all()]
    for found, line in zip(shown["comparisons"], lines.all(), strict=True):
        assert found["task_name"] in line.locator("th").inner_text()
        pairs = {p["first"]: p for p in found["against"] if p["question"] == "against fixed"}
        for name, cell in zip(heads[2:], line.locator("td").all()[1:], strict=True):
            text = cell.inner_text()
            if name not in pairs:
                assert text == "–"
            elif pairs[name]["adjusted"] is None:
                assert text.startswith(f"[{pairs[name]['text'][0]}]")
                assert "not testable" in cell.text_content()
            else:
                assert pairs[name]["text"][0] in text
                assert pairs[name]["text"][1].strip("()") in text
                assert ("▲" in text or "▼" in text) == (pairs[name]["adjusted"] <= 0.05)


def test_a_press_opens_a_comparison(opened: Any, shown: dict[str, Any]) -> None:
    second, third = (found["id"] for found in shown["comparisons"][1:3])
    tab = opened("")
    tab.locator(".overview tbody tr").nth(2).locator("td").last.click()
    expect(tab.locator("#compare")).to_have_value(third)
    tab.go_back()
    expect(tab.locator("nav [aria-current]")).to_have_text("Overview")
    tab.locator(f"[data-key='open:{second}']").focus()
    tab.keyboard.press("Enter")
    expect(tab.locator("#compare")).to_have_value(second)
    expect(tab.locator("nav [aria-current]")).to_have_text("Leaderboard")


def test_a_link_to_a_comparison_opens_its_leaderboard(opened: Any, shown: dict[str, Any]) -> None:
    tab = opened(f"compare={shown['comparisons'][0]['id']}")
    expect(tab.locator("nav [aria-current]")).to_have_text("Leaderboard")


def test_a_phone_scrolls_down_only(opened: Any) -> None:
    tab = opened("twins=yes", viewport=PHONE)
    for view in visits(tab):
        assert not wide(tab), view
        cards = tab.locator("main .stacks")
        tables = {"overview": 1, "leaderboard": 1, "anytime": 1, "pairwise": 3, "failures": 1}
        assert cards.count() == tables.get(view, 0), view
        assert cards.evaluate_all("all => all.every((e) => e.scrollWidth <= e.clientWidth)"), view
        boxes = [chart.bounding_box() for chart in tab.locator("main .chart svg").all()]
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"] for box in boxes)


def test_the_leaderboard_says_what_the_content_says(opened: Any, shown: dict[str, Any]) -> None:
    comparison = shown["comparisons"][0]
    tab = opened(f"compare={comparison['id']}")
    rows = [row for row in comparison["rows"] if row["role"] != "twin"]
    heads = [head.inner_text().split()[0] for head in tab.locator(".board thead th").all()]
    assert heads.index("Parameters") < heads.index("FLOPs") < heads.index("Training")
    lines = [line.inner_text() for line in tab.locator(".board tbody tr").all()]
    for row, line in zip(rows, lines, strict=True):
        assert row["name"] in line.replace("\n", "")
        assert "–".join(map(str, dict.fromkeys(row["rank"] or ["–"]))) == line.split()[0]
        assert " ".join(row["score"]["text"]) in line
        assert f"{row['seeds_ok']}/{row['seeds']}" in line
        assert ("†" in line) == bool(row["counted_as_worst"])


def test_remarks_without_a_view_of_their_own_are_under_the_leaderboard(
    opened: Any, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path)
    for seed, method in product(range(6), ("north_preactivation", "gradmax", "random_growth")):
        config = synthetic.trial(method, seed)
        synthetic.begin(ledger, config)
        for record in synthetic.records(config):
            ledger.write(config, synthetic.as_dict(replace(record, redraws=2 * (seed == 3))))
        ledger.finish(config)
    runs = [replace(r, ledger="mine" if r.seed == 5 else "") for r in ledger.runs()]
    (comparison,) = comparisons(runs)
    found = standing(comparison)
    tab = opened("", content(runs, "made up", [found]))
    shown = tab.locator(".notes").inner_text()
    for part in (
        "of that ledger",
        "seeds 5 of mine",
        "NORTH's initialiser",
        "seeds (and how often): 3 (2)",
    ):
        assert part in shown
    for note in notes(found):
        assert all(line in shown for line in (note.sentence, *note.items))


def test_growing_is_compared_with_its_twin(opened: Any, shown: dict[str, Any]) -> None:
    found = next(c for c in shown["comparisons"] if c["growing"])
    tab = opened(f"compare={found['id']}")
    pair = next(p for p in found["growing"] if p["first"] == "tiny" and "flops" in p["question"])
    line = tab.locator(".board tbody tr").filter(has_text="tiny").first.inner_text()
    assert all(part in line for part in pair["text"])
    tab.goto(tab.url + "&view=pairwise")
    expect(tab.get_by_role("region", name="Did growing pay?")).to_contain_text("tiny twin (flops)")


def test_ranks_of_too_few_seeds_are_withheld_and_why_is_said(
    opened: Any, shown: dict[str, Any]
) -> None:
    few = next(c for c in shown["comparisons"] if len(c["seeds"]) == 3)
    tab = opened(f"compare={few['id']}")
    assert {cell.inner_text() for cell in tab.locator(".board td:first-child").all()} == {"–"}
    expect(tab.locator(".standing")).to_contain_text("Not testable below 6 paired seeds")
    expect(tab.locator("figcaption").first).to_contain_text("none of them can be tested")


def test_a_loss_is_called_a_loss(opened: Any, shown: dict[str, Any]) -> None:
    regression = next(c for c in shown["comparisons"] if c["metric"] == "loss")
    tab = opened(f"compare={regression['id']}&view=pareto")
    expect(tab.locator(".standing")).to_contain_text("test loss, lower is better")
    expect(tab.locator("figure").first).to_contain_text("Test loss against")


def test_every_failure_is_listed_with_its_reason(opened: Any, shown: dict[str, Any]) -> None:
    tab = opened("view=failures")
    trials = [t for row in shown["comparisons"][0]["rows"] for t in row["trials"]]
    failed = [trial for trial in trials if trial["status"] != "ok"]
    assert failed
    assert tab.locator("main tbody tr").count() == len(failed)
    for trial in failed:
        expect(tab.locator("main table")).to_contain_text(trial["reason"])


def test_what_is_not_applicable_is_in_the_leaderboard_and_no_failure(
    opened: Any, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, synthetic.trial("fixed"))
    for task in ("digits", "iris"):
        synthetic.refuse(ledger, synthetic.trial("net2net", task=task))
    made = content(ledger.runs(), "refused")
    for found in made["comparisons"]:
        tab = opened(f"compare={found['id']}", made)
        table = tab.get_by_role("region", name="Not applicable")
        expect(table).to_contain_text("it follows a softmax")
        for view in visits(tab):
            assert len(tab.inner_text("main")) > 20, view
        expect(tab.locator("[data-key='view:failures']")).to_have_text("Failures")


def test_problems_of_a_trial_and_of_its_seeds_are_one_line(
    opened: Any, shown: dict[str, Any]
) -> None:
    place = "smoke/digits/tiny/0123"
    said = [f"{place}/s{seed}: {what}" for seed in (1, 2, 4) for what in ("a is", "b: is")]
    said += [f"mine: {place}/s5: a is", "other/s0: c is", "as it is"]
    tab = opened("view=failures", shown | {"problems": said})
    assert tab.locator(".problems li").all_inner_texts() == [
        f"{place}, seeds 1, 2, 4: a is; b: is",
        f"mine: {place}, seed 5: a is",
        "other, seed 0: c is",
        "as it is",
    ]


def test_a_damaged_trial_is_counted_once(opened: Any, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for seed in range(3):
        synthetic.run(ledger, synthetic.trial("tiny", seed))
    for place in [*tmp_path.rglob("run.json")][:2]:
        place.write_text("{")
    contents = ledger.contents()
    made = content(contents.runs, "damaged", problems=[*contents.damage, "trials.zip: is cut"])
    tab = opened("", made)
    expect(tab.locator("[data-key='view:failures']")).to_have_text("Failures3")


def test_what_differs_between_environments_is_marked(opened: Any, shown: dict[str, Any]) -> None:
    made = json.loads(json.dumps(shown))
    made["environments"] = [
        {"python": "3.11", "cpu": {"cores": 2}},
        {"python": "3.12", "cpu": {"cores": 2}, "device": "cuda"},
    ]
    for row in made["comparisons"][0]["rows"]:
        row["trials"][0]["environment"] = 1
    tab = opened("view=provenance", made)
    table = tab.get_by_role("region", name="Environments")
    expect(table.locator("thead")).to_contain_text(
        f"({len(made['comparisons'][0]['rows'])} trials)"
    )
    marked = table.locator("tr.differs th").all_inner_texts()
    assert [text.split("differs")[0].strip() for text in marked] == ["python", "device"]
    assert table.locator("tbody tr").count() == 3


def test_what_a_protocol_has_otherwise_than_its_source_is_listed(
    opened: Any, shown: dict[str, Any]
) -> None:
    made = json.loads(json.dumps(shown))
    said = {"paper": "70 epochs", "here": "30 epochs", "why": "it is <b>cheaper</b>"}
    made["comparisons"][0]["departures"] = [said]
    tab = opened(f"compare={made['comparisons'][0]['id']}", made)
    expect(tab.locator(".notes")).to_contain_text("1 thing otherwise than its source")
    tab.locator("[data-key='view:provenance']").click()
    cells = tab.get_by_role("region", name="otherwise than its source").locator("tbody td")
    assert cells.all_inner_texts() == list(said.values())


def test_mean_ranks_are_those_of_the_content(opened: Any, shown: dict[str, Any]) -> None:
    group = next(g for g in shown["across"] if g["kind"] == "same_target")
    tab = opened()
    labels = tab.locator("main .chart svg text").all_text_contents()
    for rank in group["ranks"]:
        assert rank["name"] in labels
        assert f"{rank['mean']:.2f}" in labels
    expect(tab.locator("main")).to_contain_text("Critical differences need at least 5 tasks")


def test_ranks_that_are_not_told_apart_are_joined_by_bars(
    opened: Any, shown: dict[str, Any]
) -> None:
    made = json.loads(json.dumps(shown))
    group = next(g for g in made["across"] if g["kind"] == "same_target")
    names = [rank["name"] for rank in group["ranks"]]
    sets = [names[:2], names[1:]]
    group["critical_difference"] = {"friedman_p": 0.01, "distance": 1.5, "groups": sets}
    chart = opened(content=made).locator("figure", has_text="Across").locator(".chart").first
    bars = [bar.bounding_box() for bar in chart.locator("g[stroke-width='3'] line").all()]
    assert len(bars) == 2
    for bar, joined in zip(bars, sets, strict=True):
        for name in names:
            label = chart.get_by_text(name, exact=True).bounding_box()
            middle = label["y"] + label["height"] / 2
            assert (bar["y"] < middle < bar["y"] + bar["height"]) == (name in joined)


def test_one_seed_has_no_bands(opened: Any, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, synthetic.trial("tiny"))
    tab = opened("view=anytime", content(ledger.runs(), "one seed"))
    expect(tab.locator("figcaption").first).to_contain_text("Lines are of the one seed. Every dot")


def test_lines_are_named_at_their_ends_where_there_is_room(
    opened: Any, shown: dict[str, Any]
) -> None:
    rows = [row["name"] for row in shown["comparisons"][0]["rows"] if row["role"] != "twin"]
    tab = opened("view=anytime", viewport={"width": 1280, "height": 900})
    chart = tab.locator("main .chart").first
    labels = chart.locator("svg text").all()
    named = {label.text_content(): label.bounding_box() for label in labels}
    assert {*rows} <= {*named}
    places = sorted(named[name]["y"] for name in rows)
    assert all(below - above >= 12 for above, below in pairwise(places))
    phone = opened("view=anytime", viewport=PHONE)
    assert not {*rows} & {*phone.locator("main .chart svg text").all_text_contents()}


def test_forty_lines_are_named_at_their_ends_too(opened: Any, shown: dict[str, Any]) -> None:
    made = json.loads(json.dumps(shown))
    rows = [row for row in made["comparisons"][0]["rows"] if row["role"] != "twin"]
    many = [row | {"name": f"{row['name']} {i}"} for i in range(5) for row in rows][:40]
    made["comparisons"][0]["rows"] += many
    hidden = ",".join(row["name"] for row in rows)
    tab = opened(f"view=anytime&hide={hidden}", made, viewport={"width": 1440, "height": 900})
    labels = tab.locator("main .chart svg text")
    for row in many:
        expect(labels.get_by_text(row["name"], exact=True)).to_have_count(1)


def test_bands_show_at_the_pointer_and_are_quartiles_where_a_seed_failed(
    opened: Any, shown: dict[str, Any]
) -> None:
    row = next(r for r in shown["comparisons"][0]["rows"] if r["name"] == "gradmax")
    assert row["seeds_ok"] < row["seeds"]
    tab = opened("view=anytime&hide=tiny")
    chart = tab.locator("main .chart").first
    assert chart.locator(".bands path.shown").count() == 0
    mark = chart.locator(f"path[fill='{colour(shown, 'gradmax')}']").last
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(chart.locator(".bands path.shown")).to_have_count(1)
    expect(chart).to_contain_text("quartiles")


def colour(shown: dict[str, Any], name: str) -> str:
    return f"var(--row-{[row['name'] for row in shown['comparisons'][0]['rows']].index(name)})"


def test_sites_by_steps_are_a_map_where_there_are_many(opened: Any, shown: dict[str, Any]) -> None:
    made = json.loads(json.dumps(shown))
    sites = [f"body.{n}.net.conv" for n in range(6)]
    for row in made["comparisons"][0]["rows"]:
        row["site_names"] = sites
        for trial in row["trials"]:
            trial |= {"sites": sites[:1], "start": [4] * 6, "widths": [4] * 6}
    tab = opened("view=growth", made)
    expect(tab.locator("[data-key='widths:map']")).to_be_checked()
    chart = tab.locator("main .multiples .chart").first
    labels = chart.locator("svg text").all_text_contents()
    assert {"site 0", "site 5"} <= {*labels}  # without what all names share
    assert chart.locator("svg rect").count() >= 6
    tab.locator("[data-key='widths:lines']").check(force=True)
    assert tab.locator("main .multiples .chart").first.locator("svg rect").count() == 0


def test_rows_that_grow_alike_share_a_chart(opened: Any, shown: dict[str, Any]) -> None:
    made = json.loads(json.dumps(shown))
    place = {name: made["event_columns"].index(name) for name in ("predicted", "measured")}
    grown = [r for r in made["comparisons"][0]["rows"] if any(t["events"] for t in r["trials"])]
    for row in grown:
        for trial in row["trials"]:
            trial |= {"start": [9, 9] if row["name"] == "tiny" else [2, 2]}
            trial["steps"] = 100 + grown.index(row)
            for event in trial["events"]:
                event[place["predicted"]] = event[place["measured"]] = 0
    tab = opened("view=growth", made)
    charts = tab.locator("main .multiples .small")
    assert charts.count() == 2
    for row in grown:
        expect(tab.locator(f".multiples h3 [title='{row['name']}']")).to_have_count(1)
    expect(tab.locator("main")).to_contain_text("Rows whose widths are the same share one chart.")
    expect(tab.locator("main")).to_contain_text("This method predicts no drop of the loss.")
    tab.goto(f"{tab.url}&seed=0")
    expect(charts).to_have_count(len(grown))


def test_own_and_filled_neurons_are_told_apart(opened: Any, shown: dict[str, Any]) -> None:
    row = next(r for r in shown["comparisons"][0]["rows"] if r["name"] == "tiny")
    added = shown["event_columns"].index("added")
    tab = opened("view=growth")
    place = tab.locator("figure").filter(has_text="Whose neurons were added")
    place.get_by_text("Show data").click()
    line = place.locator("tbody tr").filter(has=tab.locator("[title='tiny']")).first
    neurons = sum(event[added] for event in row["trials"][0]["events"])
    expect(line).to_contain_text("the method’s own")
    expect(line).to_contain_text(f"{neurons:.1f}")


def test_profiles_and_relative_errors_are_those_of_the_content(
    opened: Any, shown: dict[str, Any]
) -> None:
    made = json.loads(json.dumps(shown))
    group = next(g for g in made["across"] if g["kind"] == "same_target")
    assert group["profile"] == []
    group["profile"] = [
        {"name": "tiny", "ratios": [1, 1, 2, 4, None]},
        {"name": "fixed", "ratios": [3, 1.5, 1, 1, 1]},
    ]
    tab = opened("", made)
    tab.goto(f"{tab.url.partition('#')[0]}#compare={made['comparisons'][0]['id']}")
    profile = tab.locator("figure").filter(has_text="How soon as good as fixed")
    expect(profile).to_contain_text("On which share of 5 tasks")
    profile.get_by_text("Show data").click()
    ends = [row.inner_text() for row in profile.locator("tbody tr").all()]
    assert any("tiny" in row and "4.00" in row and "80 %" in row for row in ends)
    relative = tab.locator("figure").filter(has_text="Error relative to fixed")
    for each in group["relative"]:
        expect(relative.locator(".chart")).to_contain_text(f"{each['mean']:.2f}")


def test_equal_costs_are_a_line_for_each_row(opened: Any, shown: dict[str, Any]) -> None:
    found = next(c for c in shown["comparisons"] if c["metric"] == "loss")
    made = json.loads(json.dumps(shown))
    for row in next(c for c in made["comparisons"] if c["id"] == found["id"])["rows"]:
        row["costs"]["flops"]["mean"] = 92_360
    tab = opened(f"compare={found['id']}&view=pareto&cost=flops", made)
    labels = tab.locator("main .chart svg text").all_text_contents()
    assert {row["name"] for row in found["rows"]} <= set(labels)
    assert not any("FLOPs" in label for label in labels)
    expect(tab.locator("figcaption").first).to_contain_text("All rows: 92.4 k FLOPs per sample")


def test_equal_costs_are_set_apart_as_in_the_figures(opened: Any) -> None:
    code = (files("nas_bench.report") / "page" / "pareto.js").read_text(encoding="utf-8")
    places = opened().evaluate(f"() => {{ {code}; return mixedPlaces(40); }}")
    assert places == pytest.approx(mixed_places(40))


def test_rows_of_the_front_are_named_where_their_names_cover_nothing(
    opened: Any, shown: dict[str, Any]
) -> None:
    found = next(c for c in shown["comparisons"] if c["kind"] == "free")
    rows = [row for row in found["rows"] if row["role"] != "twin" and row["seeds_ok"]]
    best = max(rows, key=lambda row: row["score"]["mean"])
    cheapest = min(rows, key=lambda row: row["costs"]["parameters"]["mean"])
    tab = opened(f"compare={found['id']}&view=pareto&cost=parameters")
    for chart in tab.locator("main .chart").all():
        names = chart.locator("svg > text").all()
        said = {name.text_content() for name in names}
        assert said <= {row["name"] for row in rows}
        assert best["name"] in said
        inside = "e => (({x, y, width, height}) => [x, y, width, height])(e.getBBox())"
        for one, other in combinations([name.evaluate(inside) for name in names], 2):
            (x, y, width, height), (left, top, wide, high) = one, other
            beside = x + width <= left or left + wide <= x
            assert beside or y + height <= top or top + high <= y, said
    assert cheapest["name"] in said


def test_names_in_a_chart_cover_no_label_of_an_axis(opened: Any, shown: dict[str, Any]) -> None:
    made = json.loads(json.dumps(shown))
    for i, row in enumerate(made["comparisons"][0]["rows"]):
        row["score"] |= {"mean": 90 if i == 4 else 96, "interval": [90, 96]}
        row["costs"]["parameters"]["mean"] = 1000 * (2 if i == 4 else 1 + 0.05 * i)
        row["trials"] = row["trials"][:1]
        row["trials"][0] |= {"score": 96, "parameters": 1000}
    tab = opened("view=pareto&cost=parameters", made, viewport=PHONE)
    chart = tab.locator("main .chart svg").first
    names = [name.bounding_box() for name in chart.locator("xpath=./*[name()='text']").all()]
    labels = [label.bounding_box() for label in chart.locator("g text").all()]
    assert names
    assert not any(overlap(name, label) for name, label in product(names, labels))


def test_the_frame_holds_what_the_other_chart_shows(opened: Any, shown: dict[str, Any]) -> None:
    made = json.loads(json.dumps(shown))
    rows = [row for row in made["comparisons"][0]["rows"] if row["role"] != "twin"]
    for i, row in enumerate(rows):
        mean = (99.0, 98.9, 96.0, 85.0)[min(i, 3)]
        row["score"] |= {"mean": mean, "interval": [mean, mean]}
        row["seeds_ok"] = row["seeds"]
        for trial in row["trials"]:
            trial["score"] = mean
        rows[i]["trials"][0]["score"] = {0: 95.5, 2: 80.0}.get(i, mean)
    tab = opened("view=pareto&cost=training_flops", made)
    labels = tab.locator("main .chart").first.locator("svg text").all_text_contents()
    scores = [float(label) for label in labels if label.replace(".", "").isdigit()]
    assert len(scores) > 2
    assert min(scores) > 90, "the axis goes where 85 would be, which is not drawn"


def test_labels_of_growth_fit_beside_their_axes(opened: Any, shown: dict[str, Any]) -> None:
    made = json.loads(json.dumps(shown))
    place = {name: made["event_columns"].index(name) for name in ("gain", "predicted", "measured")}
    for row in made["comparisons"][0]["rows"]:
        for trial in row["trials"]:
            trial["start"] = [123_456] * len(trial["start"])
            for event in trial["events"]:
                event[place["gain"]] = event[place["predicted"]] = 1.5e-6
                event[place["measured"]] = -1.25e-6
    tab = opened("view=growth", made)
    charts = [chart for chart in tab.locator("main .chart svg").all() if chart.is_visible()]
    assert len(charts) > 3
    for chart in charts:
        left = chart.bounding_box()["x"]
        for label in chart.locator("text").all():
            assert label.bounding_box()["x"] >= left, label.text_content()


def test_one_large_drop_does_not_squeeze_the_others(opened: Any, shown: dict[str, Any]) -> None:
    made = json.loads(json.dumps(shown))
    place = {name: made["event_columns"].index(name) for name in ("predicted", "measured")}
    for row in made["comparisons"][0]["rows"]:
        events = [event for trial in row["trials"] for event in trial["events"]]
        for i, event in enumerate(events):
            drop = 500.0 if i == 0 else 0.01 * (1 + i % 5)
            event[place["predicted"]], event[place["measured"]] = drop, drop / 2
    tab = opened("view=growth", made)
    chart = tab.get_by_label("Measured against predicted drop of the loss")
    boxes = [dot.bounding_box() for dot in chart.locator("circle").all()]
    left, *others = sorted({round(box["x"]) for box in boxes if box})
    assert len(others) > 3
    assert others[-2] - left > 20, "the small drops lie in a corner"


def test_a_bar_that_goes_on_beyond_the_axis_says_so(opened: Any, shown: dict[str, Any]) -> None:
    made = json.loads(json.dumps(shown))
    for i, row in enumerate(made["comparisons"][0]["rows"]):
        row["score"] |= {"mean": 96, "interval": [1 if i == 0 else 95.5, 96.5]}
    for cost, arrow in (("training_flops", "↕"), ("parameters", "↔")):
        if arrow == "↔":
            for row in made["comparisons"][0]["rows"]:
                row["costs"]["parameters"]["mean"] = 1000
        tab = opened(f"view=pareto&cost={cost}", made)
        assert tab.locator("main .chart").first.get_by_text(arrow).count() == 1


def test_names_of_rows_stay_where_pairs_are_scrolled(opened: Any) -> None:
    tab = opened("view=pairwise", viewport=PHONE)
    name = tab.locator(".matrix tbody th").first
    before = name.bounding_box()
    tab.locator(".matrix").evaluate("e => e.scrollLeft = 200")
    assert tab.locator(".matrix").evaluate("e => e.scrollLeft") == 200
    assert name.bounding_box() == before


def test_a_score_is_reached_between_two_evaluations(opened: Any, shown: dict[str, Any]) -> None:
    found = shown["comparisons"][0]
    tab = opened("view=anytime")
    table = tab.get_by_role("region", name="When a score is reached")
    rows = [row for row in found["rows"] if row["role"] != "twin"]
    for row, line in zip(rows, table.locator("tbody tr").all(), strict=True):
        reached = row["reached"]["flops"]
        shares = {(f"{r['seeds']}/{r['of']} seeds") for r in reached if r["seeds"] < r["of"]}
        text = line.inner_text()
        assert row["name"] in text.replace("\n", "")
        assert all(share in text or "never" in text for share in shares)
        assert all((r["by"] is None) or ("–" in text or "≤" in text) for r in reached)
    tab.goto(tab.url + "&along=seconds")
    first = next(r for r in rows[0]["reached"]["seconds"] if r["after"])
    text = f"{first['after']:.1f} – {first['by']:.1f}"
    expect(table.locator("tbody tr").first).to_contain_text(text)
    expect(tab.locator("main")).to_contain_text("Seconds of training and growth, when")


def test_the_first_screen_says_what_is_best_and_whether_growing_paid(
    opened: Any, shown: dict[str, Any]
) -> None:
    found = shown["comparisons"][0]
    tab = opened(viewport={"width": 1440, "height": 900})
    said = tab.locator(".answer")
    expect(said).to_have_text(found["answer"])
    assert said.bounding_box()["y"] < 300
    charts = tab.locator("main figure").first
    expect(charts).to_contain_text("grown − the same from scratch, equal steps")
    labels = charts.locator("svg text").all_text_contents()
    methods = {row["name"] for row in found["rows"] if row["role"] == "method"}
    assert methods <= set(labels)


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)])
def test_the_first_screen_of_lite_answers_without_scrolling(
    opened: Any, tmp_path: Path, size: tuple[int, int]
) -> None:
    ledger = Ledger(tmp_path)
    for method in ("tiny", "gradmax", "random_growth", "fixed"):
        for seed in range(6):
            synthetic.run(ledger, synthetic.trial(method, seed, protocol="lite"))
    made = content(ledger.runs(), "made up")
    tab = opened("", made, viewport={"width": size[0], "height": size[1]})
    said = tab.locator(".answer")
    for words in ("On digits (lite, ", "the best is fixed 9", "Growing lost with 2 of 3 methods",
                  "The best that grows, tiny 9", " × the training FLOPs of fixed."):  # fmt: skip
        expect(said).to_contain_text(words)
    box = said.bounding_box()
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= size[1]
    assert box["x"] + box["width"] <= size[0]


def test_a_phone_shows_every_column_of_the_leaderboard(opened: Any, shown: dict[str, Any]) -> None:
    columns = [head.inner_text() for head in opened().locator(".board thead th").all()]
    tab = opened(viewport=PHONE)
    board = tab.locator(".board")
    assert board.evaluate("board => board.scrollWidth <= board.clientWidth")
    card = board.locator("tbody tr").filter(has=tab.locator("[title='tiny']"))
    labels = card.locator("td").evaluate_all("cells => cells.map((cell) => cell.dataset.label)")
    assert len(labels) == len(columns) - 1  # all but the method, which is the heading
    for cell in card.locator("td:not(:has(> .none))").all():
        box = cell.bounding_box()
        assert box["width"] > 0
        assert 0 <= box["x"] < box["x"] + box["width"] <= PHONE["width"]
    tab.get_by_label("Sort by").select_option("parameters")
    row = min(shown["comparisons"][0]["rows"], key=lambda r: r["costs"]["parameters"]["mean"])
    expect(board.locator("tbody th").first).to_contain_text(row["name"].partition("[")[0])


def test_controls_fold_under_their_method(opened: Any, shown: dict[str, Any]) -> None:
    tab = opened()
    chart = tab.locator("main figure .chart").first
    assert "tiny[update=false]" not in chart.locator("svg text").all_text_contents()
    tab.get_by_label("Controls under their methods").check()
    labels = chart.locator("svg text").all_text_contents()
    assert labels.index("tiny") < len(labels)
    heights = {
        name: chart.locator("svg text", has_text=name).first.bounding_box()["y"]
        for name in ("tiny", "tiny[update=false]", "north_preactivation")
    }
    below = [name for name in heights if heights[name] > heights["tiny"]]
    assert min(below, key=heights.__getitem__) == "tiny[update=false]"


def test_a_lane_shows_grown_less_scratch(opened: Any, shown: dict[str, Any]) -> None:
    found = shown["comparisons"][0]
    asked = {pair["question"] for pair in found["growing"] if pair["first"] == "tiny"}
    assert asked == {"equal steps", "equal flops"}
    chart = opened().locator("main figure .chart").first
    colour = f"var(--row-{[row['name'] for row in found['rows']].index('tiny')})"
    assert chart.locator(f"path[stroke='{colour}']").count() == len(asked)


def test_small_bars_are_better_to_the_right(opened: Any, shown: dict[str, Any]) -> None:
    for metric in ("accuracy", "loss"):
        found = next(c for c in shown["comparisons"] if c["metric"] == metric)
        tab = opened(f"compare={found['id']}")
        bars = tab.locator(".whisker .mean").all()
        places = [
            float(bar.get_attribute("style").split("left: ")[1].split("%")[0]) for bar in bars
        ]
        assert len(places) > 1
        assert places == sorted(places, reverse=True), metric  # the best row is the first


def test_the_line_of_fixed_is_left_out_where_it_is_far_worse(
    opened: Any, shown: dict[str, Any]
) -> None:
    made = json.loads(json.dumps(shown))
    row = next(r for r in made["comparisons"][0]["rows"] if r["name"] == "fixed")
    lines = opened(content=made).locator(".whisker .reference")
    assert lines.count() > 1
    row["score"] |= {"mean": 5.0, "interval": [4.0, 6.0]}
    assert opened(content=made).locator(".whisker .reference").count() == 0


def test_a_link_to_what_is_gone_says_so(opened: Any) -> None:
    tab = opened("compare=lite.v9.free.mnist.9-steps&view=constructor")
    expect(tab.locator(".standing")).to_contain_text("The link asks for lite.v9.free.mnist")
    expect(tab.locator("nav [aria-current]")).to_have_text("Leaderboard")


def test_published_numbers_are_hollow_and_only_where_they_have_a_place(
    opened: Any, shown: dict[str, Any]
) -> None:
    mnist = next(c for c in shown["comparisons"] if c["published"])
    placed = sum(point["parameters"] is not None for point in mnist["published"])
    tab = opened(f"compare={mnist['id']}&view=pareto&cost=parameters")
    assert placed
    hollow = tab.locator("main .chart [stroke-dasharray='2 1.5'] circle")
    assert hollow.count() == 0
    tab.get_by_role("checkbox", name="Published numbers").check()
    assert hollow.count() == placed
    names = tab.locator("main .chart > svg > text").all_text_contents()
    assert any(name.endswith("(published)") for name in names)
    table = tab.get_by_role("region", name="Published numbers")
    assert table.locator("tbody tr").count() == len(mnist["published"])


def test_an_empty_ledger_is_a_sentence(opened: Any, shown: dict[str, Any]) -> None:
    nothing = {**shown, "comparisons": [], "across": [], "environments": [], "problems": ["why"]}
    tab = opened("", nothing)
    expect(tab.locator("main")).to_contain_text("no trial that can be read")
    expect(tab.locator("main")).to_contain_text("why")


def test_rows_without_any_result_still_show(opened: Any, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.fail(ledger, synthetic.trial("tiny"))
    tab = opened("", content(ledger.runs(), "failed"))
    for view in visits(tab):
        assert len(tab.inner_text("main")) > 20, view
        assert "count as –" not in tab.inner_text("main"), view


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system_until_the_reader_chooses(opened: Any, scheme: str) -> None:
    tab = opened("view=pareto", color_scheme=scheme)
    background = "getComputedStyle(document.body).backgroundColor"
    colours = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}
    assert tab.evaluate(background) == colours[scheme]
    other = "dark" if scheme == "light" else "light"
    tab.get_by_role("button", name=other.capitalize(), exact=True).click()
    expect(tab.locator(f"html[data-theme={other}]")).to_be_attached()
    assert tab.evaluate(background) == colours[other]
    tab.reload()
    expect(tab.locator(f"html[data-theme={other}]")).to_be_attached()
    assert tab.evaluate(background) == colours[other]


def test_print_is_light_and_without_controls(opened: Any) -> None:
    tab = opened("view=pareto", color_scheme="dark")
    tab.emulate_media(media="print")
    assert not tab.locator("nav").is_visible()
    assert not tab.locator(".controls").is_visible()
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_settings_show_what_differs_unless_all_are_asked_for(
    opened: Any, shown: dict[str, Any]
) -> None:
    made = json.loads(json.dumps(shown))
    made["comparisons"][0]["rows"][0]["own_settings"] = {"recipe.learning_rate": 0.25}
    tab = opened("view=provenance", made)
    table = tab.get_by_role("region", name="Settings")
    heads = [head.inner_text() for head in table.locator("thead th").all()]
    assert heads[:2] == ["Method", "recipe.learning rate"]
    assert "schedule.growths" not in heads
    expect(table.locator("tbody tr").first).to_contain_text("0.25")
    tab.get_by_label("Only what differs").uncheck()
    expect(table.locator("thead")).to_contain_text("schedule.growths")


def test_names_beside_many_settings_are_not_broken_into_bits(
    opened: Any, shown: dict[str, Any]
) -> None:
    made = json.loads(json.dumps(shown))
    for row in made["comparisons"][0]["rows"]:
        row["own_settings"] = {f"method.some_setting_{i}": row["name"] for i in range(20)}
    tab = opened("view=provenance", made, viewport={"width": 1440, "height": 900})
    table = tab.get_by_role("region", name="Settings")
    name = table.locator("th .row-label > span[title='north_preactivation']").bounding_box()
    assert name["height"] < 30, "one line"
