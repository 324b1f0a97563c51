"""Are causes told right, and where do two engines part?

Causes are planted: the second of two equal engines gets other friction, a weaker servo,
another floor, another mass; each episode that parts has to name the cause, and the
place. Then each task's expert (without one: no action) acts in MuJoCo, and PyBullet
gets its actions.

python -m benchmarks.divergence
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from assets import load_model
from benchmarks.record import bar, record
from evaluation.divergence import Comparison, diverge
from evaluation.divergence_page import groups, terms
from sims import TASKS
from sims.engine import Engine

Change = Callable[[Engine], None]
TOLD = 0.95
"""Bar: share of the episodes that part in which the cause is told right."""


def scaled(field: str, factor: float, *rows: int) -> Change:
    """Some rows of a field, or all, by a factor."""

    def change(engine: Engine) -> None:
        values = engine.get_field(field)
        values[:, list(rows) if rows else slice(None)] *= factor
        engine.set_field(field, values, np.ones(engine.num_envs, bool))

    return change


def moved(body: int, by: tuple[float, float, float]) -> Change:
    """A body that stands, moved [m]."""

    def change(engine: Engine) -> None:
        values = engine.get_field("body_pos")
        values[:, body] += by
        engine.set_field("body_pos", values, np.ones(engine.num_envs, bool))

    return change


def cases() -> list[tuple[str, str, Change, str, str]]:
    """What is planted: its name, the task, the change, the cause, and where it is."""
    arm, aloha = load_model("arm", "wall"), load_model("aloha", "transfer")
    transfer, press = "aloha-transfer-cube", "arm-press"
    table = moved(aloha.body("table").id, (0.0, 0.0, -0.03))
    wall = scaled("geom_size", 0.75, arm.geom("wall").id)
    heavier = scaled("body_mass", 1.05, arm.body("fore").id)
    rows = [
        ("no friction", transfer, scaled("geom_friction", 0.004), "friction", "cube"),
        ("little friction", press, scaled("geom_friction", 0.2), "friction", "wall"),
        ("a lower table", transfer, table, "contact", "cube on table"),
        ("a thinner wall", press, wall, "contact", "wall on fore"),
        ("a heavier arm", "arm-reach", heavier, "dynamics", "fore"),
        ("a motor", "arm-reach", scaled("actuator_gainprm", 1.05, 1), "servo", "elbow"),
    ]
    machine = load_model("humanoid", "flat")
    knee = scaled("actuator_gainprm", 0.97, machine.actuator("left_knee").id)
    torso = scaled("body_mass", 1.05, machine.body("torso").id)
    ice = scaled("geom_friction", 0.02)
    rows += [
        ("a knee", "humanoid-stand", knee, "servo", "left_knee"),
        ("a heavier torso", "humanoid-stand", torso, "dynamics", ""),
        ("ice", "humanoid-stand", ice, "friction", ""),
    ]
    for joint in ("shoulder", "elbow", "wrist_angle"):
        servo = aloha.actuator(f"right/{joint}").id
        weaker = scaled("actuator_gainprm", 0.97, servo)
        rows.append((f"the {joint}", transfer, weaker, "servo", f"right/{joint}"))
    return rows


def policy(task: str) -> str:
    """The task's expert, or "zero" where it has none."""
    return "expert" if TASKS[task]().expert else "zero"


def planted(episodes: int, seed: int) -> tuple[list[dict[str, Any]], list[Any]]:
    """Each case, and its bar."""
    rows, bars = [], []
    for name, task, change, kind, place in cases():
        found = diverge(
            *(task, policy(task), ("mujoco", "mujoco")),
            episodes=episodes,
            steps=200,
            seed=seed,
            change=change,
        )
        parts = [verdict.parts[0] for verdict in found.parted]
        right = [
            part.cause.kind == kind and part.cause.where.startswith(place)
            for part in parts
        ]
        told = [f"{part.cause.kind}: {part.cause.where}" for part in parts]
        rows.append({"planted": name, "task": task, "parted": len(parts), "told": told})
        what = f"{task}, {name} planted: told as {kind}, {place or 'anywhere'}"
        bars.append(bar(what, float(np.mean(right)) if right else 0.0, ">=", TOLD))
        print(f"{what}: {sum(right)} of {len(right)} that part")
    return rows, bars


def twice(episodes: int, seed: int) -> list[Any]:
    """One engine twice: nothing may part."""
    bars = []
    for engine in ("mujoco", "bullet"):
        found = diverge(
            *("arm-press", "expert", (engine, engine)),
            randomize="train",
            episodes=episodes,
            seed=seed,
        )
        most = max(verdict.largest_distance for verdict in found.episodes)
        what = f"{engine} twice, arm-press, train: largest distance [m]"
        bars.append(bar(what, most, "<=", 0.0))
        print(f"{what}: {most:g}")
    return bars


def apart(task: str, engines: tuple[str, str], options: Any) -> dict[str, Any]:
    """Where a task's policy parts in two engines."""
    found: Comparison = diverge(
        *(task, policy(task), engines), episodes=options.episodes, seed=options.seed
    )
    row = {
        "task": task,
        "policy": policy(task),
        "engines": list(engines),
        "n": len(found.episodes),
        "parted": len(found.parted),
        "largest_distance": max(v.largest_distance for v in found.episodes),
        "groups": [
            {"group": g.group, "parted": g.parted, "time": g.time, "causes": g.causes}
            for g in groups(found)
        ],
        "terms": {t.name: {"apart": t.apart, "total": t.total} for t in terms(found)},
    }
    print(
        f"{task}, {' and '.join(engines)}: {row['parted']} of {row['n']} part, up to "
        f"{1e3 * row['largest_distance']:.3g} mm"
    )
    for one in row["groups"]:
        causes = ", ".join(f"{kind} {count}" for kind, count in one["causes"].items())
        print(f"  {one['group']}: {one['parted']} from {one['time']:.2f} s, {causes}")
    return row


def main() -> None:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(description="where engines part, and why")
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows, bars = planted(options.episodes, options.seed)
    bars += twice(options.episodes, options.seed)
    tasks = [apart(task, ("mujoco", "bullet"), options) for task in TASKS]
    path = record(
        "divergence",
        {
            "n": options.episodes,
            "seed": options.seed,
            "planted": rows,
            "tasks": tasks,
            "bars": bars,
        },
    )
    print(f"wrote {path.relative_to(path.parents[2])}")


if __name__ == "__main__":
    main()
