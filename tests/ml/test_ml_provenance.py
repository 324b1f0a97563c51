"""The command that a result says it comes from."""

import sys

import pytest

from ml.provenance import command


@pytest.mark.parametrize(
    ("original", "arguments", "said"),
    [
        (
            ["python", "-m", "benchmarks.bc", "--seed", "1"],
            ["/far/benchmarks/bc.py", "--seed", "1"],
            "python -m benchmarks.bc --seed 1",
        ),
        (  # spawned by a benchmark
            ["python", "-c", "from multiprocessing.spawn import spawn_main"],
            ["/far/benchmarks/rl_minutes.py", "--out", "a b"],
            "python -m benchmarks.rl_minutes --out 'a b'",
        ),
        (
            ["python", "/far/bin/sandbot", "train", "bc"],
            ["/far/bin/sandbot", "train", "bc"],
            "sandbot train bc",
        ),
    ],
)
def test_it_can_be_typed(
    original: list[str],
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "orig_argv", original)
    monkeypatch.setattr(sys, "argv", arguments)
    assert command() == said
