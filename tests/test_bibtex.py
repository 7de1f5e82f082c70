import pytest

from nas_bench import plugins
from nas_bench.cli import status
from nas_bench.commands.bibtex import bibtex

TINY = """@misc{verbockhaven2024growing,
  title = {{Growing Tiny Networks: Spotting Expressivity Bottlenecks and Fixing Them Optimally}},
  author = {Verbockhaven and Rudkiewicz and Chevallier and Charpiat},
  year = {2024},
  eprint = {2405.19816},
  archivePrefix = {arXiv},
  url = {https://arxiv.org/abs/2405.19816},
}
"""


def test_show_prints_the_paper_of_a_method(capsys):
    assert status(["show", "tiny[update=false]", "--bibtex"]) == 0
    assert capsys.readouterr().out == TINY


def test_all_methods_with_a_paper_have_entries_with_authors():
    entries = {}
    for name, plugin in plugins.everything().items():
        if plugin.kind == "method" and plugin.cls.reference and name != "fixed":
            entries[name] = bibtex(plugin.cls, name)
    assert len(entries) > 10
    assert not [name for name, entry in entries.items() if "unknown" in entry]
    gradmax = "Evci and van Merriënboer and Unterthiner and Vladymyrov and Pedregosa"
    assert f"author = {{{gradmax}}}" in entries["gradmax"]
    title = "When, where, and how to add new neurons to ANNs"
    assert f"title = {{{{{title}}}}}" in entries["north_select"]
    assert "author = {Wang and others}" in entries["splitting"]
    assert entries["net2net"].count("@misc{") == 4
    assert "eprint" not in entries["cascade_correlation"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("fixed", "fixed names no paper"), ("tinny", "unknown method, task or trigger")],
)
def test_what_has_no_paper_is_said(name, sentence, capsys):
    assert status(["show", name, "--bibtex"]) == 2
    assert sentence in capsys.readouterr().err.replace("\n", " ")
