import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nas_bench.results.environment import core_hash, environment, source_hash


def loaded(path: Path, source: str) -> type:
    path.write_text(source)
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = module
    specification.loader.exec_module(module)
    return module.A


def test_the_environment_is_plain_json_with_versions_and_processor() -> None:
    found = environment()
    assert json.loads(json.dumps(found)) == found
    assert found["packages"]["torch"]
    assert found["cpu"]["model"]
    assert found["cpu"]["cores"] > 0


def test_docstrings_and_comments_do_not_change_the_source_hash(tmp_path: Path) -> None:
    bare = loaded(tmp_path / "bare.py", "class A:\n    def f(self): return 1\n")
    text = '"""Module."""\n# why\nclass A:\n    """A."""\n    def f(self): "F."; return 1\n'
    documented = loaded(tmp_path / "documented.py", text)
    changed = loaded(tmp_path / "changed.py", "class A:\n    def f(self): return 2\n")
    assert source_hash(bare) == source_hash(documented) != source_hash(changed)


def test_a_class_without_source_is_one_sentence() -> None:
    with pytest.raises(ValueError, match="no source of"):
        source_hash(int)


def test_neither_the_package_nor_the_ledger_imports_anything_heavy() -> None:
    code = (
        "import sys, nas_bench, nas_bench.results.ledger, nas_bench.results.environment as e;"
        "nas_bench.__version__; e.environment();"
        "print([m for m in ('torch', 'ray', 'pandas', 'numpy', 'matplotlib') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    import nas_bench

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        nas_bench.nothing  # noqa: B018


@pytest.mark.parametrize("locale", ["C", "de_DE.ISO-8859-1", "xx_XX.nonsense"])
def test_the_locale_does_not_change_the_hash_of_the_core(locale: str) -> None:
    code = "from nas_bench.results.environment import core_hash; print(core_hash())"
    variables = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | variables)
    assert (done.stdout.strip(), done.stderr) == (core_hash(), "")
