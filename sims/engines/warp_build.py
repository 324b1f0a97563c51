"""A compiled ``MjModel`` on Warp's device, or one clear error."""

import warnings
from pathlib import Path
from typing import Any

import mujoco

from assets.errors import UsageError
from assets.quiet import quiet_stderr
from sims.engine import EngineError

SOLVERS = {
    int(mujoco.mjtSolver.mjSOL_CG): "CG",
    int(mujoco.mjtSolver.mjSOL_NEWTON): "Newton",
}


def import_warp() -> tuple[Any, Any]:
    """The modules ``warp`` and ``mujoco_warp``, told to be quiet.

    Raises:
        EngineError: they are not installed; the message says how to get them.
    """
    try:
        import warp

        warp.config.log_level = warp.LOG_ERROR
        import mujoco_warp
    except ImportError as error:
        raise EngineError(
            "the engine 'warp' needs MuJoCo Warp, which is not installed: "
            "pip install 'mujoco-warp==4.0.*' warp-lang, or use the engine 'mujoco'."
        ) from error
    return warp, mujoco_warp


def find_device(wp: Any, device: str | None) -> str:
    """The name of a device as Warp knows it.

    Args:
        wp: the module ``warp``.
        device: "cpu", "cuda:0", ...; None: the first GPU, or else the CPU.

    Raises:
        UsageError: this machine has no such device.
    """
    with quiet_stderr():  # it misses a GPU's driver aloud
        wp.init()
    present = [str(each) for each in wp.get_devices()]
    if device is None:
        return next((each for each in present if each.startswith("cuda")), "cpu")
    if device not in present:
        raise UsageError(
            f"Warp finds no device {device!r} here; it finds {', '.join(present)}"
        )
    return device


def warn_of_compilation(wp: Any) -> None:
    """Say that the first engine of all takes a minute, where it will."""
    cache = Path(wp.config.kernel_cache_dir)
    if not any(cache.glob("wp_mujoco_warp*")):
        warnings.warn(
            "the engine 'warp' compiles its kernels now, which takes a minute or two; "
            f"they are kept in {cache}",
            stacklevel=3,
        )


def put_model(mjw: Any, model: mujoco.MjModel) -> Any:
    """The model on the current device, silent about what we count ourselves.

    Raises:
        EngineError: the scene asks for what MuJoCo Warp lacks.
    """
    if model.opt.solver not in SOLVERS:
        wanted = mujoco.mjtSolver(model.opt.solver).name.removeprefix("mjSOL_")
        raise EngineError(
            f"the scene asks for the solver {wanted}, and the engine 'warp' has Newton "
            'and CG: write <option solver="Newton"/> into the scene, or use the engine '
            "'mujoco'"
        )
    if model.opt.enableflags & mujoco.mjtEnableBit.mjENBL_SLEEP:
        raise EngineError(
            "the scene lets bodies sleep, which the engine 'warp' cannot save and "
            "reset per environment: disable the flag sleep, or use the engine 'mujoco'"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of frictions near zero
            placed = mjw.put_model(model)
    except (NotImplementedError, ValueError) as error:
        raise EngineError(
            f"the engine 'warp' cannot run this scene: {error} Use the engine 'mujoco'"
        ) from error
    placed.opt.warn_overflow = 0
    placed.opt.disableflags |= int(mjw.DisableBit.NATIVECCD)
    return placed
