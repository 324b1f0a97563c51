"""Anyone's scene, from a file: MJCF as it is or in older words, or URDF.

A scene that MuJoCo refuses is renewed where that can be done without a guess
(:mod:`assets.old_mjcf`), and a URDF's ``package://`` is looked for in the folders above
it. Bodies and cameras without a name are given one, since pushes and views go by name;
what a scene lacks to be seen is added (:mod:`assets.scene_looks`).

A URDF has neither motors nor a floor: it hangs where it is fixed, and moves as it is
pushed.
"""

import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.errors import SandbotError, UsageError
from assets.jacobian import choose_jacobian
from assets.old_mjcf import renew
from assets.plugins import tell
from assets.scene_looks import dress

if TYPE_CHECKING:
    import mujoco

Reading = tuple["mujoco.MjSpec", list[str]]
"""A scene, not yet compiled, and what was changed in it, in words."""


def load_file(path: str | Path) -> "mujoco.MjModel":
    """Compile a scene of anyone's, with the Jacobian that the solver needs.

    What was changed in it, and what MuJoCo warns of, is told in one line each.

    Args:
        path: of an MJCF or URDF file.

    Raises:
        UsageError: there is no such file.
        SandbotError: MuJoCo cannot read or compile it, or there is nothing in it.
    """
    file = Path(path)
    if not file.is_file():
        what = "it is a folder" if file.is_dir() else "there is no such file"
        raise UsageError(f"no scene at {str(path)!r}: {what}; give an MJCF file")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model, changes = _read(file)
    for line in (*changes, *(str(warning.message) for warning in caught)):
        tell(f"{file.name}: {' '.join(line.split())}")
    if model.nbody == 1 and model.ngeom == 0:
        raise SandbotError(
            f"{path} holds no body and no shape: it may be a part that another file "
            f"includes; give that one"
        )
    return model


def _read(file: Path) -> "tuple[mujoco.MjModel, list[str]]":
    """The compiled scene, by the first way of reading it that MuJoCo accepts.

    Raises:
        SandbotError: it accepts none; the message says why not the last one.
    """
    import mujoco

    refusal: Exception | None = None
    for read in (_as_it_is, _packaged, _renewed):
        try:
            reading = read(file)
            if reading is not None:
                return _compile(reading[0]), reading[1]
        except (ValueError, OSError, mujoco.FatalError) as error:
            refusal = error
    reason = " ".join(str(refusal).split())
    raise SandbotError(f"{file} is no scene that MuJoCo reads: {reason}") from refusal


def _as_it_is(file: Path) -> "Reading | None":
    import mujoco

    return mujoco.MjSpec.from_file(str(file)), []


def _packaged(file: Path) -> "Reading | None":
    """A URDF whose packages are folders above it; None: it names none that is there."""
    import mujoco

    text = file.read_text(encoding="utf-8")
    named = re.search(r"""["']package://([^"']+)["']""", text)
    if file.suffix.lower() != ".urdf" or named is None:
        return None
    for folder in file.resolve().parents:
        if (folder / named[1]).is_file():
            spec = mujoco.MjSpec.from_string(text.replace("package://", ""))
            spec.modelfiledir = str(folder)
            return spec, []
    return None


def _renewed(file: Path) -> "Reading | None":
    """An MJCF file in today's words; None: there is nothing to renew."""
    import mujoco

    text, changes = renew(file.read_text(encoding="utf-8"))
    if not changes:
        return None
    spec = mujoco.MjSpec.from_string(text)
    spec.modelfiledir = str(file.resolve().parent)  # of its pictures and meshes
    return spec, changes


def _compile(spec: "mujoco.MjSpec") -> "mujoco.MjModel":
    _name("body", spec.bodies)
    _name("camera", spec.cameras)
    model = spec.compile()
    choose_jacobian(spec, model.nv)
    dress(spec, model)
    return spec.compile()


def _name(kind: str, parts: Iterable[Any]) -> None:
    """Name those that have no name."""
    parts = list(parts)
    taken = {part.name for part in parts}
    for index, part in enumerate(parts):
        if not part.name:
            name = f"{kind}_{index}"
            while name in taken:
                name += "_"
            part.name = name
            taken.add(name)
