"""Does a policy that learned to walk in one engine walk in others, and why?

    python -m benchmarks.rl_transfer --policy FOLDER
    python -m benchmarks.rl_transfer --policy FOLDER --other PLAIN \
        --without link_mass=FOLDER_1 push=FOLDER_2
    python -m benchmarks.rl_transfer --dry         # an untrained one, a few short walks

The engine it learned in is one of three; ``bullet`` is the stand-in for reality, and so
is ``gap``, whose ranges lie outside of those of ``train``. Told of each: success and
its parts, and how far and how long the robot walks before it falls; besides, 20 s
straight ahead at 1 m/s.

``--other`` is a policy of the same training without randomisation, and ``--without``
are policies whose randomisation lacked one term (``sandbot train fastsac --without
TERM``). They walk the same episodes, so that differences are paired: successes and
seconds upright of the policy less those of the other, with bootstrap intervals. A term
mattered where the interval of the seconds excludes zero.

What the file holds of cells that a call leaves out stays, as long as it is of the same
weights. ``bullet`` and, without a GPU, ``warp`` are slow, so they get fewer episodes;
each row says how many.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assets.errors import UsageError
from benchmarks.record import RESULTS, bar, record
from benchmarks.rl_walking import TASK, Walks, straight, walks
from ml.statistics import bootstrap_interval, mean_interval, wilson_interval

NAME = "rl_transfer"
ENGINES = ("mujoco", "bullet", "warp")
CELLS = (
    *(("mujoco", "none"), ("mujoco", "train"), ("mujoco", "gap")),
    *(("bullet", "none"), ("warp", "none")),
)
"""Engine and randomisation that the policy meets."""
PAIRED = (("mujoco", "none"), ("mujoco", "gap"), ("bullet", "none"))
"""Where others walk, too."""
AWAY = (("mujoco", "gap"), ("bullet", "none"))
"""Of these, the ones that no training has seen."""
MOST = {"bullet": 64}
"""Environments that an engine has at most."""
SEPARATE = {"success": 1e-3, "seconds": 0.01}
"""By which an interval has to clear zero: an episode in a thousand, and half a control
step [s]."""
WORDS = {"success": "success", "seconds": "seconds upright"}
"""For what is compared."""

Line = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Walker:
    """A policy of this comparison."""

    label: str
    folder: Path
    weights: str
    """What tells its weights from others'."""
    trained: Line
    """The configuration of its training."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is walked."""

    engines: tuple[str, ...]
    episodes: dict[str, int]
    """By engine."""
    device: str = "cpu"
    steps: int | None = None
    """Control steps of an episode; None: the task's."""


def find_walker(label: str, folder: Path) -> Walker:
    """Read a checkpoint.

    Raises:
        UsageError: it is not of a training by trial and error in this task.
        SandbotError: it cannot be read.
    """
    from ml.checkpoint import read_config

    about = read_config(folder)
    trained = about.get("training", {})
    if about.get("task") != TASK or "without" not in trained:
        raise UsageError(
            f"{folder} is not of a training by trial and error in {TASK}: "
            f"sandbot train fastsac --task {TASK} --out FOLDER makes one"
        )
    digest = about["model_sha256"][:12]
    return Walker(label=label, folder=folder, weights=digest, trained=trained)


def find_others(
    policy: Walker, plain: Path | None, without: Sequence[str]
) -> list[Walker]:
    """The policies to compare with, each trained as it is said to be.

    Args:
        policy: what they are compared with.
        plain: checkpoint of one without randomisation.
        without: NAME=FOLDER, of ones that lacked a term.

    Raises:
        UsageError: one was trained otherwise, or is not NAME=FOLDER.
    """
    profile, others = policy.trained["randomize"], []
    whole = profile != "none" and not policy.trained["without"]
    if (plain is not None or without) and not whole:
        raise UsageError(
            f"--policy is compared as the one with the whole randomisation, and "
            f"{policy.folder} was trained with --randomize {profile}"
            + "".join(f" --without {term}" for term in policy.trained["without"])
        )
    if plain is not None:
        other = find_walker("no randomisation", plain)
        if other.trained["randomize"] != "none":
            raise UsageError(
                f"--other is a policy trained with --randomize none, and {plain} was "
                f"trained with {other.trained['randomize']}"
            )
        others.append(other)
    for word in without:
        term, equals, folder = word.partition("=")
        if not (term and equals and folder):
            raise UsageError(f"--without wants NAME=FOLDER, got {word!r}")
        other = find_walker(f"without {term}", Path(folder))
        left_out, theirs = list(other.trained["without"]), other.trained["randomize"]
        if left_out != [term] or theirs != profile:
            said = "".join(f" --without {name}" for name in left_out)
            raise UsageError(
                f"{folder} was trained with --randomize {theirs}{said}, and not with "
                f"--randomize {profile} --without {term}"
            )
        others.append(other)
    return others


def row(walker: Walker, engine: str, randomize: str, found: Walks) -> Line:
    """Of one policy in one cell."""
    n = len(found.seconds)
    successes = int(found.met["success"].sum())
    low, high = wilson_interval(successes, n)
    return {
        "task": TASK,
        "policy": walker.label,
        "engine": engine,
        "randomize": randomize,
        "weights": {walker.label: walker.weights},
        "n": n,
        "successes": successes,
        "success_rate": successes / n,
        "ci_low": low,
        "ci_high": high,
        "parts": {
            name: {"share": float(m.mean()), "interval": wilson_interval(m.sum(), n)}
            for name, m in found.met.items()
            if name != "success"
        },
        "seconds": mean_of(found.seconds),
        "metres": mean_of(found.metres),
    }


def mean_of(values: np.ndarray) -> Line:
    """A mean with Student's interval."""
    return {"mean": float(values.mean()), "interval": mean_interval(values)}


def pair(
    first: Walker, second: Walker, engine: str, randomize: str, found: Sequence[Walks]
) -> Line:
    """What the first has more than the second, episode by episode."""
    solved = [w.met["success"].astype(float) for w in found]
    walked = [w.seconds for w in found]
    return {
        "against": second.label,
        "engine": engine,
        "randomize": randomize,
        "weights": {w.label: w.weights for w in (first, second)},
        "n": len(walked[0]),
        "success": difference(*solved),
        "seconds": difference(*walked),
    }


def difference(first: np.ndarray, second: np.ndarray) -> Line:
    """Its mean with a bootstrap interval, and whether that excludes zero."""
    more = first - second
    low, high = bootstrap_interval(more)
    return {
        "mean": float(more.mean()),
        "interval": [low, high],
        "excludes_zero": low > 0 or high < 0,
    }


def measure(policy: Walker, others: Sequence[Walker], plan: Plan) -> dict[str, Any]:
    """All cells: "rows", "ahead" and "pairs"."""
    rows, pairs, found = [], [], {}
    for walker in (policy, *others):
        for engine, randomize in CELLS if walker is policy else PAIRED:
            if engine not in plan.engines:
                continue
            walked = walks(
                walker.folder,
                plan.episodes[engine],
                engine=engine,
                randomize=randomize,
                device=plan.device,
                steps=plan.steps,
            )
            found[walker.label, engine, randomize] = walked
            rows.append(row(walker, engine, randomize, walked))
            _tell(rows[-1])
            if walker is not policy:
                both = found[policy.label, engine, randomize], walked
                pairs.append(pair(policy, walker, engine, randomize, both))
    ahead = []
    for engine in plan.engines:
        n = min(plan.episodes[engine], MOST.get(engine, plan.episodes[engine]))
        figures = straight(policy.folder, n, plan.device, engine, plan.steps)
        weights = {policy.label: policy.weights}
        ahead.append({"engine": engine, "weights": weights, **figures})
        print(
            f"straight ahead in {engine}: {figures['upright']} of {n} without a fall, "
            f"{figures['speed']:.2f} m/s",
            flush=True,
        )
    return {"rows": rows, "ahead": ahead, "pairs": pairs}


def _tell(line: Line) -> None:
    seconds, (low, high) = (line["seconds"][key] for key in ("mean", "interval"))
    parts = ", ".join(f"{k} {v['share']:.0%}" for k, v in line["parts"].items())
    print(
        f"{line['policy']:20s} {line['engine']:7s}{line['randomize']:6s}"
        f"n {line['n']}: success {line['success_rate']:.0%} ({parts}); "
        f"{seconds:.1f} s ({low:.1f} to {high:.1f}), {line['metres']['mean']:.1f} m",
        flush=True,
    )


def merge(
    old: Sequence[Line], new: Sequence[Line], known: dict[str, str]
) -> list[Line]:
    """New lines, and the old ones of other cells, unless these are of other weights.

    Args:
        old: recorded.
        new: measured now.
        known: weights of the policies of this call, by label.
    """
    places = {_place(line) for line in new}
    kept = [
        line
        for line in old
        if _place(line) not in places
        and all(known.get(label, w) == w for label, w in line["weights"].items())
    ]
    return [*kept, *new]


def _place(line: Line) -> tuple[Any, ...]:
    return tuple(line.get(key) for key in ("policy", "against", "engine", "randomize"))


def ranking(pairs: Sequence[Line]) -> list[Line]:
    """Terms that were left out, the one that was missed most first.

    By the sum, over what no training has seen, of the seconds upright that are lost;
    "sure" is one of which an interval says so alone.
    """
    terms: dict[str, Line] = {}
    for line in pairs:
        if line["against"].startswith("without ") and place_of(line) in AWAY:
            name = line["against"].removeprefix("without ")
            term = terms.setdefault(name, {"term": name, "lost": 0.0, "sure": False})
            term["lost"] += line["seconds"]["mean"]
            term["sure"] |= line["seconds"]["interval"][0] > 0
    return sorted(terms.values(), key=lambda term: -term["lost"])


def place_of(line: Line) -> tuple[str, str]:
    """Engine and randomisation of a line."""
    return line["engine"], line["randomize"]


def bars(pairs: Sequence[Line]) -> list[Line]:
    """That randomisation helps away from home: the interval excludes zero."""
    return [
        bar(
            f"{line['engine']}, {line['randomize']}: {words}, randomised less not, "
            f"lower end of {line['n']} pairs",
            line[what]["interval"][0],
            ">=",
            SEPARATE[what],
        )
        for line in pairs
        if line["against"] == "no randomisation" and place_of(line) in AWAY
        for what, words in WORDS.items()
    ]


def conclude(pairs: Sequence[Line]) -> None:
    """Print the differences, and which term was missed most."""
    for line in pairs:
        for what, words in WORDS.items():
            mean, (low, high), sure = line[what].values()
            verb = "excludes" if sure else "includes"
            print(
                f"{line['engine']}, {line['randomize']}: {words} {mean:+.2f} against "
                f"{line['against']} ({low:+.2f} to {high:+.2f}, n {line['n']}): "
                f"the interval {verb} zero"
            )
    for index, term in enumerate(ranking(pairs), 1):
        doubt = "" if term["sure"] else " (no interval excludes zero)"
        print(f"{index}. without {term['term']}: {term['lost']:.2f} s lost{doubt}")


def run(policy: Walker, others: Sequence[Walker], plan: Plan) -> dict[str, Any]:
    """Measure, and put it beside what is recorded."""
    new = measure(policy, others, plan)
    path = RESULTS / f"{NAME}.json"
    old = json.loads(path.read_text()) if path.is_file() else {}
    known = {walker.label: walker.weights for walker in (policy, *others)}
    result = {key: merge(old.get(key, []), new[key], known) for key in new}
    conclude(result["pairs"])
    names = ("randomize", "steps", "num_envs", "seed")
    trained = {w.label: {k: w.trained[k] for k in names} for w in (policy, *others)}
    return {
        "trained": old.get("trained", {}) | trained,
        **result,
        "terms": ranking(result["pairs"]),
        "bars": bars(result["pairs"]),
    }


def main() -> None:
    """Walk, print, record."""
    parser = argparse.ArgumentParser(description="a walk in other engines")
    parser.add_argument("--policy", type=Path, help="its checkpoint")
    parser.add_argument("--other", type=Path, help="one without randomisation")
    parser.add_argument("--without", nargs="+", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--episodes", type=int, default=200, help="in mujoco")
    parser.add_argument("--bullet-episodes", type=int, default=50)
    parser.add_argument("--warp-episodes", type=int, default=50)
    parser.add_argument("--device", default="cpu", help="of networks")
    parser.add_argument("--dry", action="store_true", help="untrained, a few steps")
    given = parser.parse_args()
    if given.dry:
        dry()
        return
    if given.policy is None:
        parser.error("--policy FOLDER is wanted, or --dry")
    counts = given.episodes, given.bullet_episodes, given.warp_episodes
    if min(counts) < 2:
        parser.error("an interval wants at least 2 episodes")
    plan = Plan(
        engines=tuple(given.engines),
        episodes=dict(zip(ENGINES, counts, strict=True)),
        device=given.device,
    )
    policy = find_walker("randomised", given.policy)
    result = run(policy, find_others(policy, given.other, given.without), plan)
    named = [f"--policy {given.policy}"]
    named += [f"--other {given.other or 'FOLDER'}"] if result["pairs"] else []
    record(NAME, result, whole=" ".join(["python -m benchmarks.rl_transfer", *named]))
    for line in result["bars"]:
        met = "met" if line["met"] else "MISSED"
        print(f"{line['what']}: {line['figure']:.3g} ({line['bar']}) {met}")


def dry(steps: int = 10) -> dict[str, Any]:
    """An untrained policy against itself, a few control steps; nothing is recorded."""
    plan = Plan(
        engines=("mujoco", "bullet"), episodes=dict.fromkeys(ENGINES, 3), steps=steps
    )
    with tempfile.TemporaryDirectory() as place:
        walkers = []
        for label, randomize in (("randomised", "train"), ("no randomisation", "none")):
            folder = Path(place) / randomize
            untrained(folder, randomize)
            walkers.append(find_walker(label, folder))
        found = measure(walkers[0], walkers[1:], plan)
    conclude(found["pairs"])
    print("a dry run: nothing is recorded")
    return found


def untrained(folder: Path, randomize: str, without: tuple[str, ...] = ()) -> None:
    """A checkpoint of a policy that has learned nothing."""
    from ml.checkpoint import write_checkpoint
    from policies.rl.policy import build_actor
    from policies.rl.worlds import find_sizes, split_groups
    from sims import make_task

    task: Any = make_task(TASK)
    sizes, (seen, _) = find_sizes(task), split_groups(task)
    network = {"kind": "gaussian", "hidden": [8], "layer_norm": True}
    network["log_std"] = [-5.0, 0.0]
    trained = {"steps": 0, "num_envs": 1, "seed": 0}
    about = {
        "policy": "fastsac",
        "task": TASK,
        "robot": task.robot,
        "observation": {group: task.obs_spec[group].to_dict() for group in seen},
        "action_spec": task.action_spec.to_dict(),
        "control_dt": task.control_dt,
        "network": network,
        "training": {**trained, "randomize": randomize, "without": list(without)},
    }
    weights = build_actor(network, sizes.actor, sizes.action).state_dict()
    write_checkpoint(folder, config=about, weights=weights, card="untrained")


if __name__ == "__main__":
    main()
