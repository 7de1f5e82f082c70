"""In what the protocol of a comparison differs from its source."""

from nas_bench.report.comparison import Comparison
from nas_bench.trials.protocol import Departure, load_protocol, protocol_names


def departures(comparison: Comparison) -> tuple[Departure, ...]:
    """What the protocol says of itself; nothing of users' protocols and of other versions."""
    if comparison.protocol not in protocol_names():
        return ()
    protocol = load_protocol(comparison.protocol)
    return protocol.departures if protocol.version == comparison.version else ()
