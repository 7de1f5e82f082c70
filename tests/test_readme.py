"""The code of the README and the docs works as it stands."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)


def test_the_tutorial_grows_a_network_in_a_loop_of_ones_own(capsys):
    page = "docs/tutorial-grow.md"
    code, after = blocks(page, "python")
    namespace = {}
    exec(compile(code, page, "exec"), namespace)
    printed = capsys.readouterr().out
    events = [line for line in printed.splitlines() if "loss falls" in line]
    assert len(events) == 4
    assert events[0].startswith("50 added 4 loss falls by 0.")
    assert float(printed.split()[-1]) > 0.97
    exec(compile(after, page, "exec"), namespace)
    out, err = capsys.readouterr()
    assert out.startswith("about ")
    assert err.startswith("growing 0 by tiny: about ")


@pytest.mark.slow
def test_the_python_of_the_docs_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shown, own = blocks("docs/api.md", "python")
    exec(compile(shown, "api.md", "exec"), {})
    assert "random_growth" in capsys.readouterr().out
    assert (tmp_path / "out" / "report" / "report.html").is_file()
    namespace = {"__name__": "docs"}
    exec(compile(own, "api.md", "exec"), namespace)
    assert namespace["Louder"]() == namespace["Louder"]()


@pytest.mark.slow
@pytest.mark.parametrize(("place", "name"), [(0, "greedy"), (1, "halved")])
def test_the_method_and_the_trigger_in_the_docs_pass_the_contract(
    place, name, tmp_path, monkeypatch
):
    from nas_bench import plugins
    from nas_bench.contract import check_plugin

    monkeypatch.setattr(plugins, "_loaded", {})
    path = tmp_path / f"{name}.py"
    path.write_text(blocks("docs/plugins.md", "python")[place], "utf-8")
    plugins.load_path(path)
    failed = [check for check in check_plugin(name, tmp_path) if not check.ok]
    assert not failed


@pytest.mark.parametrize(
    "page", ["README.md", *(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))]
)
def test_links_between_pages_lead_somewhere(page):
    text = (ROOT / page).read_text("utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert ((ROOT / page).parent / target).exists(), target
