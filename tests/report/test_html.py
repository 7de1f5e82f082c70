import base64
import gzip
import hashlib
import html
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import synthetic

from nas_bench.report.content import content
from nas_bench.report.html import page
from nas_bench.results.ledger import Ledger

PAGE = files("nas_bench.report") / "page"
LIBRARIES = json.loads((PAGE / "vendor" / "libraries.json").read_text())


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    ledger = synthetic.sweep(tmp_path_factory.mktemp("ledger"))
    return content(Ledger(ledger.folder).runs(), "made up")


def embedded(made: bytes) -> Any:
    found = re.search(
        r'<script type="application/json" id="content">(.*?)</script>', made.decode()
    )
    assert found
    return json.loads(found[1])


def unpacked(made: str, name: str) -> str:
    found = re.search(f'type="application/gzip" id="{name}">(.*?)</script>', made)
    assert found
    return gzip.decompress(base64.b64decode(found[1])).decode()


def script(made: bytes) -> str:
    return unpacked(made.decode(), "code")


def test_the_page_holds_the_content_as_it_is(shown: dict[str, Any]) -> None:
    assert embedded(page(shown)) == shown


@pytest.mark.parametrize("name", ["</script>", "<!--<script>", "\ud800", "\u2028", '"&amp;'])
def test_nothing_in_the_content_ends_its_element(shown: dict[str, Any], name: str) -> None:
    made = page(shown | {"results": name, "problems": [name]})
    assert embedded(made)["problems"] == [name]
    title = re.search(r"<title>(.*?) · nas-bench</title>", made.decode())
    assert title
    assert html.unescape(title[1]) == name.encode(errors="replace").decode()
    assert made.count(b"<script") == page(shown).count(b"<script")


def test_curves_have_five_digits(shown: dict[str, Any]) -> None:
    rows = shown["comparisons"][0]["rows"]
    curves = [row["curve"] for row in rows if row["curve"]]
    assert {name for curve in curves for name in curve} >= {"mean", "sd", "median", "low", "high"}
    values = [value for curve in curves for own in curve.values() for value in own]
    assert values == [float(f"{value:.5g}") for value in values]
    assert rows[0]["score"]["sd"] != float(f"{rows[0]['score']['sd']:.5g}")


def test_a_small_ledger_makes_a_small_page(shown: dict[str, Any]) -> None:
    few = {"comparisons": [], "across": [], "environments": []}
    assert len(page(shown | few)) < 350_000


def test_the_same_content_gives_the_same_bytes(shown: dict[str, Any]) -> None:
    assert page(shown) == page(json.loads(json.dumps(shown)))


def test_numbers_that_json_cannot_hold_are_refused(shown: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="JSON"):
        page(shown | {"testable_from": float("nan")})


def test_the_browser_may_run_the_page_s_own_code_and_load_nothing(shown: dict[str, Any]) -> None:
    made = page(shown).decode()
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', made)
    loader = re.search(r"<script>(.*?)</script>", made, re.DOTALL)
    assert policy
    assert loader
    sums = [hashlib.sha256(text.encode()).digest() for text in (loader[1], unpacked(made, "code"))]
    allowed = " ".join(f"'sha256-{base64.b64encode(each).decode()}'" for each in sums)
    assert policy[1].startswith(f"default-src 'none'; script-src {allowed};")
    assert "unsafe-eval" not in policy[1]
    assert "\r" not in made
    assert not re.search(
        r"<(link|img|iframe|script)[^>]*\s(src|href)=", made.partition("<script")[0]
    )


def test_the_page_never_makes_markup_of_data() -> None:
    own = "".join(path.read_text() for path in Path(str(PAGE)).glob("*.js"))
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", own)


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library["package"])
def test_libraries_are_as_published_and_carry_their_licence(
    shown: dict[str, Any], library: dict[str, str]
) -> None:
    code = (PAGE / "vendor" / library["file"]).read_bytes()
    assert hashlib.sha256(code).hexdigest() == library["sha256"]
    assert library["version"] in code[:200].decode()
    licence = (PAGE / "vendor" / f"{library['file']}.LICENSE").read_text()
    assert "Permission to use, copy, modify" in licence
    assert licence in script(page(shown))


def many(shown: dict[str, Any], trials: int, records: int) -> dict[str, Any]:
    """The content of as many trials, with curves that long and an event at every third record."""
    found = shown["comparisons"][0]
    model = next(r for r in found["rows"] if r["name"] == "tiny")
    trial = model["trials"][0]
    steps = [15 * n for n in range(records)]
    curve = {"step": steps, "score": [round(90 + n / 7, 3) for n in range(records)]}
    events = [trial["events"][n % len(trial["events"])] for n in range(records // 3)]
    long = trial | {"curve": curve, "events": events}
    rows = [
        model | {"name": f"tiny[k={n}]", "trials": [long | {"seed": s} for s in range(10)]}
        for n in range(20)
    ]
    copies = trials // 200
    return shown | {"comparisons": [found | {"id": f"c{n}", "rows": rows} for n in range(copies)]}


def test_a_large_ledger_makes_a_page_that_can_be_sent(shown: dict[str, Any]) -> None:
    large = many(shown, trials=3000, records=60)
    made = page(large)
    assert len(made) <= 1_000_000
    assert by_record(json.loads(unpacked(made.decode(), "content"))) == large


def by_record(value: Any) -> Any:
    """As the page reads what it holds by columns."""
    if isinstance(value, list):
        return list(map(by_record, value))
    if not isinstance(value, dict):
        return value
    if value.keys() != {"=", "columns"}:
        return {name: by_record(part) for name, part in value.items()}
    columns = map(by_record, value["columns"])
    return [dict(zip(value["="], record, strict=True)) for record in zip(*columns, strict=True)]
