"""``meta/tasks.parquet``: the instructions of a dataset, numbered."""

import json
from pathlib import Path
from typing import Any

from ml.lerobot import layout

_INDEX = "__index_level_0__"


def table(instructions: list[str]) -> Any:
    """As LeRobot's pandas writes it: the texts are the table's index."""
    import pyarrow as pa

    numbers = pa.array(range(len(instructions)), pa.int64())
    described = {
        "index_columns": [_INDEX],
        "column_indexes": [],
        "columns": [
            _pandas_column("task_index", "task_index", "int64", "int64"),
            _pandas_column(None, _INDEX, "unicode", "object"),
        ],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": None,
    }
    plain = pa.table({"task_index": numbers, _INDEX: instructions})
    return plain.replace_schema_metadata({"pandas": json.dumps(described)})


def read(folder: Path) -> list[str]:
    """The instructions of a dataset, in the order of their numbers."""
    import pyarrow.parquet as pq

    columns = pq.ParquetFile(folder / layout.TASKS).read().to_pydict()
    numbers = columns.pop("task_index")
    texts = next(iter(columns.values()))
    return [text for _, text in sorted(zip(numbers, texts, strict=True))]


def _pandas_column(name: str | None, field: str, kind: str, numpy: str) -> dict:
    return {
        "name": name,
        "field_name": field,
        "pandas_type": kind,
        "numpy_type": numpy,
        "metadata": None,
    }
