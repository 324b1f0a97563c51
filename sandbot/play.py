"""``sandbot play``: watch a policy in a window, on a web page or as a video."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assets.errors import SandbotError, UsageError
from sandbot.options import (
    Executed,
    Integer,
    MaybeInteger,
    MaybeName,
    MaybePath,
    Name,
    Names,
    Networked,
    Number,
    OneWorld,
    TaskOrEnv,
    parse,
)


@dataclass(frozen=True, kw_only=True)
class Options(OneWorld, TaskOrEnv, Networked, Executed):
    """Watch a policy: in a window where there is a display, else on a web page.

    Without --steps or --episodes a window or page stays until it is closed (Ctrl-C ends
    a page), and a video or "none" lasts two episodes.
    """

    mjcf: MaybePath = None
    """An MJCF or URDF file in place of a task: its actuators are driven, without an
    aim."""
    policy: MaybeName = None
    """A name, or the folder of a checkpoint; by default the task's expert, or random
    where it has none, and zero for an MJCF file."""
    num_envs: Integer = 1
    """Environments side by side; the viewer chooses which one it shows."""
    viewer: Name = "auto"
    """auto, native (a window), web (a page on 127.0.0.1), video (a file) or none."""
    port: MaybeInteger = None
    """Of the page; by default the first free one from 8080 on."""
    out: MaybePath = None
    """File of the video: .mp4, .gif or .webp; by default the task's name, as MP4."""
    steps: MaybeInteger = None
    """End after so many control steps."""
    episodes: MaybeInteger = None
    """End after so many finished episodes."""
    speed: Number = 1.0
    """Relative to real time, a power of two from 1/32 to 8."""
    show: Names = ()
    """What else to show from the start: contacts (their forces as arrows), curves (the
    reward, its terms and metrics over time; not in a video)."""

    def find_task(self) -> Any:
        """The task that was asked for, fresh.

        Raises:
            UsageError: none, two, or an unknown one.
            SandbotError: the MJCF file cannot be read.
        """
        if not self.mjcf:
            return super().find_task()
        if self.task or self.env:
            raise UsageError("give a task, --env or --mjcf; two of them were given")
        if self.steps is None and (self.out or self.viewer in ("video", "none")):
            raise UsageError(
                "an MJCF file's episode has no end: give --steps, such as --steps 500"
            )
        from sims.mjcf_task import MjcfTask

        return MjcfTask(self.mjcf)


def run(arguments: Sequence[str]) -> int:
    """Parse, play, and say what was played."""
    options = parse(Options, "play", arguments)
    task = options.find_task()
    from tqdm import tqdm

    from policies import make_policy
    from policies.seeing import environment_of
    from sims.viewers import check_shown, check_viewer, play

    check_viewer(options.viewer)
    check_shown(options.show)
    usual = "zero" if options.mjcf else "random"
    name = options.policy or ("expert" if task.expert else usual)
    policy = make_policy(
        name,
        task,
        options.num_envs,
        seed=options.seed,
        device=options.device,
        execution=options.execution(),
    )
    env = environment_of(
        policy,
        task,
        engine=options.engine,
        num_envs=options.num_envs,
        randomize=options.randomize,
        seed=options.seed,
    )
    viewer = "video" if options.out and options.viewer == "auto" else options.viewer
    bar = tqdm(desc="play", delay=2, disable=None, leave=False)

    def tell(done: int, expected: int) -> None:
        bar.total = expected
        bar.update(done - bar.n)

    try:
        summary = play(
            env,
            policy,
            viewer=viewer,
            port=options.port,
            out=options.out,
            steps=options.steps,
            episodes=options.episodes,
            speed=options.speed,
            policy_name=name,
            show=options.show,
            notify=_say,
            progress=tell,
        )
    finally:
        bar.close()
        env.close()
    counted = f"{summary.episodes} episode{'s' * (summary.episodes != 1)}"
    if summary.successes is not None:
        counted += f", {summary.successes} succeeded"
    _say(f"{counted}; {summary.seconds:.1f} s simulated in {summary.wall:.1f} s")
    if summary.error:
        raise SandbotError(f"stopped because of an error: {summary.error}")
    return 0


def _say(line: str) -> None:
    """Print at once, so that an address is read while the page is up."""
    print(line, flush=True)
