"""What every plugin must keep to, as checks that run on any method, task or trigger."""

from pathlib import Path

from nas_bench import plugins
from nas_bench.contract.finding import Check
from nas_bench.contract.methods import check_method
from nas_bench.contract.tasks import check_task, is_present
from nas_bench.contract.triggers import check_trigger
from nas_bench.specs import parse, unknown

__all__ = ["Check", "check_method", "check_plugin", "check_task", "check_trigger", "is_present"]


def check_plugin(spec: str, data: Path) -> list[Check]:
    """The findings on a method, task or trigger, given as a spec.

    Args:
        spec: such as `tiny[projection=false]`.
        data: folder of data sets; nothing is downloaded into it.

    Raises:
        PluginError: if there is none of this name, or an option does not fit.
    """
    name, known = parse(spec).name, plugins.everything()
    if name not in known:
        raise plugins.PluginError(unknown("method, task or trigger", name, known))
    found = known[name]
    if found.error:
        return [Check("can be imported", ok=False, message=found.error)]
    if found.kind == "method":
        return check_method(plugins.method(spec))
    if found.kind == "trigger":
        return check_trigger(plugins.trigger(spec))
    return check_task(plugins.task(spec), data)
