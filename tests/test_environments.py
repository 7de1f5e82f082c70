"""Verbs in drawn environments: no traceback, and no exit code but the documented ones."""

import random

import pytest
from benchmarks.environments import PLUGIN, drawn, given, wrong


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_the_environment_decides_nothing(seed, tmp_path):
    (tmp_path / "plugin.py").write_text(PLUGIN)
    chance = random.Random(seed)
    for verb in ("ls protocols --json", "status", "show smoke", "rnu"):
        where = drawn(chance, tmp_path)
        code, said = given(verb, where, tmp_path)
        assert not wrong(code, said), (verb, where, code, said)
