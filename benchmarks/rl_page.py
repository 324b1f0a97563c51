"""``docs/reinforcement-learning.md``: what was measured, written between its marks.

``<!-- rl_gpu -->`` to ``<!-- /rl_gpu -->`` holds what :data:`SAY` makes of
``benchmarks/results/rl_gpu.json``, or that it was not measured; ``python -m
benchmarks.table --write`` writes it, and a test holds the page to it.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.table import grid, rate

PAGE = Path(__file__).parents[1] / "docs" / "reinforcement-learning.md"

Result = dict[str, Any]


def fill(text: str, results: dict[str, Result]) -> str:
    """The page with what was measured, and what was not."""

    def say(found: re.Match[str]) -> str:
        name = found[1]
        lines = [f"Not measured yet: `{COMMANDS[name]}`."]
        result = results.get(name)
        if result and "not_measured" in result:
            lines = [f"Not measured: {', '.join(result['not_measured'])}."]
        elif result:
            lines = [*SAY[name](result), *_bars(result), "", _where(result)]
        return "\n".join([f"<!-- {name} -->", *lines, f"<!-- /{name} -->"])

    return re.sub(r"<!-- (\w+) -->.*?<!-- /\1 -->", say, text, flags=re.DOTALL)


def share(found: float, interval: list[float], n: int) -> str:
    """A share with its interval, in percent."""
    low, high = (100 * end for end in interval)
    return f"{100 * found:.1f}% ({low:.1f} to {high:.1f}), n {n}"


def _mean(found: float, interval: list[float] | None, form: str = ".1f") -> str:
    if interval is None:
        return f"{found:{form}}"
    return f"{found:{form}} ({interval[0]:{form}} to {interval[1]:{form}})"


def _bars(result: Result) -> list[str]:
    rows = [
        [b["what"], f"{b['figure']:.3g}" + " **(missed)**" * (not b["met"]), b["bar"]]
        for b in result.get("bars", [])
    ]
    return ["", *grid(("figure", "measured", "bar"), rows)] if rows else []


def _where(result: Result) -> str:
    machine = result.get("gpu") or f"{result['machine']['cores']} cores"
    note = f" Note: {result['note']}." if "note" in result else ""
    last = result.get("last_call")
    parts = f" in parts, the last by `{last}`" if last else ""
    return f"`{result['command']}`{parts}, {machine}, {result['date']}.{note}"


def _gpu(result: Result) -> list[str]:
    ahead = result["ahead"]
    n, upright = ahead["n"], ahead["upright"]
    lines = [
        f"{result['minutes']:.1f} minutes, {result['steps'] / 1e6:.1f} million control "
        f"steps, {result['updates']:,} updates. Straight ahead at 1 m/s for 20 s, "
        f"without a fall: {share(upright / n, ahead['interval'], n)}; these walk at "
        f"{ahead['speed']:.2f} m/s.",
        "",
    ]
    missed = sum(not line["met"] for line in result["bars"])
    if missed:
        many = "A bar is" if missed == 1 else f"{missed} bars are"
        lines += [f"{many} missed, and the figure stands as it is.", ""]
    rows = [
        [
            f"`{name}`",
            share(own["success"], own["interval"], own["n"]),
            *(f"{own[part]:.1%}" for part in PARTS),
        ]
        for name, own in result["own"].items()
    ]
    return [*lines, *grid(("the task's own episodes", "success", *PARTS), rows)]


PARTS = ("upright", "tracks", "steps", "grips")
"""Of a walk's success."""


def _warp(result: Result) -> list[str]:
    rows = [
        [
            f"{r['worlds']:,}",
            f"{r['warp_steps_per_second'] / 1e6:.2f} million",
            f"{r['testspeed_steps_per_second'] / 1e6:.2f} million",
            f"{r['share']:.0%}",
        ]
        for r in result["rows"]
    ]
    head = ("worlds", "physics steps/s of the engine `warp`", "of mjwarp-testspeed")
    return grid((*head, "share"), rows)


def _pendulum(result: Result) -> list[str]:
    rows = [
        [
            SIDES[side],
            found["seeds"],
            _mean(found["return"], found["interval"]),
            f"{found['seconds']:.0f}",
        ]
        for side, found in result["means"].items()
    ]
    return grid(("", "seeds", "mean return (95% interval)", "seconds"), rows)


SIDES = {"ours": "sandbot", "theirs": "Stable-Baselines3"}


def _agreement(result: Result) -> list[str]:
    rows = [
        [
            line["case"],
            line["algorithm"],
            SIDES[line["side"]],
            line["seeds"],
            _mean(line["return"], line["interval"]),
        ]
        for line in result["table"]
    ]
    lines = grid(("case", "algorithm", "", "seeds", "return (95% interval)"), rows)
    missing = [f"- not run: {what}" for what in result["not_run"]]
    return [*lines, "", *missing] if missing else lines


def _minutes(result: Result) -> list[str]:
    rows = [
        [
            f"`{run['race']}`",
            run["algorithm"],
            f"{run['seconds'] / 60:.1f}",
            f"{run['steps'] / 1e6:.2f} million",
            f"{run['figure']} {run['judged'][run['figure']]:.3g}, n {run['n']}",
        ]
        for run in result["runs"]
    ]
    return grid(("task", "algorithm", "minutes", "control steps", "judged"), rows)


def _transfer(result: Result) -> list[str]:
    rows = [
        [
            row["policy"],
            row["engine"],
            row["randomize"],
            f"{rate(row, '')}, n {row['n']}",
            *(f"{row['parts'][part]['share']:.0%}" for part in PARTS),
            _mean(**_of(row["seconds"])),
            _mean(**_of(row["metres"])),
        ]
        for row in result["rows"]
    ]
    head = ("policy", "engine", "randomisation", "success", *PARTS)
    lines = grid((*head, "seconds upright", "metres as commanded"), rows)
    rows = [
        [a["engine"], share(a["upright"] / a["n"], a["interval"], a["n"])]
        for a in result["ahead"]
    ]
    lines += ["", *grid(("straight ahead at 1 m/s in", "20 s without a fall"), rows)]
    rows = [
        [
            pair["against"],
            f"{pair['engine']}, {pair['randomize']}",
            pair["n"],
            *(_more(pair[what]) for what in ("success", "seconds")),
        ]
        for pair in result["pairs"]
    ]
    if rows:
        head = ("against", "where", "pairs", "success more", "seconds upright more")
        note = "In bold: the interval excludes zero."
        lines += ["", *grid(head, rows), "", note]
    if result["terms"]:
        doubts = {True: "", False: ", unsure"}
        order = ", ".join(
            f"`{term['term']}` ({term['lost']:.2f} s{doubts[term['sure']]})"
            for term in result["terms"]
        )
        lines += ["", f"Missed most when it was left out, first to last: {order}."]
    return lines


def _leave_out(result: Result) -> list[str]:
    steps = result["trained"]["steps"] / 1e6
    groups = [
        f"- `{name}`: {', '.join(f'`{term}`' for term in terms)}"
        for name, terms in result["groups"].items()
    ]
    missing = [f"- not run: {label}" for label in result["not_run"]]
    return [
        f"{steps:.1f} million control steps each. What is left out at once:",
        *["", *groups, "", *_transfer(result)],
        *(["", *missing] if missing else []),
    ]


def _more(found: Result) -> str:
    """A paired difference."""
    text = _mean(found["mean"], found["interval"], "+.2f")
    return f"**{text}**" if found["excludes_zero"] else text


def _of(mean: Result) -> dict[str, Any]:
    return {"found": mean["mean"], "interval": mean["interval"]}


SAY: dict[str, Callable[[Result], list[str]]] = {
    "rl_gpu": _gpu,
    "rl_minutes": _minutes,
    "rl_transfer": _transfer,
    "rl_leave_out": _leave_out,
    "rl_pendulum": _pendulum,
    "rl_agreement": _agreement,
    "warp_speed": _warp,
}
"""By file: its lines."""
COMMANDS = {name: f"python -m benchmarks.{name}" for name in SAY}
COMMANDS["rl_transfer"] += " --policy FOLDER"
