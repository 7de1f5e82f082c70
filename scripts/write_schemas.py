"""Write docs/schema/*.json, the JSON Schema of the ledger's files, anew."""

import json
from pathlib import Path

from nas_bench.results.schema import KINDS, schema

FOLDER = Path(__file__).parents[1] / "docs" / "schema"


def main() -> None:
    """Print the files that were written."""
    FOLDER.mkdir(exist_ok=True)
    for file in KINDS:
        path = FOLDER / f"{Path(file).stem}.schema.json"
        path.write_text(json.dumps(schema(file), indent=1) + "\n", "utf-8")
        print(path)


if __name__ == "__main__":
    main()
