"""The site names every page of docs/, its links resolve, and it is built without a warning."""

import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
PAGES = sorted(path.name for path in (ROOT / "docs").glob("*.md"))


def leaves(nav):
    for entry in nav:
        for value in entry.values():
            yield from [value] if isinstance(value, str) else leaves(value)


def test_the_navigation_names_every_page_once():
    assert sorted(leaves(CONFIG["nav"])) == PAGES


def test_reading_the_site_needs_no_network():
    assert CONFIG["theme"]["font"] is False
    assert not {"extra_css", "extra_javascript", "analytics"} & CONFIG.keys()


def test_what_the_reference_shows_exists():
    for page in PAGES:
        for name in re.findall(
            r"^::: (nas_bench\S+)", (ROOT / "docs" / page).read_text("utf-8"), re.M
        ):
            module, _, thing = name.rpartition(".")
            assert getattr(importlib.import_module(module), thing).__doc__, name


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    if not importlib.util.find_spec("mkdocs"):
        pytest.skip("mkdocs is not installed: pip install -e '.[docs]'")
    command = ("mkdocs", "build", "--strict", "--site-dir", str(tmp_path))
    built = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    for page in tmp_path.rglob("*.html"):
        sources = re.findall(
            r'(?:src|href)="(https?://[^"]+\.(?:css|js|woff2?))"', page.read_text("utf-8")
        )
        assert not sources, page
