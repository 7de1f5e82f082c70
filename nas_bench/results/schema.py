"""JSON Schema of the ledger's files, made from the classes that read and write them."""

from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import FloatSchema

from nas_bench.results.layout import CURVE, GROWTH, RUN
from nas_bench.results.summary import SCHEMA, Summary
from nas_bench.trials.messages import GrowthRecord, Record

KINDS: dict[str, tuple[type, str]] = {
    RUN: (Summary, "One trial of nas-bench: what it was, how it ended and what it cost."),
    CURVE: (Record, "A line of the file: one measured point of a trial."),
    GROWTH: (GrowthRecord, "A line of the file: one attempt to grow one site."),
}
"""What each file, or each of its lines, holds."""
NEVER_WRITTEN = ("damaged", "unreadable")
"""Statuses of trials that cannot be read."""


class _Numbers(GenerateJsonSchema):
    """Floats as the ledger writes them: JSON has no NaN and no infinity."""

    def float_schema(self, schema: FloatSchema) -> JsonSchemaValue:
        return {"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]}


def schema(file: str) -> dict[str, Any]:
    """The schema of a file of the ledger, or of each line of a `.jsonl` file.

    Args:
        file: run.json, curve.jsonl or growth.jsonl.
    """
    kind, description = KINDS[file]
    made = TypeAdapter(kind).json_schema(schema_generator=_Numbers)
    if file == RUN:
        made["properties"]["schema"]["const"] = SCHEMA
        known = made["properties"]["status"]["enum"]
        made["properties"]["status"]["enum"] = [s for s in known if s not in NEVER_WRITTEN]
    head = {"$schema": _Numbers.schema_dialect, "title": file, "description": description}
    return made | head
