"""The ladder of reinforcement learning, each rung measured, with a figure of it.

Planning is held against a linear solve and a linear programme; Monte Carlo and TD(0)
against the same; SARSA and Q-learning walk beside the cliff; tables drive the real arm
in ``mujoco``; bandits explore; DQN, REINFORCE and A2C learn CartPole, with and without
what each of them is known for.

    python -m benchmarks.ladder                  # all: measure, record, draw, write
    python -m benchmarks.ladder --only cliff     # one part, the others as recorded
    python -m benchmarks.ladder --draw           # figures and page from the record
"""

import argparse
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from benchmarks import ladder_networks, ladder_tables
from benchmarks.ladder_page import PAGE, fill
from benchmarks.ladder_pictures import draw
from benchmarks.record import RESULTS, record
from ml.provenance import command, commit

NAME = "ladder"
PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "planning": ladder_tables.planning,
    "prediction": ladder_tables.prediction,
    "cliff": ladder_tables.cliff,
    "classics": ladder_tables.classics,
    "arm": ladder_tables.arm,
    "exploration": ladder_tables.exploration,
    "dqn": ladder_networks.deep_q,
    "reinforce": ladder_networks.policy_gradient,
    "a2c": ladder_networks.actor_critic,
}
"""In the order of the ladder."""


def parts() -> dict[str, Any]:
    """As recorded."""
    path = RESULTS / f"{NAME}.json"
    return json.loads(path.read_text())["parts"] if path.is_file() else {}


def run(name: str) -> dict[str, Any]:
    """One part, and where it comes from."""
    print(f"{name}:", flush=True)
    began, used = time.perf_counter(), time.process_time()
    found = PARTS[name]()
    return found | {
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(time.process_time() - used, 1),
        "command": command(),
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def keep(known: dict[str, Any]) -> None:
    """Record parts, in order, and their rows and bars where tables look for them."""
    ordered = {name: known[name] for name in PARTS if name in known}
    rows = [row for part in ordered.values() for row in part.get("rows", [])]
    bars = [bar for part in ordered.values() for bar in part["bars"]]
    whole = "python -m benchmarks.ladder"  # each part has its own command
    missing = [
        f"{name} of `{whole} --only {name}`" for name in PARTS if name not in known
    ]
    record(
        NAME,
        {
            "command": whole,
            "rows": rows,
            "bars": bars,
            "parts": ordered,
            "not_measured": missing,
        },
    )


def main() -> None:
    """Measure, record, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, help="one part")
    parser.add_argument("--draw", action="store_true", help="measure nothing")
    given = parser.parse_args()
    if not given.draw:
        for name in [given.only] if given.only else list(PARTS):
            found = run(name)
            for line in found["bars"]:
                verdict = "met" if line["met"] else "MISSED"
                print(
                    f"  {line['what']:65} {line['figure']:9.3g} {line['bar']} {verdict}"
                )
            keep(parts() | {name: found})
    draw(parts())
    PAGE.write_text(fill(PAGE.read_text(), parts()))


if __name__ == "__main__":
    main()
