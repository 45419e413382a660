"""Names and labels of everything that is made in a cluster. One label finds all of an application, to remove it."""

from __future__ import annotations

import hashlib
import re

from plimsoll.planning.steps import AnyStep

APPLICATION = "plimsoll.dev/application"
STEP = "plimsoll.dev/step"
KEY = "plimsoll.dev/key"
RUN = "plimsoll.dev/run"
SERVICE = "plimsoll.dev/service"
VERSION = "plimsoll.dev/version"
STANDS_BEFORE = "plimsoll.dev/stands-before"
CONTENT = "plimsoll.dev/content"
OWN_WEIGHTS = "plimsoll.dev/own-weights"
"""On a route that fails over: the weights of the service's own servers, by their Service, as JSON."""
FAILED_OVER = "plimsoll.dev/failed-over"
"""On a route whose requests go to the other target: since when and why, as JSON."""
MANAGER = "app.kubernetes.io/managed-by"
LEASES = "coordination.k8s.io/v1"
"""The API group of the leases by which promotions exclude each other."""
_LONGEST = 40
"""Characters of a name that others are made of: JobSet adds up to 22 for a pod's, and a host name has 63 at most."""
_MARK = 6


def of_application(application: str) -> dict[str, str]:
    """What everything of an application carries."""
    return {APPLICATION: application, MANAGER: "plimsoll"}


def of_step(application: str, step: AnyStep) -> dict[str, str]:
    """What the workload and the pods of a step carry."""
    return {**of_application(application), STEP: _word(step.name), KEY: step.key[:16]}


def workload(application: str, step: AnyStep) -> str:
    """The name of a step's workload. The same key gives the same name, so that a second start finds the first."""
    return f"{lettered(f'{application}-{step.verb}-{step.part}', _LONGEST - 9)}-{step.key[:8]}"


def service(application: str, name: str) -> str:
    """The name of a service's objects, where no other application has objects of that name."""
    return lettered(f"{application}-{name}", _LONGEST)


def gateway(application: str) -> str:
    """The name of an application's way in."""
    return lettered(f"{application}-plimsoll", _LONGEST)


def service_apart(application: str, name: str) -> str:
    """The name of a service's objects where another application has theirs: `x-b` and `c` meet `x` and `b-c`."""
    mark = hashlib.sha256(f"{application}/{name}".encode()).hexdigest()[:6]
    return f"{lettered(f'{application}-{name}', _LONGEST - 7)}-{mark}"


def short(text: str, longest: int) -> str:
    """A DNS label of at most `longest` characters; what is cut off is stood for by a digest."""
    word = re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-")
    if len(word) <= longest:
        return word
    return f"{word[: longest - _MARK - 1].rstrip('-')}-{_mark(text)}"


def lettered(text: str, longest: int) -> str:
    """As `short`, with a letter first, as Services and JobSets have to have it.

    A name that would begin with a digit gets a letter and its digest, so that it is that of no other text.
    """
    word = short(text, longest)
    if not word[:1].isdigit():
        return word
    return f"n-{word[: longest - _MARK - 3].rstrip('-')}-{_mark(text)}"


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_MARK]


def selector(labels: dict[str, str]) -> str:
    """A label selector."""
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))


def _word(name: str) -> str:
    """A step's name as a label's value, which has no slash."""
    return re.sub(r"[^A-Za-z0-9._-]+", ".", name)[:63].strip("._-")
