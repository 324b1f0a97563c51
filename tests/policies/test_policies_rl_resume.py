"""A training by trial and error that was interrupted ends with the same bits."""

from pathlib import Path

import pytest

from tests.policies.rl_runs import assert_same, at_step, interrupt, run, short  # noqa: F401


@pytest.mark.parametrize("task", ["arm-reach", "humanoid-walk"])
def test_interrupted_or_not_at_once_or_in_turn(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "whole", task, overlap=True)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt) as stopped:
        at_step(patch, 33, interrupt)
        run(tmp_path / "cut", task, overlap=False)
    assert "stopped at step 132" in str(stopped.value)
    assert "--resume" in str(stopped.value)
    run(tmp_path / "cut", task, overlap=False, resume=True)
    assert_same(tmp_path / "whole", tmp_path / "cut")
