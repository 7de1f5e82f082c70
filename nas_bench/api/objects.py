"""Methods and tasks as Python has them, classes and instances, and the specs that name them."""

from typing import Any, Literal

from nas_bench.specs import InputError, Spec, shown

Kind = Literal["method", "task"]


def spec_of(named: Any, kind: Kind) -> str:
    """The spec of a method or task, which is known in this process from now on.

    Args:
        named: a spec, a class or an instance.
        kind: what it has to be.

    Raises:
        InputError: if it is no plugin of this kind, or its options cannot be written as a spec.
    """
    if isinstance(named, str):
        return named
    from nas_bench import discovery, plugins

    cls = named if isinstance(named, type) else type(named)
    if not issubclass(cls, discovery.base(kind)):
        example = "tiny" if kind == "method" else "digits"
        raise InputError(
            f"{shown(named)} is no {kind}: give a spec such as '{example}', or a class or an "
            f"instance of {discovery.base(kind).__name__}"
        )
    plugin = plugins.make_known(cls, kind)
    if named is cls:
        return plugin.name
    return _with_options(named, plugin.name, kind)


def _with_options(instance: Any, name: str, kind: Kind) -> str:
    from nas_bench import plugins
    from nas_bench.options import changed_options

    try:
        spec = str(Spec(name, changed_options(instance)))
    except TypeError as error:
        raise InputError(f"{kind} {name}: an option has no JSON form: {error}") from None
    read_back = plugins.method(spec) if kind == "method" else plugins.task(spec)
    if vars(read_back) != vars(instance):
        raise InputError(f"{kind} {name}: its options cannot be written as a spec ({spec})")
    return spec
