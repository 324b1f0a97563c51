"""Does each term of randomisation hold what it promises, on each engine; its cost?

Each term of :data:`~benchmarks.randomization_checks.TERMS`, which together vary every
model field that there is, on each engine, three environments:

- a thousand resets at random times: every value is still one draw off nominal;
- draws outlive resets of the state, steps, and the resets of others;
- constants that follow are what mj_setConst makes of the values;
- an environment's draws are those that it has among 64 others;
- mass, centre and inertia are the nominal body's, transformed as a whole.

Then what a reset costs under the profile "train", in processor time on one core, so
that what else the machine does hardly matters: the least of several goes.

    python -m benchmarks.randomization
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import randomization_checks as checks
from benchmarks.record import bar, record
from sims import make_env
from sims.engines import ENGINES
from sims.field_randomizer import FieldRandomizer

PROMISES = {
    "accumulate over 1,000 resets": checks.check_no_accumulation,
    "are lost at a reset": checks.check_survives,
    "leave constants behind": checks.check_constants,
    "differ with the number of environments": checks.check_same_draws,
}
"""What terms must not do, and the check that raises if they do."""
CROOKED = "make bodies that cannot exist"
BODIES = ("link_mass", "centre_of_mass", "inertia", "all_of_it")
"""Terms that :func:`~benchmarks.randomization_checks.check_follows` is for."""
TASKS = ("humanoid-stand", "arm-reach")
NUM_ENVS, AT_ONCE, GOES = 1024, 64, 15


def broken(engine_name: str) -> dict[str, list[str]]:
    """By promise, the terms that break it on an engine."""
    found: dict[str, list[str]] = {name: [] for name in (*PROMISES, CROOKED)}
    engine = ENGINES[engine_name].make(checks.scene(), checks.NUM, threads=1)
    everything = FieldRandomizer(engine.model, tuple(checks.TERMS.values()))
    for name, term in checks.TERMS.items():
        wanted: dict[str, Callable[..., None]] = dict(PROMISES)
        if name in BODIES:
            wanted[CROOKED] = checks.check_follows
        for promise, check in wanted.items():
            checks.restore(engine, everything)
            try:
                check(engine, term)
            except Exception as error:  # whatever it is, the promise is broken
                found[promise].append(name)
                print(f"{engine_name}, {name}: {error}")
    engine.close()
    return found


def least(work: Callable[[], object]) -> float:
    """Processor time of a piece of work [us]."""
    times = []
    for _ in range(GOES):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return 1e6 * min(times)


def cost(task: str, profile: str) -> dict[str, Any]:
    """What a reset costs, for each environment that begins [us]."""
    env = make_env(task, num_envs=NUM_ENVS, randomize=profile, threads=1)
    last = env.reset()
    where = np.arange(NUM_ENVS) < AT_ONCE
    truth = env.task.observe(env.engine, env.state)

    def sense() -> None:
        if env._sensing.active:
            env._sensing.advance(truth)
            env._sense(truth)

    fields, engine = env._fields, env.engine
    row = {
        "task": task,
        "profile": profile,
        "terms [us]": least(lambda: fields.reset(engine, where, env.draws)) / AT_ONCE,
        "reset [us]": least(lambda: env._begin(where, last)) / AT_ONCE,
        "senses per step [us]": least(sense) / NUM_ENVS,
    }
    env.close()
    return row


def main() -> None:
    """Check, measure, print, record; exit with 1 where a promise is broken."""
    argparse.ArgumentParser(description="what randomisation promises").parse_args()
    lines = []
    for engine in ENGINES:
        for promise, terms in broken(engine).items():
            count = len(BODIES if promise == CROOKED else checks.TERMS)
            what = f"of {count} terms on {engine}, those that {promise}"
            lines.append(bar(what, len(terms), "<=", 0))
            print(f"{what}: {', '.join(terms) or 'none'}", flush=True)
    costs = [cost(task, profile) for task in TASKS for profile in ("none", "train")]
    for row in costs:
        print(
            ", ".join(
                f"{k} {v if isinstance(v, str) else round(v, 1)}"
                for k, v in row.items()
            )
        )
    setting = {"num_envs": NUM_ENVS, "reset_at_once": AT_ONCE, "threads": 1}
    path = record("randomization", {**setting, "costs": costs, "bars": lines})
    print(f"wrote {path.relative_to(path.parents[2])}")
    if not all(line["met"] for line in lines):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
