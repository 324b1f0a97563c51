"""MJCF that MuJoCo no longer reads, or never did, put into words that it does.

Many scenes were written for MuJoCo before 3.0, or for PyBullet, which forgives more.
Only what has one meaning is changed, and each change is told. Nothing is guessed: a
motor of a joint that is not there stays an error. The files themselves stay as they
are.
"""

from collections.abc import Callable, Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

_PLACED = ("joint", "geom", "site", "camera", "light", "inertial")
"""Elements of a body whose place global coordinates give in the world."""
_TURNS = ("quat", "axisangle", "euler", "xyaxes", "zaxis")


def renew(text: str) -> tuple[str, list[str]]:
    """The same scene in today's words.

    Args:
        text: of an MJCF file that MuJoCo refuses.

    Returns:
        The new text, and what was changed, in words; empty: nothing was.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return text, []
    if root.tag != "mujoco" or root.find(".//include") is not None:
        return text, []
    changes = [said for change in CHANGES if (said := change(root))]
    return ElementTree.tostring(root, encoding="unicode"), changes


def _global_coordinates(root: Element) -> str | None:
    """Places in the world become places in the body.

    A body's own frame is then at its ``pos``, or, where it has none, at its first
    joint; where it is makes no difference to the motion. MuJoCo's changelog (2.3.4)
    says to load and save such models in MuJoCo 2.3.3. Turned bodies, and what names
    points in other ways, are left to that.
    """
    compilers = [c for c in root.iter("compiler") if c.get("coordinate") == "global"]
    world = root.find("worldbody")
    if not compilers or world is None or root.find("equality") is not None:
        return None
    bodies = list(world.iter("body"))
    turned = any(b.get(turn) for b in bodies for turn in _TURNS)
    other = any(part.tag not in (*_PLACED, "body") for b in bodies for part in b)
    assumed = any(
        part.get("pos") or part.get("fromto")
        for default in root.iter("default")
        for part in default
    )
    if turned or other or assumed:
        return None
    for compiler in compilers:
        del compiler.attrib["coordinate"]
    for body in world.findall("body"):
        _localise(body, [0.0, 0.0, 0.0])
    return "places in the world became places in the bodies"


def _localise(body: Element, parent: list[float]) -> None:
    """Express a body's places in its own frame, and its frame in its parent's.

    Args:
        body: with its places in the world.
        parent: where its parent's frame is in the world [m].
    """
    joint = body.find("joint")
    place = body.get("pos") or (joint.get("pos") if joint is not None else None)
    own = _numbers(place) if place else parent
    body.set("pos", _text(a - b for a, b in zip(own, parent, strict=True)))
    for part in body:
        if part.tag == "body":
            _localise(part, own)
        elif part.get("fromto"):
            ends = zip(_numbers(part.get("fromto")), own * 2, strict=True)
            part.set("fromto", _text(a - b for a, b in ends))
        else:
            there = _numbers(part.get("pos") or "0 0 0")
            part.set("pos", _text(a - b for a, b in zip(there, own, strict=True)))


def _numbers(text: str | None) -> list[float]:
    return [float(word) for word in (text or "").split()]


def _text(numbers: Iterator[float]) -> str:
    return " ".join(repr(number) for number in numbers)


def _collision(root: Element) -> str | None:
    """``<option collision>``, as MuJoCo's changelog (3.0.0) says to replace it."""
    options = [o for o in root.iter("option") if o.get("collision")]
    modes = {option.attrib.pop("collision") for option in options}
    if modes == {"dynamic"}:
        for contact in root.iter("contact"):
            for pair in contact.findall("pair"):
                contact.remove(pair)
    elif modes == {"predefined"}:
        for geom in root.iter("geom"):
            geom.attrib.pop("contype", None)
            geom.attrib.pop("conaffinity", None)
        default = root.find("default")
        if default is None:
            default = ElementTree.SubElement(root, "default")
        geom = default.find("geom")
        if geom is None:
            geom = ElementTree.SubElement(default, "geom")
        geom.attrib.update(contype="0", conaffinity="0")
    if not modes:
        return None
    return f"collision={'/'.join(sorted(modes))!r} became contype and conaffinity"


def _fixed_joints(root: Element) -> str | None:
    """PyBullet's joints that do not move; in MJCF a body without a joint does not."""
    count = 0
    for body in root.iter("body"):
        for joint in body.findall("joint"):
            if joint.get("type") == "fixed":
                body.remove(joint)
                count += 1
    return f"joints of the type 'fixed' were left out ({count})" if count else None


def _overridden_inertias(root: Element) -> str | None:
    """``<inertial>`` without a place where ``inertiafromgeom`` overrides it anyway."""
    compilers = root.iter("compiler")
    if not any(c.get("inertiafromgeom") == "true" for c in compilers):
        return None
    count = 0
    for body in root.iter("body"):
        for inertial in body.findall("inertial"):
            if not inertial.get("pos"):
                body.remove(inertial)
                count += 1
    if not count:
        return None
    return f"inertials without a place that the geoms override were left out ({count})"


def _unknown_materials(root: Element) -> str | None:
    """Looks that the file does not define; shapes keep their colours."""
    known = {m.get("name") for asset in root.iter("asset") for m in asset}
    lost = set()
    for part in root.iter():
        if part.tag in ("geom", "site", "tendon", "spatial", "skin", "mesh"):
            name = part.get("material")
            if name is not None and name not in known:
                lost.add(part.attrib.pop("material"))
    if not lost:
        return None
    names = ", ".join(sorted(lost))
    return f"materials that the file does not define were left out ({names})"


def _endless_planes(root: Element) -> str | None:
    """A plane without a size has no end; MuJoCo wants to know its grid's spacing."""
    count = 0
    for plane in root.iter("geom"):
        if plane.get("type") == "plane" and not plane.get("size"):
            plane.set("size", "0 0 1")
            count += 1
    return f"planes without a size were made endless ({count})" if count else None


CHANGES: tuple[Callable[[Element], str | None], ...] = (
    _global_coordinates,
    _collision,
    _fixed_joints,
    _overridden_inertias,
    _unknown_materials,
    _endless_planes,
)
"""Each changes the tree and says what it did, or returns None."""
