"""Where the API server keeps its objects: etcd, or SQLite behind kine, as K3s does."""

from __future__ import annotations

from lab import layout
from lab.errors import LabError
from lab.files import write

_MARK = layout.FOLDER / "light"


def is_light() -> bool:
    """Whether this lab is, or is about to be, a light one."""
    return _MARK.exists()


def decide(*, light: bool) -> None:
    """Make a new lab light where that is asked for. A lab that exists stays what it is.

    Raises LabError when a lab with etcd exists and a light one is asked for.
    """
    if not light or is_light():
        return
    if layout.machine_folder(layout.CONTROL_PLANE).exists():
        raise LabError(
            f"the lab {layout.NAME} keeps its objects in etcd, and --light would lose them; 'python -m lab down'"
            " removes it, PLIMSOLL_LAB_NAME=light in the environment makes one beside it"
        )
    write(_MARK, "SQLite by kine\n")


def component() -> str:
    """The component that keeps the objects."""
    return "kine" if is_light() else "etcd"
