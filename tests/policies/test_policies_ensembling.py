"""Temporal ensembling: the table of all predictions, and LeRobot's running mean."""

from pathlib import Path

import numpy as np
import pytest

from policies.ensembling import TemporalEnsemble
from tests.ml.lerobot_peer import needs_peer, run_peer

ENVS, CHUNK, SIZE, STEPS = 3, 7, 2, 20
DECAYS = (0.01, 0.5, 0.0, -0.1)


def _predictions(seed: int = 0) -> np.ndarray:
    """(STEPS, ENVS, CHUNK, SIZE): what was predicted at each step."""
    return np.random.default_rng(seed).normal(size=(STEPS, ENVS, CHUNK, SIZE))


def _table(predictions: np.ndarray, decay: float, begin: int = 0) -> np.ndarray:
    """(STEPS, SIZE): what ACT executes, of one environment; by the whole table.

    Row t of the table holds, from column t on, what was predicted at t (algorithm 2 of
    arXiv:2304.13705); a column, from its oldest prediction on, is averaged with weights
    exp(-decay i). Rows before ``begin`` are of an episode that is over.
    """
    table = np.full((STEPS, STEPS + CHUNK, SIZE), np.nan)
    for t in range(begin, STEPS):
        table[t, t : t + CHUNK] = predictions[t]
    executed = np.full((STEPS, SIZE), np.nan)
    for t in range(begin, STEPS):
        column = table[: t + 1, t]
        column = column[~np.isnan(column[:, 0])]
        weights = np.exp(-decay * np.arange(len(column)))
        executed[t] = (weights / weights.sum()) @ column
    return executed


def _played(predictions: np.ndarray, decay: float, cut: int | None = None):
    """(STEPS, ENVS, SIZE): what is executed; environment 1 begins anew at ``cut``."""
    ensemble = TemporalEnsemble(ENVS, CHUNK, SIZE, decay)
    executed = []
    for t, chunks in enumerate(predictions):
        if t == cut:
            ensemble.reset(np.array([False, True, False]))
        assert ensemble.due.all()
        ensemble.put(np.ones(ENVS, bool), chunks)
        executed.append(ensemble.take())
    return np.stack(executed)


@pytest.mark.parametrize("decay", DECAYS)
def test_the_mean_is_that_of_the_whole_table(decay: float) -> None:
    predictions = _predictions()
    executed = _played(predictions, decay)
    for env in range(ENVS):
        expected = _table(predictions[:, env], decay)
        np.testing.assert_allclose(executed[:, env], expected, atol=1e-6)


def test_the_oldest_prediction_weighs_most() -> None:
    """Of two: 1 the older, 0 the newer."""
    ensemble = TemporalEnsemble(1, 2, 1, 0.5)
    ensemble.put(np.ones(1, bool), np.ones((1, 2, 1)))
    ensemble.take()
    ensemble.put(np.ones(1, bool), np.zeros((1, 2, 1)))
    assert ensemble.take()[0, 0] == pytest.approx(1 / (1 + np.exp(-0.5)))


def test_an_episode_that_begins_anew_forgets_alone() -> None:
    predictions = _predictions(1)
    executed = _played(predictions, 0.1, cut=9)
    again = _table(predictions[:, 1], 0.1, begin=9)
    np.testing.assert_allclose(executed[9:, 1], again[9:], atol=1e-6)
    for env, until in ((0, STEPS), (1, 9), (2, STEPS)):
        expected = _table(predictions[:, env], 0.1)
        np.testing.assert_allclose(executed[:until, env], expected[:until], atol=1e-6)
    assert np.abs(again - _table(predictions[:, 1], 0.1))[9:12].max() > 0.05


ONLINE = """
from lerobot.policies.act.modeling_act import ACTTemporalEnsembler
given = np.load(sys.argv[1])
found = {}
for name in given["decays"]:
    ensembler = ACTTemporalEnsembler(float(name), given["predictions"].shape[2])
    steps = [ensembler.update(torch.tensor(p)) for p in given["predictions"]]
    found[str(name)] = torch.stack(steps).numpy()
np.savez(sys.argv[2], **found)
"""


@needs_peer
def test_lerobots_running_mean_is_the_same(tmp_path: Path) -> None:
    predictions = _predictions(2)
    np.savez(tmp_path / "in.npz", predictions=predictions, decays=np.array(DECAYS))
    run_peer(ONLINE, tmp_path / "in.npz", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as theirs:
        for decay in DECAYS:
            executed = _played(predictions, decay)
            np.testing.assert_allclose(executed, theirs[str(decay)], atol=1e-6)
