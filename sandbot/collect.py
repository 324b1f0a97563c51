"""``sandbot collect``: record demonstrations as a LeRobot dataset."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbot.options import (
    Flag,
    ImageSize,
    Integer,
    MaybeInteger,
    MaybeNumber,
    Name,
    Names,
    Networked,
    OneWorld,
    PathName,
    TaskOrEnv,
    parse,
)


@dataclass(frozen=True, kw_only=True)
class Options(OneWorld, TaskOrEnv, Networked):
    """Record episodes of a policy as a dataset in the LeRobot v3 layout."""

    policy: Name = "expert"
    """A name, or the folder of a checkpoint."""
    episodes: Integer = 200
    """How many to keep; those that fail are left out."""
    num_envs: MaybeInteger = None
    """Environments side by side; the dataset does not depend on it."""
    out: PathName
    """Folder of the dataset; episodes are in it whole or not at all."""
    cameras: Names = ()
    """Cameras to record as H.264, such as: top left/wrist. None by default."""
    image_size: ImageSize = (640, 480)
    """Of their pictures."""
    noise: MaybeNumber = None
    """Disturbance of the executed action, as a fraction of its limits: the data then
    show how to come back (DART). 0: none; left out: what the policy copes with."""
    keep_failures: Flag = False
    """Keep episodes that did not succeed, too."""
    overwrite: Flag = False
    """Let a dataset in --out make way."""
    resume: Flag = False
    """Go on with a dataset that was cut off, recorded with the same options."""


def run(arguments: Sequence[str]) -> int:
    """Parse, record, and say what was recorded."""
    options = parse(Options, "collect", arguments)
    task = options.find_task()
    from tqdm import tqdm

    from policies.collect import collect

    size = {} if options.num_envs is None else {"num_envs": options.num_envs}
    with tqdm(
        total=options.episodes, unit="episode", desc="collect", delay=2, disable=None
    ) as bar:
        summary = collect(
            task.name,
            options.policy,
            episodes=options.episodes,
            out=Path(options.out),
            engine=options.engine,
            randomize=options.randomize,
            seed=options.seed,
            noise=options.noise,
            keep_failures=options.keep_failures,
            cameras=options.cameras,
            image_size=options.image_size,
            overwrite=options.overwrite,
            resume=options.resume,
            device=options.device,
            progress=lambda kept, _: bar.update(kept - bar.n),
            **size,
        )
    print(
        f"{summary.folder}: {summary.episodes} episodes, {summary.frames} frames in "
        f"{summary.seconds:.1f} s{_physics(summary.physics_share)}"
    )
    if summary.successes is None:
        print(f"{task.name} reports no success: next.success is false throughout")
    else:
        print(
            f"{options.policy}, disturbed as it was, succeeded in {summary.successes} "
            f"of {summary.attempts} episodes"
        )
    return 0


def _physics(share: float | None) -> str:
    return "" if share is None else f", {share:.0%} of it physics"
