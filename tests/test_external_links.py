"""The script that looks for external links which lead nowhere, on a server of this machine."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from server import served

SCRIPT = Path(__file__).parents[1] / "scripts" / "external_links.py"


@pytest.fixture(scope="module")
def links():
    spec = spec_from_file_location("external_links", SCRIPT)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_addresses_of_prose_are_found_and_those_of_code_are_not(links):
    text = "[a](https://a.org/x#y), https://b.org. `https://c.org`\n```\nhttp://d.org\n```"
    assert list(links.addresses(text)) == ["https://a.org/x", "https://b.org"]


def test_what_is_not_there_is_named_with_the_reason(links, tmp_path):
    (tmp_path / "page.html").write_text("here")
    with served(tmp_path) as place:
        assert links.problem(f"{place}/page.html") is None
        assert links.problem(f"{place}/lost.html").startswith("404")
    assert links.problem(f"{place}/page.html", 1.0)
