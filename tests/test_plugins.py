import importlib
import subprocess
import sys
import textwrap

import pytest

from nas_bench import plugins
from nas_bench.options import validated
from nas_bench.plugins import PluginError
from nas_bench.results.environment import source_hash
from nas_bench.templates import METHOD, TASK, TRIGGER

NAMELESS = METHOD.replace('    name: ClassVar[str] = "{name}"\n', "")
BUILT_IN = {"fixed", "gradmax", "north_preactivation", "random_growth", "tiny"}


@pytest.fixture(autouse=True)
def _forget_files(monkeypatch):
    monkeypatch.setattr(plugins, "_loaded", {})


def written(folder, name, text=METHOD, cls="Mine"):
    """A plugin file that someone wrote."""
    path = folder / f"{name}.py"
    path.write_text(text.replace("{name}", name).replace("{Name}", cls))
    return path


def installed(folder, monkeypatch, group, value):
    """A package on the path that has an entry point."""
    metadata = folder / "stranger-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{group}]\nstranger = {value}\n")
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()


def test_the_built_in_plugins_come_through_the_entry_points():
    assert plugins.methods().keys() >= BUILT_IN
    assert plugins.tasks().keys() >= {"digits", "sine", "mnist", "fashion_mnist"}
    assert not [p for p in (*plugins.methods().values(), *plugins.tasks().values()) if p.error]


def imported(code, heavy):
    """Which of these modules some code imports."""
    code = f"import sys; {code}; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_plugins_imports_nothing_heavy():
    heavy = {"torch", "ray", "pandas", "matplotlib", "sklearn", "pydantic"}
    assert imported("import nas_bench.plugins", heavy) == "[]"


@pytest.mark.slow
def test_the_built_in_plugins_import_nothing_heavy_but_torch():
    heavy = {"torch", "torchvision", "ray", "pandas", "matplotlib", "sklearn", "scipy", "sympy"}
    code = "from nas_bench import plugins; plugins.methods(), plugins.tasks(), plugins.triggers()"
    assert imported(code, heavy) == "['torch']"


def test_a_method_has_its_options():
    assert plugins.method("tiny[projection=false]").projection is False
    assert plugins.task("mnist[target_widths=[20,10]]").target_widths == (20, 10)


def test_only_options_that_differ_are_part_of_the_canonical_spec():
    spec = "tiny[update=False,projection=true]"
    assert plugins.canonical(spec, "method") == "tiny[update=false]"
    assert plugins.canonical("fixed[size=target]", "method") == "fixed"
    widths = "mnist[target_widths=[20, 10]]"
    assert plugins.canonical(widths, "task") == "mnist[target_widths=[20,10]]"


def test_a_canonical_spec_is_its_own():
    for spec in ("gradmax[scale=1e-3]", "fixed[size=seed]", "tiny"):
        canonical = plugins.canonical(spec, "method")
        assert plugins.canonical(canonical, "method") == canonical
    assert plugins.canonical("gradmax[scale=1e-3]", "method") == "gradmax[scale=0.001]"


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("tni", "unknown method 'tni': did you mean tiny"),
        ("tiny[projektion=false]", "method tiny: unknown option 'projektion': did you mean proj"),
        (
            "tiny[k=5]",
            "unknown option 'k': choose from exact, fisher, largest_amplitude, line_search",
        ),
        ("tiny[update=abc]", "option update cannot be 'abc': expected true or false"),
        ("tiny[update=1]", "option update cannot be 1: expected true or false"),
        ("tiny[update=yes]", "option update cannot be 'yes': expected true or false"),
        ("gradmax[scale=true]", "option scale cannot be True: expected a number"),
        ('gradmax[scale="2"]', "option scale cannot be '2': expected a number"),
        ("gradmax[scale=NaN]", "option scale cannot be nan"),
        ("fixed[size=big]", "option size cannot be 'big': expected 'target' or 'seed'"),
        ("random_growth[update=true,zero_fan_out=true]", "not both"),
        ("gradmax[scale=-1]", "scale is -1.0, expected a number greater than 0"),
        ("north_preactivation[candidates=-5]", "candidates is -5, expected a number from 1"),
        ("north_preactivation[candidates=2.5]", "cannot be 2.5: expected a whole number"),
    ],
)
def test_what_cannot_be_used_gets_one_sentence(spec, sentence):
    with pytest.raises(PluginError) as caught:
        plugins.method(spec)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("digits[target_widths=[5]]", "must have one width each for every hidden layer"),
        ("digits[target_widths=[],seed_widths=[]]", "must have one width each"),
        ("digits[target_widths=[0,5]]", "is below 1 or above 100000: expected whole"),
        ("digits[seed_widths=[1,-1]]", "is below 1 or above 100000: expected whole"),
        ('digits[target_widths=["5",5]]', "target_widths cannot be '5': expected a whole number"),
        ("digits[target_widths=[true,5]]", "target_widths cannot be True: expected a whole num"),
        ("digits[target_widths=5]", "cannot be 5: expected a list, such as [1,2]"),
        ("sine[samples=-5]", "samples is -5, expected a number from 10"),
    ],
)
def test_a_task_that_cannot_be_gets_one_sentence(spec, sentence):
    with pytest.raises(PluginError) as caught:
        plugins.task(spec)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_adds_its_method_and_task(tmp_path):
    method = written(tmp_path, "mine")
    task = written(tmp_path, "rings", TASK, "Rings")
    assert [plugin.name for plugin in plugins.load_path(method)] == ["mine"]
    plugins.load_path(task)
    assert plugins.method("mine[scale=2]").scale == 2.0
    assert plugins.task("rings").target_widths == (16,)


def test_loading_a_file_twice_gives_the_same_class(tmp_path):
    path = written(tmp_path, "mine")
    assert plugins.load_path(path) == plugins.load_path(path)


@pytest.mark.slow
def test_a_file_keeps_its_module_name_in_every_process(tmp_path):
    (plugin,) = plugins.load_path(written(tmp_path, "mine"))
    code = f"from nas_bench import plugins; from pathlib import Path; p = Path({str(tmp_path)!r})"
    code += "; print(plugins.load_path(p / 'mine.py')[0].cls.__module__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert plugin.cls is not None
    assert done.stdout.strip() == plugin.cls.__module__


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("import nothing_of_this_name", "does not import: ModuleNotFoundError"),
        ("def (", "does not import: SyntaxError"),
        ("raise SystemExit(3)", "does not import: it called sys.exit(3)"),
        ("from beside import x", "a plugin file stands alone"),
        ("from . import beside", "a plugin file stands alone"),
        ("x = 1", "defines no subclass of GrowthMethod, Task or Trigger"),
        (METHOD.replace("@dataclass(frozen=True)\n", ""), "not decorated with @dataclass"),
        (METHOD.replace("scale: float = 1.0", "scale: float"), "options without default: scale"),
        (METHOD.replace('"{name}"', '"my name"'), "its name is 'my name': use letters"),
        (METHOD.replace('"{name}"', '"tiny"'), "define a method named tiny: rename one"),
        (METHOD.replace("def propose", "def propos"), "Mine does not define propose"),
        (NAMELESS, 'Mine has no name: add name: ClassVar[str] = "mine"'),
        (NAMELESS.replace("def propose", "def propos"), "Mine does not define propose"),
        (METHOD.replace("    summary:", "    other:"), "Mine has no summary: add summary"),
        (METHOD.replace(": float = 1.0", ': "Flaot" = 1.0'), "NameError: name 'Flaot' is not"),
        (TASK.replace("= (16,)", "= (16, 4)"), "cannot be made with its default options"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_sentence(tmp_path, text, sentence):
    path = written(tmp_path, "mine", text)
    written(tmp_path, "beside")
    with pytest.raises(PluginError) as caught:
        plugins.load_path(path)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "mine" not in plugins.methods()
    assert plugins.methods()["tiny"].error is None


def test_a_clash_names_both_origins(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    plugins.load_path(written(first, "mine"))
    with pytest.raises(PluginError) as caught:
        plugins.load_path(written(second, "mine"))
    assert str(first) in str(caught.value)
    assert str(second) in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(PluginError, match="is not there"):
        plugins.load_path(tmp_path / "mine.py")
    with pytest.raises(PluginError, match=r"is a folder: give the path of a \.py file"):
        plugins.load_path(tmp_path)


def test_a_class_that_others_extend_is_no_plugin_of_its_own(tmp_path):
    text = NAMELESS + METHOD.replace("(GrowthMethod)", "(Mine)").replace("{Name}", "Other")
    found = plugins.load_path(written(tmp_path, "mine", text))
    assert [plugin.name for plugin in found] == ["mine"]


@pytest.mark.parametrize("target", ["", ":OfStranger"])
def test_an_installed_package_adds_its_method(tmp_path, monkeypatch, target):
    module = f"stranger_{'class' if target else 'module'}"
    text = METHOD.replace("{Name}", "OfStranger").replace("{name}", "of_stranger")
    (tmp_path / f"{module}.py").write_text(text)
    installed(tmp_path, monkeypatch, "nas_bench.methods", module + target)
    assert plugins.method("of_stranger").name == "of_stranger"
    assert plugins.methods().keys() >= BUILT_IN


def test_an_installed_package_adds_its_trigger(tmp_path, monkeypatch):
    text = TRIGGER.replace("{Name}", "OfStranger").replace("{name}", "of_stranger")
    (tmp_path / "stranger_trigger.py").write_text(text)
    installed(tmp_path, monkeypatch, "nas_bench.triggers", "stranger_trigger")
    assert plugins.trigger("of_stranger[share=0.9]").reads == ("train_loss",)
    assert plugins.canonical("of_stranger[share=0.5]", "trigger") == "of_stranger"


def test_broken_plugins_are_listed_and_others_still_work(tmp_path, monkeypatch):
    package = tmp_path / "stranger_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "good.py").write_text(METHOD.replace("{Name}", "Good").replace("{name}", "good"))
    (package / "bad.py").write_text("raise RuntimeError('no luck\\nat all')")
    installed(tmp_path, monkeypatch, "nas_bench.methods", "stranger_package")
    found = plugins.methods()
    assert found["good"].error is None
    assert found["bad"].error == "RuntimeError: no luck"
    assert found["bad"].origin == "stranger_package.bad"
    with pytest.raises(PluginError, match="is broken: RuntimeError: no luck"):
        plugins.method("bad")


def test_an_entry_point_that_does_not_load_is_listed_as_broken(tmp_path, monkeypatch):
    installed(tmp_path, monkeypatch, "nas_bench.tasks", "not_there_at_all")
    found = plugins.tasks()["stranger"]
    assert found.cls is None
    assert found.error is not None
    assert "ModuleNotFoundError" in found.error
    assert plugins.task("digits").name == "digits"


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        ("raise SystemExit", "stranger", "it called sys.exit()"),
        (METHOD.replace("def propose", "def propos"), "of_stranger", "does not define propose"),
        (METHOD.replace("    name:", "    no_name:"), "OfStranger", "OfStranger has no name"),
    ],
)
def test_an_installed_plugin_that_lacks_something_is_listed(
    tmp_path, monkeypatch, text, name, reason
):
    module = f"stranger_without_{name}"
    text = text.replace("{Name}", "OfStranger").replace("{name}", "of_stranger")
    (tmp_path / f"{module}.py").write_text(text)
    installed(tmp_path, monkeypatch, "nas_bench.methods", module)
    error = plugins.methods()[name].error
    assert error is not None
    assert reason in error
    assert plugins.methods().keys() >= BUILT_IN


def test_a_built_in_plugin_keeps_its_name(tmp_path, monkeypatch):
    text = METHOD.replace("{Name}", "Second").replace("{name}", "tiny")
    (tmp_path / "stranger_clash.py").write_text(text)
    installed(tmp_path, monkeypatch, "nas_bench.methods", "stranger_clash")
    assert type(plugins.method("tiny")).__module__ == "nas_bench.methods.tiny"
    error = plugins.methods()["stranger_clash:Second"].error
    assert error is not None
    assert "nas_bench.methods.tiny:Tiny" in error
    assert "stranger_clash:Second" in error


def test_two_strangers_with_one_name_break_only_that_name(tmp_path, monkeypatch):
    text = METHOD.replace("{name}", "mine")
    (tmp_path / "stranger_twice.py").write_text(
        text.replace("{Name}", "First") + text.replace("{Name}", "Second")
    )
    installed(tmp_path, monkeypatch, "nas_bench.methods", "stranger_twice")
    error = plugins.methods()["mine"].error
    assert error is not None
    assert "stranger_twice:First and stranger_twice:Second" in error
    assert plugins.method("gradmax").name == "gradmax"


@pytest.mark.parametrize("folder", ["methods", "tasks"])
def test_a_plugin_folder_under_another_name_says_how_to_reach_it(folder):
    code = textwrap.dedent(f"""
        import importlib.util, sys
        import nas_bench.{folder} as ours
        spec = importlib.util.spec_from_file_location("{folder}", ours.__file__)
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert f"ImportError: this folder is the package nas_bench.{folder}, not" in done.stderr


def test_options_of_any_dataclass_are_checked():
    from nas_bench.training.task import Recipe

    assert validated({"learning_rate": 1e-3}, Recipe, "recipe") == {"learning_rate": 1e-3}
    with pytest.raises(PluginError, match="batch_growth cannot be 1: expected true or false"):
        validated({"batch_growth": 1}, Recipe, "recipe")
    with pytest.raises(PluginError, match="recipe: unknown option 'lerning_rate': did you mean"):
        validated({"lerning_rate": 1}, Recipe, "recipe")


def test_a_plugin_with_a_comment_that_is_not_utf_8_has_a_hash_where_it_imports(tmp_path):
    path = written(tmp_path, "mine")
    path.write_bytes(path.read_bytes() + b"# caf\xe9\n")
    (plugin,) = plugins.load_path(path)
    assert plugin.cls is not None
    assert len(source_hash(plugin.cls)) == 16
