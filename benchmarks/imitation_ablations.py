"""What each idea of imitation is worth: one thing changed at a time.

python -m benchmarks.imitation_ablations

Trainings are short ones with one seed, on 50 demonstrations of the transfer; each
variant is judged on the same 200 episodes (500 where a bar is about points). Parts:

- chunk: ACT that predicts 1, 10, 50 or 100 actions and executes them all
- act: temporal ensembling, no CVAE, a deeper decoder
- ways: demonstrations by two strategies; each one's share of the successes
- steps: 1 to 100 steps of sampling, diffusion and flow
- delay: chunks that come 0 to 8 steps late, with and without real-time chunking
- networks: U-Net and transformer in place of the perceptron

What is in --runs is not trained or judged again; parts that this call does not name
stay in the file.
"""

import argparse
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.record import bar, record, recorded, sandbot
from evaluation.results import rows
from evaluation.rollout import rollout
from ml.metrics_log import read_metrics
from policies.collect import collect
from policies.execution import Execution

TASK = "aloha-transfer-cube"
COMPARED = (("flow", 5), ("diffusion", 50))
"""Steps of sampling, between which points are counted."""
WAYS = ("way_front", "way_back")
BC = ("--hidden", "256", "256", "256", "--steps", "3000", "--batch-size", "256")
BC += ("--select", "last", "--ema-decay", "0.999")
WEIGHTS = ("0.05", "0.001")
"""Of ACT's KL term, where its latent is to say something and is drawn when it acts."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One row of the table."""

    part: str
    name: str
    kind: str
    settings: tuple[str, ...] = ()
    """What is told to ``sandbot train`` beside data, task and steps."""
    execution: Execution = field(default_factory=Execution)
    """How it is judged."""
    data: str = "expert"
    """The demonstrator."""
    episodes: int = 200

    def run(self, runs: Path) -> Path:
        """The folder of its training, which variants may share."""
        words = [w.strip("-") for w in self.settings]
        return runs / "-".join([self.data, self.kind, *words]).replace("/", "_")

    def kept(self, runs: Path) -> Path:
        """Where its row is kept."""
        chosen = {k: v for k, v in asdict(self.execution).items() if v}
        words = [f"{k}{v}" for k, v in chosen.items()]
        return self.run(runs) / (
            "-".join(["judged", str(self.episodes), *words]) + ".json"
        )


def variants() -> Iterator[Variant]:
    """All of them."""
    for chunk in (1, 10, 50, 100):
        settings = ("--chunk", str(chunk), "--execute", str(chunk))
        yield Variant(part="chunk", name=f"{chunk}", kind="act", settings=settings)
    yield Variant(part="act", name="as it is", kind="act")
    ensemble = Execution(ensemble=0.01)
    yield Variant(part="act", name="ensembling", kind="act", execution=ensemble)
    yield Variant(part="act", name="no CVAE", kind="act", settings=("--no-vae",))
    deep = ("--decoder-layers", "4")
    yield Variant(part="act", name="decoder of 4 layers", kind="act", settings=deep)
    ways: list[tuple[str, tuple[str, ...]]] = [
        ("bc", (*BC, "--chunk", "1")),
        ("bc", (*BC, "--chunk", "50", "--execute", "25")),
        ("act", ()),
        *(("act", ("--kl-weight", w, "--latent-spread", "1")) for w in WEIGHTS),
        ("diffusion", ()),
        ("flow", ()),
    ]
    for kind, settings in ways:
        name = kind if kind != "bc" else f"bc, chunk {settings[len(BC) + 1]}"
        if "--kl-weight" in settings:
            name += f", z drawn, KL weight {settings[1]}"
        way = "aloha-script-two-ways"
        yield Variant(part="ways", name=name, kind=kind, settings=settings, data=way)
    for kind in ("diffusion", "flow"):
        for steps in (1, 2, 5, 10, 50, 100):
            yield Variant(
                part="steps",
                name=f"{kind}, {steps} steps",
                kind=kind,
                execution=Execution(sampling_steps=steps),
                episodes=500 if (kind, steps) in COMPARED else 200,
            )
    for real_time in (False, True):
        for delay in range(9):
            yield Variant(
                part="delay",
                name=f"{delay} steps late" + ", real-time" * real_time,
                kind="flow",
                execution=Execution(delay=delay, real_time=real_time),
            )
    for kind, says in (("diffusion", "epsilon"), ("flow", "velocity")):
        for network in ("unet", "transformer"):
            yield Variant(
                part="networks",
                name=f"{kind}, {network}, predicts {says}",
                kind=kind,
                settings=("--denoiser", network, "--prediction", says),
            )


STEPS = {"bc": 3000, "act": 2500, "diffusion": 2500, "flow": 2500, "mip": 2500}


def train(folder: Path, variant: Variant, data: Path) -> None:
    """Make the checkpoint, unless it is there."""
    if (folder / "config.json").is_file():
        return
    steps = () if variant.kind == "bc" else ("--steps", str(STEPS[variant.kind]))
    going_on = ("--resume",) if folder.exists() else ()
    arguments = [
        *("train", variant.kind, "--data", str(data), "--task", TASK),
        *("--out", str(folder), *steps, *variant.settings, *going_on),
    ]
    sandbot(arguments, folder.with_suffix(".log"))


def judge(variant: Variant, runs: Path) -> dict[str, Any]:
    """The row of one variant."""
    kept, folder = variant.kept(runs), variant.run(runs)
    if kept.is_file():
        return json.loads(kept.read_text())
    result = rollout(
        TASK,
        str(folder),
        episodes=variant.episodes,
        threads=1,
        execution=variant.execution,
    )
    about = json.loads((folder / "config.json").read_text())
    left_out = ("command", "commit", "versions", "policy")
    row = {k: v for k, v in rows([result], "")[0].items() if k not in left_out}
    row |= {"part": variant.part, "name": variant.name, "kind": variant.kind}
    row |= {"settings": " ".join(variant.settings), "parameters": about["parameters"]}
    row |= {"training_steps": about["steps"], "training_seconds": about["seconds"]}
    if variant.kind == "act":
        costs = [line["kl"] for line in read_metrics(folder) if "kl" in line]
        row["kl_nats"] = costs[-1]
    if variant.part == "ways":
        assert result.success is not None
        front = result.outcomes[WAYS[0]] & result.success
        row["share_of_front"] = float(front.sum() / max(1, result.success.sum()))
    kept.write_text(json.dumps(row, indent=2) + "\n")
    return row


def bars(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is asked for, beside the figures."""
    by = {(r["part"], r["name"]): r for r in table}
    lines = []
    few, many = (
        by.get(("steps", "flow, 5 steps")),
        by.get(("steps", "diffusion, 50 steps")),
    )
    if few and many:
        points = 100 * (many["benchmark_success_rate"] - few["benchmark_success_rate"])
        lines.append(
            bar("flow with 5 steps behind diffusion with 50 [points]", points, "<=", 2)
        )
    for name in ("act", "diffusion", "flow"):
        row = by.get(("ways", name))
        if row:
            less = min(row["share_of_front"], 1 - row["share_of_front"])
            rate = row["benchmark_success_rate"]
            lines.append(
                bar(f"two ways, {name}: the rarer way's share", less, ">=", 0.2)
            )
            lines.append(bar(f"two ways, {name}: benchmark's success", rate, ">=", 0.8))
    return lines


def main() -> None:
    """Collect, train, judge, print, record."""
    chosen = list(variants())
    parts = list(dict.fromkeys(v.part for v in chosen))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", default=parts, choices=parts)
    parser.add_argument("--runs", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    wanted = [v for v in chosen if v.part in given.parts]
    for demonstrator in {v.data for v in wanted}:
        data = given.runs / f"data-{demonstrator}"
        if not data.exists():
            collect(TASK, demonstrator, episodes=50, out=data, threads=1)
    trainings = {v.run(given.runs): v for v in wanted}
    with ThreadPoolExecutor(given.jobs) as pool:
        trained = [
            pool.submit(train, folder, v, given.runs / f"data-{v.data}")
            for folder, v in trainings.items()
        ]
        for one in trained:
            one.result()
    found = []
    for variant in wanted:
        row = judge(variant, given.runs)
        found.append(row)
        share = (
            f", front {row['share_of_front']:.0%}" if "share_of_front" in row else ""
        )
        print(
            f"{variant.part:9} {variant.name:35} benchmark's "
            f"{row['benchmark_success_rate']:6.1%}, strict {row['success_rate']:6.1%}"
            f"{share}",
            flush=True,
        )
    before = recorded("imitation_ablations", "table")
    table = [row for row in before if row["part"] not in given.parts] + found
    table.sort(key=lambda row: parts.index(row["part"]))
    lines = bars(table)
    for line in lines:
        verdict = "met" if line["met"] else "MISSED"
        print(f"{line['what']:55} {line['figure']:8.3g}  {line['bar']:8} {verdict}")
    result = {"seed": 0, "table": table, "bars": lines}
    whole = "python -m benchmarks.imitation_ablations"
    written = record("imitation_ablations", result, whole)
    print(f"wrote {written.relative_to(written.parents[2])}")


if __name__ == "__main__":
    main()
