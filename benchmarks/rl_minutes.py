"""How long do two cores need to learn a task by trial and error?

    python -m benchmarks.rl_minutes [--only arm-reach humanoid-walk] [--seed 0]

Each is what ``sandbot train ALGORITHM --task TASK --randomize NAME`` does with the
project's recipe, in a process of its own. It ends once evaluations on the way say that
the task is learned, or when its time is over. Then the checkpoint is judged, where
nothing is randomised, on episodes that nothing was chosen by. The learning curves lie
in the record. What the file holds of tasks that a call leaves out
stays; ``--resume`` goes on with a training that was stopped.
"""

import argparse
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import bar, record, recorded

NAME = "rl_minutes"


@dataclass(frozen=True, kw_only=True)
class Race:
    """A task, and what counts as learned."""

    algorithm: str = "fastsac"
    task: str
    minutes: float
    """The longest training [min]."""
    limit: float
    """The bar [min]."""
    figure: str = "success"
    """Of the evaluation, which counts."""
    enough: float
    """Of the figure: learned."""
    further: float = 0.0
    """A second mark of the figure, for which there are three hours; 0: none."""
    stop_at: float = 0.0
    """Success in an evaluation on the way at which it ends."""
    episodes: int = 200
    """Of the judgement at the end."""
    randomize: str = "train"
    """What varies while it learns; the judgement is under none."""


RACES: dict[str, Race] = {
    "arm-reach": Race(
        task="arm-reach",
        minutes=2.9,
        limit=3.0,
        enough=0.95,
        stop_at=0.99,
        episodes=500,
        randomize="none",
    ),
    "humanoid-stand": Race(
        task="humanoid-stand",
        minutes=30.0,
        limit=30.0,
        enough=0.95,
        stop_at=0.98,
    ),
    "humanoid-walk": Race(
        task="humanoid-walk",
        minutes=120.0,
        limit=120.0,
        enough=0.95,
        stop_at=0.98,
    ),
    "humanoid-push": Race(
        task="humanoid-push",
        minutes=15.0,
        limit=30.0,
        enough=0.5,
        stop_at=0.98,
    ),
    "gym-humanoid": Race(
        task="gym-humanoid",
        minutes=30.0,
        limit=60.0,
        figure="return",
        enough=5000.0,
        further=6000.0,
        episodes=50,
    ),
}


def learn(name: str, seed: int, out: Path, resume: bool) -> dict[str, Any]:
    """One training and its judgement."""
    from ml.metrics_log import read_metrics
    from policies import make_policy
    from policies.rl.recipes import configure
    from policies.rl.training import train
    from policies.trial import try_out
    from sims import make_task

    race = RACES[name]
    config = configure(
        race.algorithm,
        race.task,
        seed=seed,
        minutes=race.minutes,
        randomize=race.randomize,
        steps=10**10,
        stop_at=race.stop_at,
        tensorboard=False,
    )
    resume = resume and out.exists()
    result = train(
        race.algorithm,
        config,
        task=race.task,
        out=out,
        resume=resume,
        overwrite=out.exists() and not resume,
        progress=False,
        told=_command(race, seed, out),
    )
    task: Any = make_task(race.task)
    policy = make_policy(out, task, race.episodes)
    found = try_out(policy, task, race.episodes, first_id=8_000_000)
    curve = _curve(read_metrics(out), race.figure)
    row = {
        "race": name,
        **asdict(race),
        "seed": seed,
        "seconds": result.seconds,
        "steps": result.steps,
        "updates": result.updates,
        "reached": _reached(curve, race.figure, race.enough),
        "reached_further": _reached(curve, race.figure, race.further),
        "curve": curve,
        "n": race.episodes,
        "judged": found,
    }
    if name == "humanoid-walk":
        from benchmarks.rl_walking import straight

        row["ahead"] = straight(out, race.episodes)
    if name == "gym-humanoid":
        row["in_gymnasium"] = _in_gymnasium(policy, race.episodes)
    return row


def _command(race: Race, seed: int, out: Path) -> str:
    """What trains the same, for the model card."""
    words = f"sandbot train {race.algorithm} --task {race.task} --out {out} "
    words += f"--randomize {race.randomize} --minutes {race.minutes:g} --seed {seed}"
    return words + f" --stop-at {race.stop_at:g}" * bool(race.stop_at)


def _in_gymnasium(policy: Any, episodes: int) -> dict[str, Any]:
    """The same policy in the environment that ours is equal to."""
    from benchmarks.rl_runs import judge
    from ml.statistics import mean_interval

    def act(obs: np.ndarray) -> np.ndarray:
        return policy.act({"state": obs})

    returns = judge(act, "Humanoid-v5", episodes)
    interval = list(mean_interval(returns))
    return {"n": episodes, "return": float(returns.mean()), "interval": interval}


def _curve(lines: list[dict[str, Any]], figure: str) -> list[dict[str, float]]:
    """Minutes of training and figures of each evaluation on the way."""
    points, seconds = [], 0.0
    for line in lines:
        seconds = line.get("seconds", seconds)
        if f"evaluation/{figure}" in line:
            found = {k[11:]: v for k, v in line.items() if k.startswith("evaluation/")}
            points.append({"minutes": seconds / 60, "steps": line["step"], **found})
    return points


def _reached(curve: list[dict[str, float]], figure: str, enough: float) -> float | None:
    """When an evaluation first was as good [min]; None: never, or nothing is asked."""
    times = [point["minutes"] for point in curve if point[figure] >= enough > 0]
    return times[0] if times else None


def bars(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of all that was run."""
    lines = []
    for row in rows:
        name, figure = row["race"], row["figure"]
        lines.append(
            bar(f"{name}: {figure}", row["judged"][figure], ">=", row["enough"])
        )
        taken = row["seconds"] / 60 if row["reached"] is None else row["reached"]
        lines.append(bar(f"{name}: training [min]", taken, "<=", row["limit"]))
        if row.get("further"):
            mark, later = f"{name}: {figure}", row["reached_further"]
            best = max(point[figure] for point in row["curve"])
            lines.append(
                bar(f"{mark} at best on the way", best, ">=", row["further"])
                if later is None
                else bar(f"{mark} {row['further']:g} [min]", later, "<=", 180.0)
            )
        if "in_gymnasium" in row:
            found = row["in_gymnasium"]["return"]
            what = f"{name}: {figure} in Gymnasium's own Humanoid-v5"
            lines.append(bar(what, found, ">=", row["enough"]))
        if "ahead" in row:
            share = row["ahead"]["upright"] / row["ahead"]["n"]
            what = f"{name}: 20 s ahead at 1 m/s without a fall, share"
            lines.append(bar(what, share, ">=", 0.95))
    return lines


def main() -> None:
    """Run, print, record."""
    parser = argparse.ArgumentParser(description="minutes of training on two cores")
    parser.add_argument("--only", nargs="+", choices=RACES, default=list(RACES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/rl-minutes"))
    parser.add_argument("--resume", action="store_true")
    given = parser.parse_args()
    rows = [r for r in recorded(NAME, "runs") if r["race"] not in given.only]
    for name in given.only:
        arguments = name, given.seed, given.out / name, given.resume
        with get_context("spawn").Pool(1) as alone:
            row = alone.apply(learn, arguments)
        rows.append(row)
        print(
            f"{name:16s} {row['seconds'] / 60:.1f} min, {row['steps']:,} steps, "
            f"{row['updates']:,} updates: {row['figure']} "
            f"{row['judged'][row['figure']]:.3g} of {row['n']} episodes",
            flush=True,
        )
        found = {"runs": rows, "bars": bars(rows)}
        record(NAME, found, whole="python -m benchmarks.rl_minutes")
    for line in bars(rows):
        met = "met" if line["met"] else "MISSED"
        print(f"{line['what']}: {line['figure']:g} ({line['bar']}) {met}")


if __name__ == "__main__":
    main()
