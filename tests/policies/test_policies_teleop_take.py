"""A person's session, typed by a script: kept, discarded, redone, replayed."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assets.errors import SandbotError, UsageError
from evaluation.replay import replay
from ml.lerobot import read_dataset
from ml.lerobot.check import check
from policies.collect import FIRST_ID
from policies.teleop.cockpit import Cockpit
from policies.teleop.keys import Keys
from policies.teleop.operator import Operator
from policies.teleop.take import Take
from policies.teleop.teleoperate import Recording, teleoperate
from policies.teleop.typist import Typist
from policies.teleop.wish import KEEP, Wish
from sims import make_env
from sims.viewers.loop import Session

TASK = "aloha-transfer-cube"


class Desk:
    """An environment, an operator, a take and a session, without a viewer."""

    def __init__(
        self, out: Path, source: Any, seconds: float = 60.0, **options: Any
    ) -> None:
        resume = options.pop("resume", False)
        self.env = make_env(TASK, threads=1)
        self.env.max_steps = round(seconds / self.env.control_dt)
        self.source = source
        self.operator = Operator(self.env.task, 1, [source])
        self.notes: list[str] = []
        keep = options.pop("keep_failures", False)
        episodes = options.pop("episodes", None)
        recording = Recording(out, episodes, 3, "none", keep, (), (640, 480))
        self._open = recording.open(self.env, False, resume, self.notes.append)

    def __enter__(self) -> "Desk":
        take = self._open.__enter__()
        assert take is not None
        self.take: Take = take
        self.cockpit = Cockpit(self.operator, take)
        self.session = Session(self.env, self.operator, guest=self.cockpit, hold=0.1)
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)
        self.env.close()

    def tick(self, count: int = 1, keys: str | None = None) -> None:
        for _ in range(count):
            if keys is not None:
                self.cockpit.hold(frozenset(keys))
            self.session.tick()
            assert self.session.error is None, self.session.error

    def cube(self) -> list[float]:
        return self.env.engine.pose("cube")[0][0].tolist()

    def say(self, label: str) -> None:
        """Press one of the panel's buttons."""
        command = next(c for c in self.cockpit.commands if c.label == label)
        command.run(self.session)


def keep_one(desk: Desk) -> None:
    """A short episode that the person keeps; it is pending then."""
    desk.tick(1, keys="")
    desk.tick(20, keys="D")
    desk.say("Keep")


def test_a_script_that_holds_keys_solves_the_task_and_the_file_replays(
    tmp_path: Path,
) -> None:
    out = tmp_path / "d"
    with Desk(out, Typist(make_env(TASK).task), episodes=2) as desk:
        begun = desk.cube()
        desk.tick(60)
        desk.say("Discard")
        assert desk.cube() != begun, "another start"
        begun = desk.cube()
        desk.tick(60)
        assert desk.cube() != begun and desk.env.state.steps[0] > 50
        desk.say("Redo")
        assert desk.cube() == begun and desk.env.state.steps[0] == 0
        assert "discarded 2" in desk.cockpit.lines()[0]
        while not desk.take.pending:
            desk.tick()
        assert desk.session.successes == 1
        assert desk.take.kept == 0 and "will be kept" in desk.cockpit.lines()[1]
        while desk.take.kept == 0:
            desk.tick()
        assert desk.cockpit.lines()[0].startswith("episode 2 of 2, 0.0 s, kept 1")
        desk.tick(40)
        desk.say("Keep")
        assert not desk.session.finished
        desk.say("Keep")
        desk.tick()
        assert desk.session.finished
    assert check(out).findings == []
    data = read_dataset(out)
    assert [(row["seed"], row["id"]) for row in data.episodes] == [
        (3, FIRST_ID + 1),
        (3, FIRST_ID + 2),
    ]
    assert [row["success"] for row in data.episodes] == [True, False]
    np.testing.assert_allclose(
        data.episode(0)["observation.environment_state"][0][:3], begun, atol=1e-7
    )
    moved = np.abs(np.diff(data.episode(0)["action"][:25], axis=0)).max(1)
    assert moved.max() > 0, "no dead time at the start"
    assert all(one.same for one in replay(out, threads=1))
    assert data.about["policy"] == "teleop" and data.about["attempts"] == 3


def test_what_a_script_types_does_not_depend_on_how_fast_the_machine_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No clock but the simulation's decides for how long its keys are held."""

    def typed() -> np.ndarray:
        env = make_env(TASK, threads=1)
        operator = Operator(env.task, 1, [Typist(env.task)])
        obs = env.reset()
        operator.begin(obs)
        rows = []
        for _ in range(60):
            rows.append(operator.act(obs))
            obs = env.step(rows[-1])[0]
        env.close()
        return np.concatenate(rows)

    quick = typed()
    times = iter(range(0, 10**9, 100))
    defaults: Any = Keys.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "clock", lambda: float(next(times)))
    np.testing.assert_array_equal(typed(), quick)
    assert np.ptp(quick, axis=0).max() > 0.05


def test_an_episode_waits_for_the_first_input_and_not_for_what_was_held(
    tmp_path: Path,
) -> None:
    with Desk(tmp_path / "d", Keys()) as desk:
        desk.tick(20, keys="D")
        assert desk.env.state.steps[0] == 0, "held since before the start"
        assert desk.cockpit.lines()[1] == "waiting for your first input"
        desk.tick(20, keys="")
        assert desk.env.state.steps[0] == 0
        desk.tick(20, keys="D")
        assert desk.env.state.steps[0] == 20
        desk.tick(10, keys="")
        assert desk.env.state.steps[0] == 30, "what has begun goes on"
        assert desk.cockpit.lines()[1] == "recording"
        desk.say("Keep")


@pytest.mark.parametrize("keep_failures", [False, True])
def test_what_ran_out_of_time_is_kept_only_where_failures_are(
    tmp_path: Path, keep_failures: bool
) -> None:
    out = tmp_path / "d"
    with Desk(out, Keys(), seconds=0.4, keep_failures=keep_failures) as desk:
        for _ in range(2):
            desk.tick(2, keys="")
            desk.tick(20, keys="D")
            assert desk.take.pending
            desk.tick(6, keys="")
        assert (desk.take.kept, desk.take.failed) == (
            (2, 0) if keep_failures else (0, 2)
        )
        desk.tick(2, keys="")
        desk.tick(20, keys="D")
        desk.say("Keep")
        desk.tick(1, keys="")
        assert desk.take.kept == 1 + 2 * keep_failures, "the person has the last word"
        kept = desk.take.kept
        desk.say("Keep")
        assert desk.take.kept == kept, "there is nothing yet"
    assert len(read_dataset(out).episodes) == kept


def test_what_is_pending_at_the_end_is_written_and_what_runs_is_not(
    tmp_path: Path,
) -> None:
    out = tmp_path / "d"
    with Desk(out, Keys()) as desk:
        keep_one(desk)
    assert len(read_dataset(out).episodes) == 1
    with Desk(out, Keys(), resume=True) as desk:
        desk.tick(1, keys="")
        desk.tick(20, keys="D")
        desk.say("Discard")
        desk.tick(1, keys="")
        desk.tick(20, keys="D")
    assert len(read_dataset(out).episodes) == 1
    with Desk(out, Keys(), resume=True) as desk:
        assert desk.cockpit.lines()[0].startswith("episode 2, 0.0 s, kept 1")
        keep_one(desk)
    ids = [row["id"] - FIRST_ID for row in read_dataset(out).episodes]
    assert ids == [0, 3], "identities that were thrown away are not used again"
    assert all(one.same for one in replay(out, threads=1))


def test_a_crash_leaves_all_that_was_kept(tmp_path: Path) -> None:
    out, copy = tmp_path / "d", tmp_path / "copy"
    with Desk(out, Keys()) as desk:
        keep_one(desk)
        desk.tick(8, keys="")
        assert desk.take.kept == 1
        desk.tick(20, keys="D")
        shutil.copytree(out, copy)
    assert check(copy).findings == [] and len(read_dataset(copy).episodes) == 1


def test_nothing_is_pushed_while_it_is_recorded(tmp_path: Path) -> None:
    with Desk(tmp_path / "d", Keys()) as desk:
        desk.session.push()
        desk.session.drag({"cube": np.full(6, 9.0)})
        assert not desk.session.status().pushing
        keep_one(desk)


def test_a_source_may_ask_for_what_the_buttons_do(tmp_path: Path) -> None:
    class Pad(Keys):
        asks: tuple[str, ...] = ()

        def read(self, view: Any) -> Wish:
            asks, self.asks = self.asks, ()
            return super().read(view) + Wish(requests=asks)

    with Desk(tmp_path / "d", Pad()) as desk:
        desk.tick(1, keys="")
        desk.tick(20, keys="D")
        desk.source.asks = (KEEP,)
        desk.tick()
        assert desk.take.pending and desk.take.worth_keeping


def test_cameras_are_recorded_as_by_collect(
    tmp_path: Path,
) -> None:
    out = tmp_path / "d"
    summary = teleoperate(
        TASK,
        inputs=["script"],
        viewer="none",
        out=out,
        episodes=1,
        seconds=1.0,
        keep_failures=True,
        cameras=["top"],
        image_size=(64, 48),
    )
    assert summary.kept == 1 and summary.frames == 50
    assert read_dataset(out).cameras == ("top",)
    assert check(out).findings == []
    assert not out.with_name(".d.scratch").exists()


def test_nothing_kept_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SandbotError, match=r"no episode was kept: .* is not written"):
        enter_and_leave(Desk(tmp_path / "d", Keys()))
    assert not (tmp_path / "d").exists()


def enter_and_leave(desk: Desk) -> None:
    with desk:
        desk.tick(5, keys="")


def test_a_script_that_never_succeeds_ends_in_one_error(tmp_path: Path) -> None:
    with pytest.raises(SandbotError, match="5 episodes failed and 0 of 1 are kept"):
        teleoperate(
            TASK,
            inputs=["script"],
            viewer="none",
            out=tmp_path / "d",
            episodes=1,
            seconds=1.0,
        )
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"task": "arm-reach"}, "not arm-reach: choose one of aloha-transfer-cube"),
        ({"task": "aloha-pik"}, "Did you mean 'aloha-pick'"),
        ({"viewer": "video"}, "unknown viewer for teleoperation 'video'"),
        ({"viewer": "none"}, "leaves nobody to steer"),
        ({"viewer": "none", "inputs": ["script"]}, "without an end: give --episodes"),
        ({"inputs": ["mouse"]}, "Known: drag, gamepad, keys, script"),
        ({"episodes": 0}, "at least 1, got 0"),
        ({"seconds": 0.0}, "1 to 3600 seconds, got 0"),
        ({"overwrite": True, "resume": True}, "not both"),
        ({"cameras": ["top"]}, "give --out"),
    ],
)
def test_what_is_not_allowed_is_said(given: dict[str, Any], message: str) -> None:
    call: dict[str, Any] = {"task": TASK} | given
    with pytest.raises(UsageError, match=message):
        teleoperate(**call)
