"""Packages that are installed as far as Python's metadata goes: for tests."""

from pathlib import Path


def install(
    site: Path, package: str, source: str, entries: dict[str, dict[str, str]]
) -> None:
    """Put a package of one module beside others in a folder of the path.

    Args:
        site: the folder, which is on the path or will be.
        package: its name; the module's has underscores in place of dashes.
        source: of the module.
        entries: by group, the entry points by name, each the function's name.
    """
    module = package.replace("-", "_")
    (site / f"{module}.py").write_text(source)
    info = site / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
    )
    lines = []
    for group, named in entries.items():
        lines.append(f"[{group}]")
        lines += [f"{name} = {module}:{what}" for name, what in named.items()]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
