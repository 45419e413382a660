"""Callers with tokens of a cluster: the API server says whose a token is, and RBAC which roles she has.

An answer holds for some seconds, so that each token costs the API server little, and one that was taken back ends soon.
While the API server does not answer nobody is let in by such a token, and the refusal says so.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from msgspec import Struct

from plimsoll.errors import TargetError
from plimsoll.runtime.server.identities.callers import Caller, KeysNeeded
from plimsoll.runtime.server.identities.cluster_api import ClusterApi, Review
from plimsoll.runtime.server.identities.cluster_settings import ClusterSettings, Right, leave_to_ask
from plimsoll.runtime.server.refusals import Busy, NotReady, Unauthenticated

KEEP = 20.0
"""Seconds for which an answer holds."""
KEEP_REFUSED = 5.0
"""Seconds for which a token that the cluster does not know is not asked about again."""
MOST_KNOWN = 4096
AT_ONCE = 8
"""Questions to the API server at once."""
MOST_WAITING = 256
"""Tokens that are asked about or wait for it; of more, requests are refused until there are fewer."""
LONGEST_NAME = 255
_TOKENS = "/apis/authentication.k8s.io/v1/tokenreviews"


class _Known(Struct, frozen=True, gc=False):
    caller: Caller | None
    until: float


class ClusterBearers:
    """The callers of a server in a pod."""

    def __init__(self, settings: ClusterSettings, api: ClusterApi, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._api = api
        self._clock = clock
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._strangers: OrderedDict[bytes, _Known] = OrderedDict()
        """Apart, so that guesses push nobody out who is known."""
        self._asked: dict[bytes, asyncio.Task[None]] = {}
        self._places: asyncio.Semaphore | None = None
        self._told = ""

    def caller(self, token: str) -> Caller | None:
        """Who has the token, as was answered lately. Raises Unauthenticated, KeysNeeded when it is to be asked."""
        mark = _mark(token)
        known = self._known.get(mark) or self._strangers.get(mark)
        if known is None or self._clock() >= known.until:
            raise KeysNeeded
        if known.caller is None:
            raise Unauthenticated("the cluster does not know the token")
        return known.caller

    async def fetch(self, token: str) -> None:
        """Ask about a token; several who ask at once wait for one answer. Raises NotReady, Busy."""
        mark = _mark(token)
        task = self._asked.get(mark)
        if task is None:
            if len(self._asked) >= MOST_WAITING:
                raise Busy(f"{len(self._asked)} tokens wait for the cluster's answer", retry_after=1)
            task = self._asked[mark] = asyncio.get_running_loop().create_task(self._ask(mark, token))
            task.add_done_callback(lambda done: self._answered(mark, done))
        await asyncio.shield(task)

    def _answered(self, mark: bytes, task: asyncio.Task[None]) -> None:
        self._asked.pop(mark, None)
        if not task.cancelled():
            # Whoever waited has the exception; where nobody waits any more, nobody misses it.
            task.exception()

    def look(self) -> None:
        """Nothing changes but by asking."""

    async def _ask(self, mark: bytes, token: str) -> None:
        if self._places is None:
            self._places = asyncio.Semaphore(AT_ONCE)
        async with self._places:
            try:
                caller = await asyncio.to_thread(self._reviewed, token)
            except TargetError as problem:
                self._tell(problem)
                raise NotReady("the cluster does not say who callers are: see the log of the server") from problem
        self._told = ""
        known, keep = (self._known, KEEP) if caller is not None else (self._strangers, KEEP_REFUSED)
        self._known.pop(mark, None)
        self._strangers.pop(mark, None)
        known[mark] = _Known(caller, self._clock() + keep)
        if len(known) > MOST_KNOWN:
            known.popitem(last=False)

    def _tell(self, problem: TargetError) -> None:
        """Say in the log what is wrong, once for each reason."""
        reason = problem.on_one_line()
        if "status 403" in reason and self._settings.account:
            command = leave_to_ask(self._settings.namespace, self._settings.account)
            reason += f"; an administrator lets it ask: {command}"
        if reason != self._told:
            self._told = reason
            sys.stderr.write(f"callers with tokens of the cluster get 503: {reason}\n")

    def _reviewed(self, token: str) -> Caller | None:
        """Whose token it is, with the roles that the cluster's rights give. Raises TargetError."""
        settings = self._settings
        spec: Review = {"token": token, **({"audiences": [settings.audience]} if settings.audience else {})}
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        status = _object(self._api.create(_TOKENS, review).get("status"))
        if status.get("authenticated") is not True:
            return None
        # An API server that knows nothing of audiences says none, and would let tokens for others in.
        audiences = status.get("audiences")
        if settings.audience and not (isinstance(audiences, list) and settings.audience in audiences):
            return None
        user = _object(status.get("user"))
        name = user.get("username")
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
            return None
        roles = frozenset(role for role, right in settings.roles.items() if self._may(user, right))
        return Caller(f"kubernetes:{name}", roles)

    def _may(self, user: Mapping[str, object], right: Right) -> bool:
        namespace = self._settings.namespace
        resource, _, part = right.resource.partition("/")
        attributes = {"namespace": namespace, "verb": right.verb, "group": right.group, "resource": resource}
        attributes |= {"subresource": part} if part else {}
        attributes |= {"name": right.name} if right.name else {}
        spec: Review = {"user": user["username"], "resourceAttributes": attributes}
        spec |= {word: user[word] for word in ("groups", "uid", "extra") if user.get(word)}
        path = f"/apis/authorization.k8s.io/v1/namespaces/{namespace}/localsubjectaccessreviews"
        metadata = {"namespace": namespace}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "LocalSubjectAccessReview",
            "metadata": metadata,
            "spec": spec,
        }
        status = _object(self._api.create(path, review).get("status"))
        return status.get("allowed") is True and status.get("denied") is not True


def _mark(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def cluster_bearers(settings: ClusterSettings) -> ClusterBearers:
    """The callers of a pod's cluster. Raises TargetError outside of a pod."""
    return ClusterBearers(settings, ClusterApi(settings))
