"""Leader and follower: a scripted hand pulls the leaders, the robot does as they do.

As a policy, so that whatever records, replays and judges policies serves teleoperation
as well. The followers' targets are the leaders' readings, with nothing added: where
gravity lets a follower sag, the hand has to make up for it.
"""

from typing import TYPE_CHECKING

import numpy as np

from policies.aloha.script import Hands, Script, ScriptPolicy
from policies.teleop.hand import Hand, HandNoise
from policies.teleop.pair import LeaderPair
from sims.tasks.aloha import SIDES

if TYPE_CHECKING:
    from sims.arrays import Array, Obs
    from sims.task import Task


class LeaderFollower(ScriptPolicy):
    """See the module's top; a :class:`sims.policy.Policy`."""

    def __init__(
        self,
        task: "Task",
        num_envs: int,
        seed: int,
        script: Script,
        noise: HandNoise | None = None,
    ) -> None:
        """Prepare; the first four are :class:`ScriptPolicy`'s.

        Args:
            task: of ALOHA.
            num_envs: how many environments, each with leaders of its own.
            seed: of what script and hands draw.
            script: of that task; what the hands are about to do.
            noise: how unsteady the hands are; None: as people's.
        """
        super().__init__(task, num_envs, seed, script)
        self._noise = noise or HandNoise()
        self.leaders = [LeaderPair(self._arms) for _ in range(num_envs)]
        """Of each environment."""
        self._hands: list[dict[str, Hand]] = [{} for _ in range(num_envs)]

    def act(self, obs: "Obs") -> "Array":
        """Joint targets [rad] and openings, (num_envs, 14)."""
        state = np.asarray(obs["state"], float)
        for i in np.flatnonzero(self._fresh).tolist():
            self._episode[i] += 1
            self._step[i] = 0
            self._begin(obs, i)
        self._fresh[:] = False
        rows = []
        for i in range(self.num_envs):
            sides = (self._pull(i, side, state[i]) for side in SIDES)
            rows.append(np.concatenate(list(sides)))
        self._step += 1
        return np.clip(np.stack(rows), self._low, self._high)

    def _begin(self, obs: "Obs", index: int) -> None:
        """Take the leaders of an environment in hand."""
        rng = self.generator("hand", index)
        hands: Hands = self._script(self.scene(obs, index), rng)
        self.leaders[index] = LeaderPair(self._arms)
        self._hands[index] = {
            side: Hand(
                hands.get(side, []),
                self.leaders[index].grip(side),
                self.control_dt,
                self._noise,
                rng,
            )
            for side in SIDES
        }

    def _pull(self, index: int, side: str, state: np.ndarray) -> np.ndarray:
        """(7,): what one leader reads after the hand moved it."""
        leaders, hand = self.leaders[index], self._hands[index][side]
        follower = leaders.follower(side, state).position
        return leaders.pull(side, *hand.at(int(self._step[index]), follower))
