"""The recorded results as tables: all of them, and the README's short one.

python -m benchmarks.table            # print the README's
python -m benchmarks.table --write    # write README.md, docs/results.md and
                                      # docs/reinforcement-learning.md
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
ALL = ROOT / "docs" / "results.md"
BEGIN, END = "<!-- results:", "<!-- /results -->"
ENGINES = ("mujoco", "bullet")
SUMMARY = ("experts", "aloha_experts", "pretrained")
"""Files whose rows the README shows: who comes along, engine beside engine."""
ABLATION = ("part", "name", "n", "strict", "benchmark's", "front way")

Result = dict[str, Any]


def results() -> dict[str, Result]:
    """Everything under ``benchmarks/results``, by name."""
    return {p.stem: json.loads(p.read_text()) for p in sorted(RESULTS.glob("*.json"))}


def grid(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> list[str]:
    """Lines of a Markdown table."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(map(str, line)) + " |" for line in lines]


def summary() -> str:
    """The README's: policies that come along by engine, and the bars counted."""
    recorded = results()
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for name in SUMMARY:
        for row in recorded.get(name, {}).get("rows", []):
            if row["randomize"] == "none":
                place = cells.setdefault((row["task"], row["policy"]), {})
                place[row["engine"]] = f"{success(row)}, n {row['n']}"
    rows = [
        [f"`{task}`", policy, *(found.get(e, "") for e in ENGINES)]
        for (task, policy), found in sorted(cells.items())
    ]
    lines = grid(("task", "policy", "success in MuJoCo", "success in PyBullet"), rows)
    counted = [
        [f"`{r['command']}`", len(r["bars"]), sum(bar["met"] for bar in r["bars"])]
        for r in recorded.values()
        if r.get("bars")
    ]
    lines += ["", *grid(("command", "bars", "met"), counted)]
    missed = [b for r in recorded.values() for b in r.get("bars", []) if not b["met"]]
    lines += ["", "Missed:" if missed else "None is missed."]
    lines += [f"- {b['what']}: {b['figure']:.3g}, bar {b['bar']}" for b in missed]
    open_ = [what for r in recorded.values() for what in r.get("not_measured", [])]
    if open_:
        lines += ["", "Not measured:", *(f"- {what}" for what in open_)]
    return "\n".join(lines)


def everything() -> str:
    """All rows and bars, a section for each command."""
    lines = ["# Every recorded result", ""]
    lines += ["Written by `python -m benchmarks.table --write` from the files under"]
    lines += ["`benchmarks/results/`, which name versions, commit, machine and date."]
    lines += ["Intervals are 95% Wilson ones, in percent."]
    for result in results().values():
        lines += ["", f"## `{result['command']}`"]
        for part in (_rows(result), _ablations(result), _bars(result)):
            if part:
                lines += ["", *part]
        lines += [f"\nNot measured: {x}" for x in result.get("not_measured", [])]
    return "\n".join(lines) + "\n"


def _rows(result: Result) -> list[str]:
    rows = [
        [f"`{r['task']}`", r["policy"], r["randomize"], r["engine"], success(r), r["n"]]
        for r in result.get("rows", [])
        if isinstance(r, dict) and "successes" in r
    ]
    head = ("task", "policy", "randomisation", "engine", "success", "n")
    return grid(head, rows) if rows else []


def _ablations(result: Result) -> list[str]:
    rows = []
    for row in result.get("table", []):
        if "part" not in row:  # a table of another kind
            continue
        share = f"{row['share_of_front']:.0%}" if "share_of_front" in row else ""
        strict, theirs = rate(row, ""), rate(row, "benchmark_")
        rows.append([row["part"], row["name"], row["n"], strict, theirs, share])
    return grid(ABLATION, rows) if rows else []


def _bars(result: Result) -> list[str]:
    rows = [
        [b["what"], f"{b['figure']:.3g}" + " **(missed)**" * (not b["met"]), b["bar"]]
        for b in result.get("bars", [])
    ]
    return grid(("figure", "measured", "bar"), rows) if rows else []


def success(row: Result) -> str:
    """Strict success, and the published criterion's where there is one."""
    if "benchmark_success_rate" not in row:
        return rate(row, "")
    return f"{rate(row, '')}; benchmark's {rate(row, 'benchmark_')}"


def rate(row: Result, prefix: str) -> str:
    """A rate with its interval."""
    low, high = (100 * row[f"{prefix}ci_{end}"] for end in ("low", "high"))
    return f"{100 * row[f'{prefix}success_rate']:.1f}% ({low:.1f} to {high:.1f})"


def section(text: str) -> tuple[int, int]:
    """Where the tables stand in the README: from after the first marker to the last."""
    return text.index("\n", text.index(BEGIN)) + 1, text.index(END)


def main() -> None:
    """Print, and write where asked to."""
    parser = argparse.ArgumentParser(description="recorded results as tables")
    parser.add_argument("--write", action="store_true", help="README and docs")
    write = parser.parse_args().write
    print(summary())
    if write:
        text = README.read_text()
        start, end = section(text)
        README.write_text(f"{text[:start]}{summary()}\n{text[end:]}")
        ALL.write_text(everything())
        from benchmarks.rl_page import PAGE, fill  # which needs what stands here

        PAGE.write_text(fill(PAGE.read_text(), results()))


if __name__ == "__main__":
    main()
