"""What every plugin must keep to, as checks that run on any method or task."""

from pathlib import Path

from nas_bench import plugins
from nas_bench.contract.finding import Check
from nas_bench.contract.methods import check_method
from nas_bench.contract.tasks import check_task, is_present
from nas_bench.specs import parse, unknown

__all__ = ["Check", "check_method", "check_plugin", "check_task", "is_present"]


def check_plugin(spec: str, data: Path) -> list[Check]:
    """The findings on a method or task, given as a spec.

    Args:
        spec: such as `tiny[projection=false]`.
        data: folder of data sets; nothing is downloaded into it.

    Raises:
        PluginError: if there is none of this name, or an option does not fit.
    """
    name, methods, tasks = parse(spec).name, plugins.methods(), plugins.tasks()
    if name not in {*methods, *tasks}:
        raise plugins.PluginError(unknown("method or task", name, {*methods, *tasks}))
    found = methods.get(name) or tasks[name]
    if found.error:
        return [Check("can be imported", ok=False, message=found.error)]
    if found.kind == "method":
        return check_method(plugins.method(spec))
    return check_task(plugins.task(spec), data)
