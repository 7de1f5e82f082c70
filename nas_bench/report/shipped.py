"""What the package's own protocol of a comparison says beside its settings."""

from nas_bench.report.comparison import Comparison
from nas_bench.specs import InputError
from nas_bench.trials.planning import on_task
from nas_bench.trials.protocol import Departure, Protocol, load_protocol, protocol_names


def departures(comparison: Comparison) -> tuple[Departure, ...]:
    """In what the protocol differs from its source."""
    protocol = _protocol(comparison)
    return protocol.departures if protocol else ()


def declared_targets(comparison: Comparison) -> tuple[float, ...]:
    """The validation scores to reach that the protocol names for the task."""
    protocol = _protocol(comparison)
    if protocol is None:
        return ()
    try:
        return on_task(protocol, comparison.task).targets
    except InputError:  # the task has gone
        return ()


def _protocol(comparison: Comparison) -> Protocol | None:
    """None of users' protocols and of other versions."""
    if comparison.protocol not in protocol_names():
        return None
    protocol = load_protocol(comparison.protocol)
    return protocol if protocol.version == comparison.version else None
