import pickle
import subprocess
import sys

SCRIPT = """
import sys
from dataclasses import dataclass, field
from nas_bench.by_value import pickled

@dataclass(frozen=True)
class Mine:
    one: int = 1
    some: tuple = field(default_factory=tuple)

sys.stdout.buffer.write(pickled(Mine))
"""


def test_a_dataclass_of_a_script_is_one_in_another_process():
    from nas_bench.options import options_of, options_without_default

    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True)
    mine = pickle.loads(done.stdout)
    assert mine() == mine(1, ())
    assert options_without_default(mine) == []
    assert {name: default for name, (_, default) in options_of(mine).items()} == {
        "one": 1, "some": (),
    }  # fmt: skip
