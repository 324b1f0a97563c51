"""The recorded results as the README's tables.

python -m benchmarks.table            # print them
python -m benchmarks.table --write    # and put them into README.md
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- results:", "<!-- /results -->"

Result = dict[str, Any]


def results() -> dict[str, Result]:
    """Everything under ``benchmarks/results``, by name."""
    return {p.stem: json.loads(p.read_text()) for p in sorted(RESULTS.glob("*.json"))}


def tables() -> str:
    """Markdown: success rates first, then every figure with its bar."""
    recorded = results()
    lines = ["| task | policy | randomisation | engine | success | n | command |"]
    lines.append("|---|---|---|---|---|---|---|")
    for result in recorded.values():
        for row in result.get("rows", []):
            if isinstance(row, dict) and "successes" in row:
                lines.append(_success(row, result["command"]))
    lines += ["", "| figure | measured | bar | command |", "|---|---|---|---|"]
    for result in recorded.values():
        for bar in result.get("bars", []):
            lines.append(_figure(bar, result["command"]))
    return "\n".join(lines)


def _success(row: Result, command: str) -> str:
    rate = _rate(row, "")
    if "benchmark_success_rate" in row:
        rate += f"; benchmark's {_rate(row, 'benchmark_')}"
    return (
        f"| `{row['task']}` | {row['policy']} | {row['randomize']} | {row['engine']} "
        f"| {rate} | {row['n']} | `{command}` |"
    )


def _rate(row: Result, prefix: str) -> str:
    low, high = (100 * row[f"{prefix}ci_{end}"] for end in ("low", "high"))
    return f"{100 * row[f'{prefix}success_rate']:.1f}% ({low:.1f} to {high:.1f})"


def _figure(bar: Result, command: str) -> str:
    missed = "" if bar["met"] else " **(missed)**"
    return (
        f"| {bar['what']} | {bar['figure']:.3g}{missed} | {bar['bar']} | `{command}` |"
    )


def section(text: str) -> tuple[int, int]:
    """Where the tables stand in the README: from after the first marker to the last."""
    return text.index("\n", text.index(BEGIN)) + 1, text.index(END)


def main() -> None:
    """Print, and write where asked to."""
    parser = argparse.ArgumentParser(description="recorded results as tables")
    parser.add_argument("--write", action="store_true", help="into README.md")
    write = parser.parse_args().write
    print(tables())
    if write:
        text = README.read_text()
        start, end = section(text)
        README.write_text(f"{text[:start]}{tables()}\n{text[end:]}")


if __name__ == "__main__":
    main()
