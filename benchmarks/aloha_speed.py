"""How long 500 evaluation episodes take with a state-based policy of both hands.

python -m benchmarks.aloha_speed

A clone of 50 demonstrations, with chunks of 50 actions of which ten are executed before
it looks again: what counts here is the time and how much of it is physics. Its success
is printed, and is not what this is about.
"""

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.record import record
from evaluation.results import rows
from evaluation.rollout import rollout
from ml.provenance import command
from ml.training_setup import TrainingConfig
from policies.bc import BCConfig
from policies.collect import collect
from policies.imitation import train

TASK = "aloha-transfer-cube"
EXECUTE = 10
SECONDS, SHARE = 180.0, 0.7


def main() -> None:
    """Collect, train, evaluate, print, record."""
    parser = argparse.ArgumentParser(description="speed of evaluation on ALOHA")
    parser.add_argument("--episodes", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    config = BCConfig(
        hidden=(256, 256, 256),
        chunk=50,
        execute=EXECUTE,
        training=TrainingConfig(steps=3000, batch_size=256, seed=given.seed),
    )
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder) / "data", Path(folder) / "bc"
        collected = collect(TASK, "expert", episodes=50, out=data, seed=given.seed)
        train(data=data, task=TASK, out=out, config=config, progress=False)
        began = time.perf_counter()
        result = rollout(TASK, str(out), episodes=given.episodes, seed=given.seed)
        seconds = time.perf_counter() - began
    keep = ("command", "commit", "versions", "policy")
    row = {k: v for k, v in rows([result], command())[0].items() if k not in keep}
    row["policy"] = f"BC (MLP, chunk 50, {EXECUTE} executed), 50 demonstrations"
    share = result.physics_share or 0.0
    bars = [
        {
            "what": f"{given.episodes} episodes of {TASK}, state-based policy [s]",
            "figure": seconds,
            "bar": f"<= {SECONDS:g}",
            "met": seconds <= SECONDS,
        },
        {
            "what": f"share of physics in it, {EXECUTE} actions of a chunk executed",
            "figure": share,
            "bar": f">= {SHARE:g}",
            "met": share >= SHARE,
        },
    ]
    for bar in bars:
        print(f"{bar['what']}: {bar['figure']:.3g} ({bar['bar']})")
    print(f"share of physics in collecting: {collected.physics_share:.2f}")
    result_file = {
        "physics_share_of_collecting": collected.physics_share,
        "rows": [row],
        "bars": bars,
    }
    path = record("aloha_speed", result_file)
    print(f"wrote {path.relative_to(path.parents[2])}")


if __name__ == "__main__":
    main()
