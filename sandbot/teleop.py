"""``sandbot teleop``: operate a robot by hand, and record it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assets.errors import SandbotError
from sandbot.options import (
    Flag,
    ImageSize,
    MaybeInteger,
    MaybePath,
    Name,
    Names,
    Number,
    OneWorld,
    TaskName,
    parse,
)


@dataclass(frozen=True, kw_only=True)
class Options(OneWorld):
    """Operate a robot by keys, mouse and gamepad; record episodes as a dataset.

    What you steer with moves a hand, the hand pulls a leader arm, and the robot
    follows. Without --out you only drive.
    """

    task: TaskName
    """One of ALOHA's; `sandbot list` shows them."""
    input: Names = ()
    """keys, drag (the mouse), gamepad, or script (types by itself), all at once; keys,
    drag and a gamepad if one is plugged in by default."""
    out: MaybePath = None
    """Folder of the dataset; episodes are in it whole or not at all."""
    episodes: MaybeInteger = None
    """How many to keep; by default until you close the viewer."""
    viewer: Name = "auto"
    """auto, native (a window), web (a page on 127.0.0.1) or none (gamepad, script)."""
    port: MaybeInteger = None
    """Of the page; by default the first free one from 8080 on."""
    seconds: Number = 60.0
    """After so long an episode ends by itself."""
    speed: Number = 1.0
    """Relative to real time, a power of two from 1/32 to 8; 0.5 is slow motion."""
    cameras: Names = ()
    """Cameras to record as H.264, such as: top left/wrist. None by default."""
    image_size: ImageSize = (640, 480)
    """Of their pictures."""
    keep_failures: Flag = False
    """Keep episodes that ran out of time unsolved, too."""
    overwrite: Flag = False
    """Let a dataset in --out make way."""
    resume: Flag = False
    """Go on with a dataset that was recorded with the same options."""


def run(arguments: Sequence[str]) -> int:
    """Parse, operate, and say what was done."""
    options = parse(Options, "teleop", arguments)
    from policies.teleop.teleoperate import teleoperate

    summary = teleoperate(
        options.task,
        inputs=options.input,
        out=Path(options.out) if options.out else None,
        episodes=options.episodes,
        viewer=options.viewer,
        port=options.port,
        seconds=options.seconds,
        speed=options.speed,
        engine=options.engine,
        randomize=options.randomize,
        seed=options.seed,
        keep_failures=options.keep_failures,
        cameras=options.cameras,
        image_size=options.image_size,
        overwrite=options.overwrite,
        resume=options.resume,
        notify=_say,
    )
    played = summary.played
    if summary.folder is None:
        _say(f"{played.episodes} episodes, {played.successes} succeeded")
    else:
        _say(
            f"{summary.folder}: {summary.kept} episodes, {summary.frames} frames; "
            f"{summary.discarded} discarded, {summary.failed} failed"
        )
    if played.error:
        raise SandbotError(f"stopped because of an error: {played.error}")
    return 0


def _say(line: str) -> None:
    """Print at once, so that an address is read while the page is up."""
    print(line, flush=True)
