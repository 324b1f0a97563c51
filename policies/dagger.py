"""DAgger: the learner acts, the expert says what it would have done there.

Ross, Gordon, Bagnell (2011), "A reduction of imitation learning and structured
prediction to no-regret online learning" (arXiv:1011.0686), algorithm 3.1. A clone is
trained where the demonstrator goes and tested where the clone goes, and its errors add
up. Here each round acts by a mixture,

    pi_i = beta_i expert + (1 - beta_i) learner_i,   beta_i = decay^i,   i = 0, 1 ...

drawn anew at each step, has the expert label every state that was visited, adds these
to all labels so far, and trains the next learner on all of them. Round 0 is the
expert's alone: plain demonstrations. With a decay of 0 so is no other round, which the
paper finds to work as well as any. Not so for the arm, whose first learners fling it
about: labels are spent on states that no good one visits (36% success against 74%).

A label is only worth something if the expert can be asked in a state that it did not
bring about itself: experts that are functions of the observation
(:attr:`policies.PolicyEntry.reactive`). One that plays a plan, such as ALOHA's scripts,
goes on with the plan wherever the robot is, and is refused.

The labels are a LeRobot dataset, ``data`` in the run's folder: ``action`` is what the
expert wants, ``executed_action`` what was done. Rounds are learned by the common spine
(:mod:`policies.imitation`), each in a folder of its own; whatever is interrupted goes
on from the last whole round, or in the midst of a round's training.
"""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import UsageError
from policies.bc import BCConfig
from policies.collect import FIRST_ID
from policies.learners import Interactive
from policies.origin import check_resumed, origin
from policies.recorder import Recorder
from policies.tape import as_recorded, recorded_groups

if TYPE_CHECKING:
    from ml.training import TrainingResult
    from policies.dart import Disturbance
    from policies.tape import Tape
    from sims.env import Env
    from sims.policy import Policy
    from sims.task import Task

DATA, ROUNDS, SETTINGS = "data", "rounds", "dagger.json"
"""Within the run's folder: labels, each round's training, what was asked for."""


@dataclass(frozen=True, kw_only=True)
class DaggerConfig:
    """How often the expert is asked, and how the answers are learned."""

    rounds: int = 25
    """Of acting, labelling and learning; the first is the expert's own."""
    episodes: int = 8
    """Of each round; every step of them costs one label. Many small rounds are worth
    more than a few large ones: what a learner does wrong it does all the time."""
    decay: float = 0.9
    """The expert acts in round i, from 0, with probability decay^i."""
    round_steps: int = 800
    """Steps of the optimiser in all rounds but the last, which has ``steps``."""
    num_envs: int = 8
    """Environments side by side; the labels do not depend on it."""
    bc: BCConfig = field(default_factory=BCConfig)
    """How each round learns; its seed is that of the episodes as well."""

    def __post_init__(self) -> None:
        """Refuse what is no DAgger."""
        for name in ("rounds", "episodes", "round_steps", "num_envs"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is at least 1, got {getattr(self, name)}")
        if not 0 <= self.decay <= 1:
            raise UsageError(f"decay is from 0 to 1, got {self.decay:g}")
        if self.bc.cameras:
            raise UsageError(
                "DAgger acts in an environment without cameras: leave them out"
            )

    @property
    def seed(self) -> int:
        """Of all that is drawn."""
        return self.bc.training.seed

    def learner(self, index: int) -> BCConfig:
        """How a round learns, from 0."""
        if index == self.rounds - 1:
            return self.bc
        steps = min(self.round_steps, self.bc.training.steps)
        return replace(self.bc, training=replace(self.bc.training, steps=steps))


@dataclass(frozen=True, kw_only=True)
class DaggerResult:
    """How it ended."""

    labels: int
    """States that the expert was asked about."""
    successes: list[float]
    """Of each round's episodes, the mixture's; the first is the expert's rate."""
    training: "TrainingResult"
    """Of the last round."""

    @property
    def line(self) -> str:
        """In words."""
        rates = ", ".join(f"{rate:.0%}" for rate in self.successes)
        return f"{self.labels} labels; success of the rounds' episodes {rates}"


class MixtureRecorder(Recorder):
    """Expert and learner act in turns; what is recorded is what the expert wants."""

    def __init__(
        self,
        env: "Env",
        expert: "Policy",
        learner: "Policy | None",
        *,
        beta: float,
        seed: int,
    ) -> None:
        """Ready to run.

        Args:
            env: not yet reset.
            expert: is asked in each state.
            learner: acts where the expert does not; None: there is none yet.
            beta: probability that the expert acts in a step.
            seed: of all draws.
        """
        super().__init__(env, expert, seed)
        self.learner, self.beta = learner, beta
        self._count = 0

    def run(self, ids: np.ndarray, noise: float = 0.0, writer: Any = None) -> list[Any]:
        """See :meth:`policies.recorder.Recorder.run`."""
        self._count = 0
        if self.learner is not None:
            if hasattr(self.learner, "ids"):
                self.learner.ids = ids  # pyright: ignore[reportAttributeAccessIssue]
            self.learner.reset()
        return super().run(ids, noise, writer)

    def _step(
        self, obs: dict[str, Any], disturbance: "Disturbance", tape: "Tape"
    ) -> dict[str, Any]:
        """Ask both, and do what one of them says."""
        env = self.env
        wanted, outside = as_recorded(env, self.policy.act(obs))
        executed = wanted
        if self.learner is not None:
            tried, _ = as_recorded(env, self.learner.act(obs))
            counter = np.full(env.num_envs, self._count)
            asked = env.draws.uniform("dagger", counter=counter) < self.beta
            executed = np.where(asked[:, None], wanted, tried)
        tape.see(obs)
        outcome = env.step(executed.astype(np.float64))
        tape.add(wanted, executed, outside, outcome)
        self._count += 1
        return outcome[0]


def train(
    config: DaggerConfig,
    *,
    task: str,
    out: Path,
    expert: str = "expert",
    resume: bool = False,
    overwrite: bool = False,
    progress: bool | None = None,
) -> DaggerResult:
    """Run all rounds; the last learner becomes the checkpoint in ``out``.

    Args:
        config: how.
        task: name of the task.
        out: folder of the run, which becomes the checkpoint.
        expert: name of the policy that labels; "expert": the task's own.
        resume: go on where a run in ``out`` was interrupted, to the same bits.
        overwrite: whether a run in ``out`` makes way.
        progress: whether to draw progress bars; None: on a terminal.

    Raises:
        UsageError: an expert that cannot be asked, ``out`` exists, nothing to resume,
            or other settings than those of the run to be resumed.
        SandbotError: see :func:`policies.imitation.train`.
    """
    from ml.training_setup import open_run
    from policies.imitation import train as learn
    from sims import make_task

    chosen = make_task(task)
    expert = askable(expert, chosen)
    open_run(out, resume=resume, overwrite=overwrite)
    _settle(out, {"task": chosen.name, "expert": expert, **asdict(config)})
    made: TrainingResult | None = None
    for index in range(config.rounds):
        folder = out / ROUNDS / f"{index:02d}"
        last = index == config.rounds - 1
        if (folder / "config.json").is_file() and not last:
            continue
        before = out / ROUNDS / f"{index - 1:02d}" if index else None
        _label(config, chosen, expert, index, before, out / DATA)
        made = learn(
            config.learner(index),
            data=out / DATA,
            out=folder,
            task=task,
            resume=folder.is_dir(),
            progress=progress,
        )
    assert made is not None
    result = DaggerResult(training=made, **_tally(config, out / DATA))
    _publish(out, folder, config, result, expert)
    return result


def askable(name: str, task: "Task") -> str:
    """The name of an expert that can be asked in any state.

    Raises:
        UsageError: there is no such policy, or it follows a plan of its own.
    """
    from assets.errors import unknown
    from policies import POLICIES

    found = (task.expert or name) if name == "expert" else name
    reactive = [n for n, entry in POLICIES.items() if entry.reactive]
    if found not in POLICIES:
        raise unknown("expert to ask", found, reactive)
    if found not in reactive:
        raise UsageError(
            f"{found!r} follows a plan or a memory of its own: in states that others "
            f"brought about, what it wants means nothing. DAgger asks experts that are "
            f"functions of the observation: {', '.join(reactive)}"
        )
    return found


def _settle(out: Path, settings: dict[str, Any]) -> None:
    """Note what was asked for, or see that it is the same again."""
    import json

    from ml.files import write_json

    path = out / SETTINGS
    settings = json.loads(json.dumps(settings))
    if not path.is_file():
        write_json(path, settings)
        return
    noted = json.loads(path.read_text())
    differs = [k for k in settings if settings[k] != noted.get(k)]
    if differs:
        raise UsageError(
            f"{out} cannot be continued: {', '.join(differs)} differ from those that "
            f"it began with (see {path}). Give the same options, or another folder"
        )


def _label(
    config: DaggerConfig,
    task: "Task",
    expert: str,
    index: int,
    learner: Path | None,
    data: Path,
) -> None:
    """Bring the dataset to the end of a round, from wherever it is."""
    from ml.lerobot import DatasetWriter
    from policies import make_policy
    from sims import make_env

    size, seed = min(config.num_envs, config.episodes), config.seed
    wanted = (index + 1) * config.episodes
    env = make_env(task, num_envs=size, seed=seed, threads=1)
    try:
        about = origin(
            env,
            expert,
            randomize="none",
            seed=seed,
            keep_failures=True,
            cameras=(),
            image_size=(0, 0),
        )
        about["dagger"] = {"episodes": config.episodes, "decay": config.decay}
        recorder = MixtureRecorder(
            env,
            make_policy(expert, task, size, seed=seed),
            None if learner is None else make_policy(learner, task, size, seed=seed),
            beta=config.decay**index,
            seed=seed,
        )
        with DatasetWriter(
            data,
            observations=recorded_groups(env),
            action=task.action_spec,
            control_dt=env.control_dt,
            robot=task.robot,
            about=check_resumed(data, about),
            resume=True,
            batches=True,
        ) as writer:
            while writer.episodes < wanted:
                ids = FIRST_ID + writer.episodes + np.arange(size)
                for identity, episode in zip(ids, recorder.run(ids), strict=True):
                    if writer.episodes < wanted:
                        episode.write(writer, seed, int(identity))
    finally:
        env.close()


def _tally(config: DaggerConfig, data: Path) -> dict[str, Any]:
    """Labels, and the success rate of each round's episodes."""
    from ml.lerobot import read_dataset
    from ml.lerobot.reader import read_rows

    solved = np.array([row["success"] for row in read_rows(data)], float)
    rates = solved.reshape(config.rounds, config.episodes).mean(1)
    labels = int(read_dataset(data).info["total_frames"])
    return {"labels": labels, "successes": [round(float(r), 4) for r in rates]}


def _publish(
    out: Path, last: Path, config: DaggerConfig, result: DaggerResult, expert: str
) -> None:
    """The last round's network as the run's checkpoint."""
    from ml.checkpoint import write_checkpoint
    from ml.model_card import model_card
    from ml.provenance import command, commit
    from policies.imitation.checkpoint import load_net

    about, net, _ = load_net(last)
    facts = {
        "task": about["task"],
        "policy": "behaviour cloning by DAgger",
        "expert": expert,
        "rounds": f"{config.rounds} of {config.episodes} episodes",
        "the expert acts in round i": f"with probability {config.decay:g}^i",
        "labels": result.labels,
        "success of each round's episodes": ", ".join(
            f"{rate:.0%}" for rate in result.successes
        ),
        "seed": config.seed,
        "validation loss": result.training.validation_loss,
        "commit": commit(),
    }
    noted = {"labels": result.labels, "successes": result.successes, "expert": expert}
    whole = {**about, "command": command(), "dagger": noted | asdict(config)}
    summary = (
        "Learned from what an expert said of the states that the learner visited "
        "itself. The rounds' success rates are the mixture's on episodes that were "
        "learned from afterwards: evaluate."
    )
    write_checkpoint(
        out,
        config=whole,
        weights=net.state_dict(),
        card=model_card(f"dagger on {about['task']}", summary, facts, command()),
    )


TRAINER = Interactive(config=DaggerConfig, train=train, watches=False)
