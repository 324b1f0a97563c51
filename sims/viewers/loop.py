"""The loop behind every viewer: one policy in one environment, with nothing drawn.

A viewer owns the window and the wall clock's patience; a :class:`Session` owns all the
rest: what plays, how fast, which environment is shown, what is pushed, what went wrong.
It is plain Python without threads, so that one thread calls it and a test needs no
OpenGL.

Time is counted in ticks of one control period. A tick steps the environment, or lets
the end of an episode stand for a moment before the next one starts. Ticks fall due at
``speed`` times real time; once per frame a viewer takes those that are due by
:meth:`Session.advance`. A session that falls behind does not try to catch up: it runs
as fast as it can, and the achieved real-time factor says how fast that is.

A policy that raises pauses the session. Nothing is lost: the message stays until the
next reset, and playing on tries again.

What a person may look at besides, contact forces and curves, costs nothing while it is
switched off; neither does telling the robot, while nothing is held.
"""

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import UsageError
from sims.task import Marker
from sims.viewers.curves import Curves
from sims.viewers.fleet import Fleet
from sims.viewers.forces import ContactArrows
from sims.viewers.guest import NEXT, REPEAT, RESET, Guest
from sims.viewers.pace import SPEEDS, Pace
from sims.viewers.pushes import Pushes, Pushing
from sims.viewers.status import Status, describe, status_of
from sims.viewers.views import Views

if TYPE_CHECKING:
    import mujoco

    from sims.env import Env
    from sims.policy import Policy

log = logging.getLogger(__name__)


class Session:
    """See the module's top."""

    def __init__(
        self,
        env: "Env",
        policy: "Policy",
        *,
        policy_name: str | None = None,
        speed: float = 1.0,
        paused: bool = False,
        steps: int | None = None,
        episodes: int | None = None,
        pushing: Pushing | None = None,
        hold: float = 0.7,
        guest: Guest | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Start the first episode.

        Args:
            env: not closed by the session.
            policy: for as many environments as ``env`` has.
            policy_name: to show; None: the policy's ``name``, else its class.
            speed: one of :data:`SPEEDS`.
            paused: whether to wait for :meth:`play`.
            steps: end after so many control steps; None: never.
            episodes: end after so many finished episodes; None: never.
            pushing: how hard the push button pushes.
            hold: for how long the end of an episode stands [s of wall clock].
            guest: who takes part; None: nobody.
            clock: seconds, for tests.

        Raises:
            UsageError: a speed that is not allowed, or a limit below 1.
        """
        for name, limit in (("steps", steps), ("episodes", episodes)):
            if limit is not None and limit < 1:
                raise UsageError(f"{name} must be at least 1, got {limit}")
        self.env, self.policy = env, policy
        self.guest = guest or Guest()
        """Who takes part besides the policy."""
        self.policy_name = policy_name or getattr(policy, "name", type(policy).__name__)
        self.paused = paused
        self.fleet = Fleet(env.num_envs, env.control_dt)
        """Which environment is shown."""
        self.pushes = Pushes(env, pushing or Pushing(), clock)
        self.contacts = ContactArrows(env.engine)
        self.curves = Curves(env.control_dt)
        self.views = Views(env.engine.model)
        self.error: str | None = None
        self.failure: Exception | None = None
        """The last exception, with its traceback; stays after the error is cleared."""
        self.steps = self.episodes = self.successes = 0
        self._limits = (steps, episodes)
        self._hold, self._held = hold, 0
        self._pace = Pace(env.control_dt, speed, clock)
        self._start: dict[str, Any] | None = None
        self._obs: Any = None
        self._ended = np.zeros(env.num_envs, bool)
        self.success: np.ndarray | None = None
        """(num_envs,) whether each is solved so far; None: the task measures none."""
        self.reset()

    @property
    def shown(self) -> int:
        """Index of the environment that is shown."""
        return self.fleet.shown

    @property
    def held(self) -> bool:
        """Whether the shown episode is over and stands for a moment."""
        return self._held > 0

    @property
    def speed(self) -> float:
        """Target real-time factor, one of :data:`SPEEDS`."""
        return self._pace.speed

    @property
    def finished(self) -> bool:
        """Whether the limit of steps or episodes is reached, or the guest is done."""
        return self.guest.finished or (self._spent() and not self._held)

    @property
    def limit(self) -> int | None:
        """At most so many control steps until :attr:`finished`; None: no end."""
        steps, episodes = self._limits
        if episodes is not None:
            rounds = -(-episodes // self.env.num_envs)
            return min(
                steps or rounds * self.env.max_steps, rounds * self.env.max_steps
            )
        return steps

    def play(self) -> None:
        """Go on; after an error, try again."""
        self.error = None
        self.paused = False
        self._pace.restart()

    def pause(self) -> None:
        """Stand still."""
        self.paused = True
        self._pace.restart()

    def toggle(self) -> None:
        """Play if paused, else pause."""
        if self.paused:
            self.play()
        else:
            self.pause()

    def single_step(self) -> None:
        """Pause, and take one control step."""
        self.pause()
        self.error = None
        self._held = min(self._held, 1)
        self.tick()

    def reset(self) -> None:
        """Start the next episode, the policy afresh, whatever state we are in."""
        self.error = None
        self._guard(lambda: self._begin(RESET))

    def repeat(self) -> None:
        """Start the same episode again: the same draws, the policy afresh."""
        self.error = None
        self._guard(self._again)

    def end(self) -> None:
        """Let the shown episode be over, as it stands."""
        if not self._held:
            over = (np.arange(self.env.num_envs) == self.shown) & ~self._ended
            self._ended |= over
            self._finish(over)
            self._rest()

    def proceed(self) -> None:
        """Cut the pause after an episode short."""
        self._held = min(self._held, 1)

    def set_speed(self, speed: float) -> None:
        """Change the target real-time factor.

        Raises:
            UsageError: not one of :data:`SPEEDS`.
        """
        self._pace.speed = speed

    def faster(self, powers: int = 1) -> None:
        """Double the speed so many times (halve, below 0), within :data:`SPEEDS`."""
        index = SPEEDS.index(self.speed) + powers
        self.set_speed(SPEEDS[min(max(index, 0), len(SPEEDS) - 1)])

    def show(self, env: int) -> None:
        """Show this environment; counts around, so that -1 is the last one."""
        self.fleet.show(env)

    def push(self, body: str | None = None, force: np.ndarray | None = None) -> None:
        """Push the shown robot for a moment.

        Args:
            body: whose centre of mass is pushed; None: the configured one.
            force: (3,) [N], world axes; None: the configured one.
        """
        if self.guest.pushable:
            self.pushes.push(self._pace.ticks, body, force)

    def drag(self, wrenches: dict[str, np.ndarray]) -> None:
        """Pull bodies of the shown environment until called again.

        Args:
            wrenches: by body, (6,): force [N], torque [N m]; empty: let go.
        """
        rest = self.guest.drag(wrenches)
        if self.guest.pushable:
            self.pushes.drag(self._pace.ticks, rest)

    def hold(self, keys: frozenset[str]) -> None:
        """These of the guest's keys are held down, until called again."""
        self.guest.hold(keys)

    def advance(self, budget: float = 1 / 30) -> int:
        """Take the ticks that are due, for at most ``budget`` [s of wall clock].

        Returns:
            How many were taken.
        """
        if self.paused or self.finished:
            return 0
        pace, taken = self._pace, 0
        start = pace.clock()
        pace.catch_up()
        while not self.paused and not self.finished:
            now = pace.clock()
            if pace.due > now or now - start > budget:
                break
            self.tick()
            taken += 1
        pace.record()
        return taken

    def tick(self) -> None:
        """One control period: a step, or a part of the pause between episodes."""
        if self._guard(lambda: self.guest.tick(self)):
            if self._held:
                self._wait()
            else:
                self._guard(self._step)
        self._pace.ticks += 1

    def snapshot(self) -> "tuple[mujoco.MjModel, mujoco.MjData]":
        """The shown environment, to draw it; valid until the next call."""
        return self.env.engine.snapshot(self.shown)

    def markers(self) -> list[Marker]:
        """What to draw beside the scene: of the task, the push, the contacts and the
        guest."""
        return [
            *self.env.markers(self.shown),
            *self.pushes.markers(self.shown),
            *self.contacts.markers(self.shown),
            *self.guest.markers(),
        ]

    def status(self) -> Status:
        """What a viewer shows about this session."""
        return status_of(self)

    @property
    def achieved(self) -> float:
        """Achieved real-time factor over the last second; 0 while paused."""
        return 0.0 if self.paused else self._pace.achieved

    def attempt(self, act: "Callable[[Session], Any]") -> None:
        """Do what a person asks; what it raises pauses the session, and is told."""
        self._guard(lambda: act(self))

    def _spent(self) -> bool:
        steps, episodes = self._limits
        return (steps is not None and self.steps >= steps) or (
            episodes is not None and self.episodes >= episodes
        )

    def _wait(self) -> None:
        """Let the pause pass; the next episode starts at its end."""
        self._held -= 1
        if self._held or self._spent():
            return
        if not self._guard(lambda: self._begin(NEXT)):
            self._held = 1  # it is tried again when a person plays on

    def _begin(self, why: str) -> None:
        obs = self.env.reset(**self.guest.start(why))
        self._start = self.env.save()
        self._fresh(obs)

    def _again(self) -> None:
        if self._start is None:
            self._begin(RESET)
        else:
            self.guest.start(REPEAT)
            self._fresh(self.env.load(self._start))

    def _fresh(self, obs: Any) -> None:
        """An episode starts with these observations."""
        self._obs = obs
        self._held = 0
        self._ended[:] = False
        success = self.env.task.success(self.env.engine, self.env.state)
        self.success = None if success is None else np.array(success)
        self.pushes.clear()
        self.fleet.begin()
        self.curves.begin()
        self.policy.reset()
        self.guest.begin(obs)

    def _step(self) -> None:
        """One control step of every environment, if the guest lets it."""
        if not self.guest.ready():
            return
        self.pushes.apply(self._pace.ticks, self.shown)
        action = self.guest.act(self._obs, self.policy.act(self._obs))
        outcome = self.env.step(action)
        self._obs, reward, terminated, truncated, info = outcome
        self.steps += 1
        success = info["success"]
        self.success = None if success is None else np.array(success)
        done = np.asarray(terminated | truncated) & ~self._ended
        self.fleet.record(reward, done & np.asarray(terminated))
        self.curves.record(self.env, self.shown, outcome)
        self.guest.stepped(outcome)
        if done.any():
            self._finish(done)
        if self._ended[self.shown]:
            self._rest()

    def _rest(self) -> None:
        """The shown episode is over: let its end stand for a moment."""
        ticks = self._hold * self.speed / self.env.control_dt
        self._held = max(1, round(ticks))
        self.guest.ended()

    def _finish(self, done: np.ndarray) -> None:
        """Count the episodes that ended."""
        self.episodes += int(done.sum())
        if self.success is not None:
            self.successes += int(self.success[done].sum())
        if self.env.autoreset:
            self.policy.reset(done)
        else:
            self._ended |= done

    def _guard(self, act: Callable[[], None]) -> bool:
        """Do it; what it raises pauses the session, and is told instead.

        Returns:
            Whether it was done.
        """
        try:
            act()
            return True
        except Exception as error:
            self.error = describe(error)
            self.failure = error
            self.pause()
            log.debug("the session paused", exc_info=True)
            return False
