"""A person teleoperates: in a viewer, with all inputs at once, recorded or not."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.errors import SandbotError, UsageError, unknown
from policies.teleop.drag import Drag
from policies.teleop.gamepad import find_gamepad
from policies.teleop.keys import Keys
from policies.teleop.operator import Operator, drivable, has_base
from policies.teleop.take import Take
from policies.teleop.typist import Typist
from policies.teleop.wish import Source

if TYPE_CHECKING:
    from ml.lerobot import DatasetWriter
    from sims.env import Env
    from sims.task import Task
    from sims.viewers.choose import PlaySummary

INPUTS = ("keys", "drag", "gamepad", "script")
"""With what a person may steer; a script holds keys by itself."""
USUAL = INPUTS[:3]
VIEWERS = ("auto", "web", "native", "none")
PAUSE = 3.0
"""For how long an episode that ended waits for a verdict [s of wall clock]."""

Notify = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class TeleopSummary:
    """What was done."""

    played: "PlaySummary"
    """By the viewer."""
    folder: Path | None
    """Of the dataset; None: nothing was recorded."""
    kept: int
    """Episodes in the dataset."""
    frames: int
    """Frames in the dataset."""
    discarded: int
    """Episodes that the person threw away, this time."""
    failed: int
    """Episodes that were not solved and not kept, this time."""


def teleoperate(
    task: str,
    *,
    inputs: Sequence[str] = (),
    out: Path | None = None,
    episodes: int | None = None,
    viewer: str = "auto",
    port: int | None = None,
    seconds: float = 60.0,
    speed: float = 1.0,
    engine: str | None = None,
    randomize: str = "none",
    seed: int = 0,
    keep_failures: bool = False,
    cameras: Sequence[str] = (),
    image_size: tuple[int, int] = (640, 480),
    overwrite: bool = False,
    resume: bool = False,
    notify: Notify = lambda line: None,
) -> TeleopSummary:
    """Let a person operate a robot, and record it as a LeRobot dataset.

    Args:
        task: one of ALOHA's.
        inputs: of :data:`INPUTS`, all at once; none: keys, mouse, and a gamepad if one
            is plugged in.
        out: the dataset's folder; at every moment it holds whole episodes. None:
            nothing is recorded.
        episodes: how many to keep, or without ``out`` to drive; None: until the viewer
            is closed.
        viewer: "web", "native", "auto", or "none" for a gamepad or script alone.
        port: of the page; None: the first free one.
        seconds: after so long an episode ends by itself [s].
        speed: relative to real time, a power of two from 1/32 to 8; less than 1 is
            slow motion.
        engine: name of the engine; None: mujoco.
        randomize: profile of the randomisation.
        seed: of all draws.
        keep_failures: whether to keep episodes that ran out of time, too.
        cameras: whose pictures are recorded, too.
        image_size: width and height of the pictures [pixels].
        overwrite: whether an existing dataset makes way.
        resume: whether to go on with an existing dataset of the same settings.
        notify: called with each line that a person should read.

    Raises:
        UsageError: something that is not allowed; the message says what is.
        SandbotError: no gamepad where one was asked for, the viewer cannot be opened,
            or nothing was kept.
    """
    from policies.teleop.cockpit import Cockpit
    from sims.viewers import play

    chosen = _task(task)
    _check(viewer, inputs, out, episodes, seconds, cameras, overwrite, resume)
    sources = open_inputs(inputs or USUAL, chosen, seed, asked=bool(inputs))
    operator = Operator(chosen, 1, list(sources.values()))
    if viewer == "none" and not {"gamepad", "script"} & set(sources):
        raise UsageError(
            "--viewer none leaves nobody to steer: it shows no page for keys and "
            "mouse. Give --input gamepad or --input script, or another --viewer"
        )
    env = _make_env(chosen, engine, randomize, seed, cameras, image_size)
    env.max_steps = max(1, round(seconds / env.control_dt))
    recording = Recording(
        out, episodes, seed, randomize, keep_failures, cameras, image_size
    )
    try:
        with recording.open(env, overwrite, resume, notify) as take:
            cockpit = Cockpit(operator, take)
            for line in _hints(cockpit.help, take is not None):
                notify(line)
            played = play(
                env,
                operator,
                viewer=viewer,
                port=port,
                episodes=None if take else episodes,
                speed=speed,
                policy_name=" + ".join(sources),
                guest=cockpit,
                hold=0.0 if viewer == "none" and not cockpit.paced else PAUSE,
                notify=notify,
            )
    finally:
        env.close()
    return TeleopSummary(
        played=played,
        folder=out,
        kept=take.kept if take else 0,
        frames=take.writer.frames if take else 0,
        discarded=take.discarded if take else 0,
        failed=take.failed if take else 0,
    )


def open_inputs(
    names: Sequence[str], task: "Task", seed: int = 0, *, asked: bool = True
) -> dict[str, Source]:
    """The inputs of these names.

    Args:
        names: of :data:`INPUTS`.
        task: that is operated.
        seed: of a script.
        asked: whether a gamepad must be there, or may be missing.

    Raises:
        UsageError: an unknown name, or no script for that task.
        SandbotError: no gamepad.
    """
    for name in names:
        if name not in INPUTS:
            raise unknown("input", name, INPUTS)
    drives = has_base(task)
    found: dict[str, Source] = {}
    if "keys" in names:
        found["keys"] = Keys(drives=drives)
    if "drag" in names:
        found["drag"] = Drag()
    if "script" in names:
        found["script"] = Typist(task, seed)
    if "gamepad" in names:
        pad = find_gamepad(drives=drives)
        if pad is not None:
            found["gamepad"] = pad
        elif asked:
            raise SandbotError(
                "no gamepad is plugged in, or SDL does not know it: plug one in, or "
                "steer with --input keys drag"
            )
    return found


@dataclass(frozen=True)
class Recording:
    """A dataset that is to be recorded, or none."""

    out: Path | None
    episodes: int | None
    seed: int
    randomize: str
    keep_failures: bool
    cameras: Sequence[str]
    image_size: tuple[int, int]

    @contextmanager
    def open(
        self, env: "Env", overwrite: bool, resume: bool, notify: Notify
    ) -> Iterator[Take | None]:
        """What records in an environment; at the end all that is pending is settled.

        Raises:
            SandbotError: the dataset cannot be written, or nothing was kept.
        """
        if self.out is None:
            yield None
            return
        with self._writer(env, overwrite, resume) as writer:
            take = Take(
                env,
                writer,
                seed=self.seed,
                episodes=self.episodes,
                keep_failures=self.keep_failures,
                notify=notify,
            )
            try:
                yield take
            finally:
                take.close()
            if not take.kept:
                raise SandbotError(f"no episode was kept: {self.out} is not written")

    def _writer(self, env: "Env", overwrite: bool, resume: bool) -> "DatasetWriter":
        from ml.lerobot import DatasetWriter
        from policies.origin import check_resumed, origin
        from policies.tape import recorded_groups

        assert self.out is not None
        about = origin(
            env,
            "teleop",
            randomize=self.randomize,
            seed=self.seed,
            keep_failures=self.keep_failures,
            cameras=self.cameras,
            image_size=self.image_size,
        )
        about["noise"] = 0.0
        return DatasetWriter(
            self.out,
            observations=recorded_groups(env),
            action=env.action_spec,
            control_dt=env.control_dt,
            robot=env.task.robot,
            about=check_resumed(self.out, about) if resume else about,
            overwrite=overwrite,
            resume=resume,
            batches=True,
        )


def _task(name: str) -> "Task":
    """The task, if a person can operate it."""
    from sims import TASKS, make_task

    if name in TASKS and name not in drivable():
        raise UsageError(
            f"a person can operate ALOHA's arms, not {name}: choose one of "
            f"{', '.join(drivable())}"
        )
    if name not in TASKS:
        raise unknown("task", name, drivable())
    return make_task(name)


def _check(
    viewer: str,
    inputs: Sequence[str],
    out: Path | None,
    episodes: int | None,
    seconds: float,
    cameras: Sequence[str],
    overwrite: bool,
    resume: bool,
) -> None:
    """See that the options go together."""
    if viewer not in VIEWERS:
        raise unknown("viewer for teleoperation", viewer, VIEWERS)
    if episodes is not None and episodes < 1:
        raise UsageError(f"episodes must be at least 1, got {episodes}")
    if not 1 <= seconds <= 3600:
        raise UsageError(f"an episode takes 1 to 3600 seconds, got {seconds:g}")
    if overwrite and resume:
        raise UsageError("a dataset is continued or overwritten, not both")
    if out is None and (cameras or overwrite or resume):
        raise UsageError(
            "cameras, --overwrite and --resume are of a dataset: give --out"
        )
    if viewer == "none" and "script" in inputs and episodes is None:
        raise UsageError("a script types without an end: give --episodes")


def _make_env(
    task: "Task",
    engine: str | None,
    randomize: str,
    seed: int,
    cameras: Sequence[str],
    image_size: tuple[int, int],
) -> "Env":
    from sims import make_env

    seen: dict[str, Any] = {}
    if cameras:
        size = tuple(image_size)
        seen = {"observe": "both", "cameras": tuple(cameras), "image_size": size}
    return make_env(task, engine=engine, randomize=randomize, seed=seed, **seen)


def _hints(rows: Sequence[tuple[str, str]], records: bool) -> Iterator[str]:
    """What the inputs do, in a line; and what a recording asks of a person."""
    yield "; ".join(f"{keys} {does}" for keys, does in rows)
    if records:
        yield (
            "an episode waits for your first input, and ends when it is solved; Enter "
            "keeps, Delete discards, R redoes it"
        )
