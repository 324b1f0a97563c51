"""From names to a training, and from a training to a checkpoint."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ml.checkpoint import write_checkpoint
from ml.device import find_device
from ml.model_card import model_card
from ml.provenance import command, commit, versions
from ml.training_setup import STATE, check_run, open_run
from policies.rl import state
from policies.rl.algorithms import ALGORITHMS, find_algorithm
from policies.rl.config import RLConfig
from policies.rl.judge import Judge, find_profile
from policies.rl.loop import Loop
from policies.rl.policy import build_actor
from policies.rl.trainer import Trainer
from policies.rl.worlds import Worlds, find_mirror, find_sizes, split_groups


@dataclass(frozen=True, kw_only=True)
class RLResult:
    """How it ended."""

    steps: int
    """Control steps of all environments."""
    updates: int
    seconds: float
    """Wall-clock time, interruptions aside [s]."""
    figures: dict[str, float]
    """Of the best policy, in evaluations on the way."""

    @property
    def line(self) -> str:
        """In words."""
        found = ", ".join(f"{k} {v:.3g}" for k, v in self.figures.items())
        return (
            f"{self.steps:,} control steps and {self.updates:,} updates in "
            f"{self.seconds:.0f} s; the best on the way: {found}"
        )


def train(
    name: str,
    config: RLConfig,
    *,
    task: str,
    out: Path,
    engine: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool | None = None,
    told: str | None = None,
) -> RLResult:
    """Learn a task by trial and error; the best policy becomes the checkpoint.

    Args:
        name: of the algorithm.
        config: its configuration.
        task: a task's name, or a Gymnasium id.
        out: folder of the run.
        engine: to learn in; None: the task's usual one.
        resume: whether to go on with the training in ``out``.
        overwrite: whether a run in ``out`` makes way.
        progress: whether to draw a progress bar; None: on a terminal.
        told: the command that the card names; None: that of this process.

    Raises:
        UsageError: a name that does not exist, or a folder that is in use.
        SandbotError: the training broke down, or does not fit into the memory.
        KeyboardInterrupt: it was interrupted; its message says how to go on.
    """
    from sims import make_task

    algorithm = find_algorithm(name)
    plain = make_task(task)
    find_sizes(plain)  # refuses what cannot be learned, before anything is built
    for profile in (config.randomize, config.evaluate_randomize):
        find_profile(plain, profile)
    check_run(out, resume=resume, overwrite=overwrite)
    with _seeded(config):
        worlds, device = _worlds(plain, config, engine)
        try:
            mirror = find_mirror(plain, device)
            learner = algorithm.make(worlds.sizes, config, device, mirror)
            judge = Judge(plain, learner, config, engine, out)
            trainer = (algorithm.loop or Trainer)(
                learner,
                worlds,
                config,  # pyright: ignore[reportArgumentType]
                out,
                lambda: judge(trainer.steps),
                _identity(name, config, task, worlds),
                progress,
            )
            # nothing makes way before all that can be refused has been
            open_run(out, resume=resume, overwrite=overwrite)
            if resume and (out / STATE).is_file():
                worlds.reset()
                state.load(trainer)
            trainer.run()
        finally:
            worlds.close()
    result = RLResult(
        steps=trainer.steps,
        updates=learner.count,
        seconds=trainer.seconds,
        figures=trainer.best_figures,
    )
    _publish(out, name, plain, trainer, result, told or command())
    return result


def _worlds(task: Any, config: RLConfig, engine: str | None) -> tuple[Worlds, Any]:
    """What is learned in, and where the networks are to be."""
    from sims import make_env
    from sims.registry import find_engine

    engine_name, entry = find_engine(task, engine)
    harder = config.curriculum and hasattr(task, "curriculum")
    learned = type(task)(curriculum=True) if harder else task
    device = find_device(config.device)
    threads = config.engine_threads
    if not threads and config.overlap and device.type == "cpu":
        threads = 1
    env = make_env(
        learned,
        engine=engine_name,
        num_envs=config.num_envs,
        randomize=_randomization(task, config),
        seed=config.seed,
        threads=threads,
        arrays="torch"
        if device.type == "cuda" and "torch" in entry.arrays
        else "numpy",
        autoreset=True,
    )
    return Worlds(env, device), device


def _randomization(task: Any, config: RLConfig) -> Any:
    """The profile, without what is to be left out."""
    chosen = task.randomizations[find_profile(task, config.randomize)]
    for term in config.without:
        chosen = chosen.without(term)
    return chosen


def _identity(name: str, config: RLConfig, task: str, worlds: Worlds) -> dict[str, Any]:
    """What a resumed training must have in common with the interrupted one."""
    free = ("steps", "minutes", "stop_at", "threads", "engine_threads", "overlap")
    free += ("tensorboard", "log_seconds", "checkpoint_seconds", "video")
    settings = {k: v for k, v in asdict(config).items() if k not in free}
    settings = {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()}
    return {
        "algorithm": name,
        "task": task,
        "engine": worlds.env.engine.name,
        "device": worlds.device.type,
        "config": settings,
    }


def _publish(
    out: Path, name: str, task: Any, trainer: Loop, result: RLResult, told: str
) -> None:
    """Write the checkpoint of the best policy."""
    seen, _ = split_groups(task)
    config: Any = trainer.config
    weights = {k: v.detach().cpu() for k, v in trainer.best.items()}
    about = {
        "policy": name,
        "task": task.name,
        "robot": task.robot,
        "observation": {group: task.obs_spec[group].to_dict() for group in seen},
        "action_spec": task.action_spec.to_dict(),
        "control_dt": task.control_dt,
        "network": trainer.learner.network(),
        "engine": trainer.worlds.env.engine.name,
        "training": asdict(config),
        "parameters": sum(v.numel() for v in weights.values()),
        "steps": result.steps,
        "updates": result.updates,
        "best_step": trainer.best_steps,
        "evaluation": result.figures,
        "seconds": round(result.seconds, 1),
        "threads": trainer.threads,
        "command": told.replace(" --resume", ""),
        "commit": commit(),
        "versions": versions(),
    }
    size = sum(task.obs_spec[group].size for group in seen)
    build_actor(about["network"], size, task.action_spec.size).load_state_dict(weights)
    facts = {
        "task": task.name,
        "robot": task.robot or "Gymnasium's",
        "policy": ALGORITHMS[name][1],
        "learned in": f"{about['engine']}, {config.num_envs} environments, "
        f"randomised as {config.randomize}",
        "actor's layers": " x ".join(map(str, config.hidden)),
        "parameters": about["parameters"],
        "reads": ", ".join(seen),
        "seed": config.seed,
        "steps": f"{result.steps:,}, weights of {trainer.best_steps:,}",
        "updates": f"{result.updates:,} of {config.batch_size} rows",
        "training time": f"{result.seconds:.0f} s",
        "commit": about["commit"],
        "versions": ", ".join(f"{k} {v}" for k, v in about["versions"].items()),
    }
    summary = (
        f"Learned `{task.name}` by trial and error, from its reward. The weights are "
        f"those that did best in evaluations on the way; how often the task is solved "
        f"is to be evaluated on other episodes."
    )
    card = model_card(f"{name} on {task.name}", summary, facts, about["command"])
    write_checkpoint(out, config=about, weights=weights, card=card)


@contextmanager
def _seeded(config: RLConfig) -> Iterator[None]:
    """Seed torch's own generator inside the block; threads are as before behind it."""
    before = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        torch.set_float32_matmul_precision("high")  # of GPUs alone
        torch.set_num_threads(config.threads or 1)
        try:
            yield
        finally:
            torch.set_num_threads(before)
