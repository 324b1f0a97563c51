"""Imitation that asks or watches: DAgger, GAIL and inverse RL on ArmReach.

- ``dagger``: as many labels as plain behaviour cloning, which is given demonstrations
  undisturbed, and beside it disturbed ones (DART). Paired by episode, three seeds.
- ``gail``: from random weights, and from behaviour cloning; no reward is read.
- ``irl``: how well the reward that is found ranks states that nobody demonstrated, how
  well it drives the arm, and what becomes of it without the short horizon.

    python -m benchmarks.imitation_interactive dagger
    python -m benchmarks.imitation_interactive gail
    python -m benchmarks.imitation_interactive irl
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bc import TASK, bar, judge, row, solved, tell
from benchmarks.record import record
from evaluation.rollout import Rollout
from ml.statistics import mcnemar_exact
from ml.training_setup import TrainingConfig
from policies.bc import BCConfig
from policies.collect import collect

EXPERT = "computed-torque"
SEEDS = (0, 1, 2)
GAIL_DEMONSTRATIONS = 100
WARM = 2000
"""Steps of behaviour cloning before GAIL, where it is begun so."""
HELD_OUT = 3_000_000
"""Identity of the first state that a found reward is judged on."""
STATES = 2000
"""How many of them."""


def demonstrations(out: Path, episodes: int, seed: int, noise: float | None) -> Path:
    """The expert's, disturbed or not."""
    collect(TASK, EXPERT, episodes=episodes, out=out, seed=seed, noise=noise, threads=1)
    return out


def against(first: Rollout, second: Rollout) -> float:
    """p of McNemar's test on the same episodes."""
    a, b = solved(first), solved(second)
    return mcnemar_exact(int((a & ~b).sum()), int((b & ~a).sum()))


def dagger(root: Path, episodes: int) -> dict[str, Any]:
    """DAgger and cloning, each with the same number of labels."""
    from policies.dagger import DaggerConfig, train
    from policies.imitation import train as clone

    rows: list[dict[str, Any]] = []
    rates: dict[str, list[float]] = {"DAgger": [], "calm": [], "disturbed": []}
    p_values: list[float] = []
    for seed in SEEDS:
        bc = BCConfig(training=TrainingConfig(seed=seed))
        config = DaggerConfig(bc=bc)
        judged: dict[str, Rollout] = {}
        began = time.process_time()
        result = train(config, task=TASK, out=root / f"dagger{seed}", expert=EXPERT)
        more = {"DAgger": time.process_time() - began}
        judged["DAgger"] = judge(root / f"dagger{seed}", episodes)
        for name, noise in (("calm", 0.0), ("disturbed", None)):
            data = root / f"{name}{seed}"
            demonstrations(data, config.rounds * config.episodes, seed, noise)
            began = time.process_time()
            clone(bc, data=data, task=TASK, out=root / f"bc-{name}{seed}")
            more[name] = time.process_time() - began
            judged[name] = judge(root / f"bc-{name}{seed}", episodes)
        titles = {
            "DAgger": f"DAgger, {result.labels} labels, seed {seed}",
            "calm": f"BC (MLP), not disturbed, {result.labels} labels, seed {seed}",
            "disturbed": f"BC (MLP), disturbed, {result.labels} labels, seed {seed}",
        }
        p = {name: against(judged["DAgger"], judged[name]) for name in judged}
        for name, title in titles.items():
            found = row(title, judged[name]) | {
                "labels": result.labels,
                "training_seed": seed,
                "training_cpu_seconds": more[name],
                "p_against_dagger": p[name],
            }
            rates[name].append(found["success_rate"])
            rows.append(found)
            tell(found, f", p {p[name]:.1e} against DAgger")
        rows[-3]["rounds_success"] = result.successes
        p_values.append(p["calm"])
    gains = np.array(rates["DAgger"]) - np.array(rates["calm"])
    beside = np.array(rates["DAgger"]) - np.array(rates["disturbed"])
    return {
        "rows": rows,
        "minus_disturbed": beside.tolist(),
        "bars": [
            bar(
                "DAgger: success minus BC's, not disturbed, as many labels, least",
                gains.min(),
                ">=",
                0.0,
            ),
            bar("the same, p (McNemar), largest", max(p_values), "<=", 0.001),
        ],
    }


def gail(root: Path, episodes: int) -> dict[str, Any]:
    """GAIL from nothing and from a clone, and the clone of as many demonstrations."""
    from policies.gail import GAILConfig, train
    from policies.imitation import train as clone

    data = demonstrations(root / "data", GAIL_DEMONSTRATIONS, 0, 0.0)
    rows = []
    for name, warm in (("GAIL", 0), ("GAIL, begun from BC", WARM)):
        config = GAILConfig(demonstrations=GAIL_DEMONSTRATIONS, warm_start=warm)
        result = train(config, data=data, out=root / name)
        found = row(name, judge(root / name, episodes)) | {
            "control_steps": result.steps,
            "seconds": result.seconds,
            "cpu_seconds": result.cpu_seconds,
            "demonstrations": GAIL_DEMONSTRATIONS,
        }
        rows.append(found)
        tell(found, f", {result.steps} control steps, {result.cpu_seconds:.0f} s")
    clone(BCConfig(), data=data, task=TASK, out=root / "bc")
    title = f"BC (MLP), not disturbed, {GAIL_DEMONSTRATIONS} demonstrations"
    rows.append(row(title, judge(root / "bc", episodes)))
    tell(rows[-1])
    cold, warm = rows[0], rows[1]
    steps = cold["control_steps"]
    used = max(cold["cpu_seconds"], warm["cpu_seconds"])
    return {
        "rows": rows,
        "bars": [
            bar("GAIL: success, no reward read", cold["success_rate"], ">=", 0.8),
            bar("GAIL begun from BC: success", warm["success_rate"], ">=", 0.8),
            bar("GAIL: control steps", steps, "<=", 5_000_000),
            bar("GAIL: processor's time [s], longer", used, "<=", 1800),
        ],
    }


def irl(root: Path, episodes: int) -> dict[str, Any]:
    """The reward, its ranking of states, and what follows it."""
    from policies.max_ent_irl import IRLConfig, train

    angles, target, true = held_out()
    rows: list[dict[str, Any]] = []
    for seed in SEEDS:
        data = demonstrations(root / f"data{seed}", 20, seed, 0.0)
        out = root / f"irl{seed}"
        result = train(IRLConfig(), data=data, out=out)
        reward = result.reward
        rank = spearman(reward(angles, target), true)
        name = f"follows the reward of max-ent IRL, seed {seed}"
        found = row(name, judge(out, episodes)) | {
            "spearman": rank,
            "mismatch": result.mismatch,
            "seconds": result.seconds,
            "weights": dict(zip(reward.names, reward.weights.tolist(), strict=True)),
        }
        rows.append(found)
        tell(found, f", Spearman {rank:.3f}")
    long = train(IRLConfig(horizon=0), data=root / "data0", out=root / "long")
    whole = spearman(long.reward(angles, target), true)
    print(f"with the whole episode as horizon, seed 0: Spearman {whole:.3f}")
    ranks = [found["spearman"] for found in rows]
    worst = max(found["mismatch"] for found in rows)
    least = min(found["success_rate"] for found in rows)
    return {
        "rows": rows,
        "spearman_whole_episode": whole,
        "bars": [
            bar("IRL: Spearman with the true reward, least", min(ranks), ">=", 0.8),
            bar("IRL: features matched to, worst", worst, "<=", 0.005),
            bar("IRL: success of following it, least", least, ">=", 0.8),
        ],
    }


def held_out() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Angles, targets and what the environment pays, in states not demonstrated."""
    from sims import make_env

    env = make_env(TASK, num_envs=STATES, threads=1)
    try:
        state = env.reset(ids=HELD_OUT + np.arange(STATES))["state"]
        reward = sum(env.task.reward(env.engine, env.state).values())
    finally:
        env.close()
    angles = np.arctan2(state[:, 2:4], state[:, :2])
    return angles, state[:, 8:10].copy(), np.array(reward)


def spearman(found: np.ndarray, true: np.ndarray) -> float:
    """Rank correlation."""
    from scipy.stats import spearmanr

    correlation: Any = spearmanr(found, true)
    return float(correlation.statistic)


PARTS: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "dagger": dagger,
    "gail": gail,
    "irl": irl,
}


def main() -> None:
    """Run one part, print, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--episodes", type=int, default=500, help="to judge on")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = PARTS[given.part](Path(folder), given.episodes)
    for line in found["bars"]:
        verdict = "met" if line["met"] else "MISSED"
        print(f"{line['what']:45} {line['figure']:8.3g}  {line['bar']:9} {verdict}")
    record(given.part, found)


if __name__ == "__main__":
    main()
