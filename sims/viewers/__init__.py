"""Watching a policy: in a window, on a web page, as a video.

``play(env, policy, viewer="auto")`` is the way in. The stepping loop
(:mod:`~sims.viewers.loop`) is the same for all and needs no OpenGL; each viewer is
imported when it is chosen.
"""

from sims.viewers.choose import (
    SHOWN,
    VIEWERS,
    PlaySummary,
    check_shown,
    check_viewer,
    choose,
    play,
)

__all__ = [
    "SHOWN",
    "VIEWERS",
    "PlaySummary",
    "check_shown",
    "check_viewer",
    "choose",
    "play",
]
