"""How the policy of a running training does, and what that looks like.

It acts in environments of its own, whose identities no training has
(:mod:`policies.trial`), with a copy of the actor: what is learned from, and the
learner's own generators, are as they were.
"""

import copy
import logging
from pathlib import Path
from typing import Any

import numpy as np

from assets.errors import SandbotError, unknown
from policies.rl.config import RLConfig
from policies.rl.policy import RLPolicy
from policies.rl.worlds import split_groups
from policies.seeing import environment_of
from policies.trial import FIRST_ID, try_out

log = logging.getLogger(__name__)

FILMS = "videos"
"""Folder in the run's."""
SIZE = (320, 240)
"""Of a film [pixels]."""


def find_profile(task: Any, name: str) -> str:
    """The randomisation of that name; a task without "train" takes "none".

    Raises:
        UsageError: the task has no such profile.
    """
    profiles = task.randomizations
    if name in profiles:
        return name
    if name == "train":
        return "none"
    raise unknown(f"randomisation of {task.name!r}", name, profiles)


class Judge:
    """Evaluates a learner, and films it if the configuration says so."""

    def __init__(
        self,
        task: Any,
        learner: Any,
        config: RLConfig,
        engine: str | None,
        folder: Path,
    ) -> None:
        """Ready.

        Args:
            task: what is to be done, as hard as it will be.
            learner: has ``actor()`` and ``device``.
            config: how many episodes, under which randomisation.
            engine: to act in; None: the task's usual one, and so it is for "warp": few
                worlds are quicker on the CPU, and another engine tells more.
            folder: of the run.
        """
        self.task, self.learner, self.config = task, learner, config
        self.folder = folder
        self._choices: dict[str, Any] = {
            "engine": None if engine == "warp" else engine,
            "randomize": find_profile(task, config.evaluate_randomize),
        }
        self._films = config.video

    def __call__(self, steps: int) -> dict[str, float]:
        """Figures of the present policy: "success", "return", "length" and others.

        Args:
            steps: that it has learned from, for the film's name.
        """
        count = self.config.evaluate_episodes
        figures = try_out(self._policy(count), self.task, count, **self._choices)
        if self._films:
            self._film(self.folder / FILMS / f"step-{steps:010}.mp4")
        return figures

    def _policy(self, num_envs: int) -> RLPolicy:
        seen, _ = split_groups(self.task)
        return RLPolicy(
            copy.deepcopy(self.learner.actor()),  # which it may switch or move
            obs_spec={group: self.task.obs_spec[group] for group in seen},
            action_spec=self.task.action_spec,
            control_dt=self.task.control_dt,
            num_envs=num_envs,
            device=str(self.learner.device),
        )

    def _film(self, path: Path) -> None:
        """One episode; where it cannot be drawn, no other is tried."""
        from sims.viewers.loop import Session
        from sims.viewers.video import record

        policy = self._policy(1)
        env = environment_of(policy, self.task, num_envs=1, **self._choices)
        try:
            env.reset(ids=np.array([FIRST_ID]))  # the session begins its next episode
            session = Session(env, policy, episodes=1)
            record(session, path, width=SIZE[0], height=SIZE[1], quality="fast")
        except SandbotError as error:
            self._films = False
            log.warning("no films of this training: %s", " ".join(str(error).split()))
        finally:
            env.close()
