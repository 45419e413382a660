"""Why the API server does not take an object: quotas, limits, webhooks, policies, and what it names and is not there.

The words are those of Kubernetes' admission plugins; what they add in other releases is told as it comes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from plimsoll.kubernetes.quantities import number
from plimsoll.targets.kubernetes.reasons.cause import MOMENT, STUCK_LIMIT, Cause

_FORBIDDEN = re.compile(r'^(?:Error creating: |Internal error occurred: )*(?:\S+ "[^"]*" is forbidden: )?', re.DOTALL)
_EXCEEDED = re.compile(r"exceeded quota: (\S+), requested: (\S+), used: (\S+), limited: (\S+)")
_LIMIT = re.compile(r"(?:minimum|maximum) (\S+) usage per (\w+) is|(\S+) max limit to request ratio per (\w+) is")
_PLIMSOLL = {"cpu": "resources.cpu", "memory": "resources.memory", "ephemeral-storage": "its disk"}


def refused(message: str, namespace: str, what: str = "pods") -> Cause:
    """The cause behind the message of a refusal in a namespace; `what` was to be made."""
    words = _FORBIDDEN.sub("", message.strip(), count=1).strip()
    for pattern, judge in _JUDGES:
        if found := pattern.search(words):
            return judge(found, namespace, what)
    return Cause(kind="admission", text=f"the API server refuses {what}: {_short(words)}", patience=STUCK_LIMIT)


def _exceeded(found: re.Match[str], namespace: str, what: str) -> Cause:
    """A quota that is full may become free; one that is smaller than what is asked for may not."""
    asked, used, limited = (_amounts(found[each]) for each in (2, 3, 4))
    full = [
        f"{name}: {limited[name]} allowed, {used.get(name, '0')} used, {amount} more wanted"
        for name, amount in asked.items()
        if name in limited
    ]
    never = any(name in limited and _figure(amount) > _figure(limited[name]) for name, amount in asked.items())
    words = "; ".join(full) or f"{found[4]}, {found[3]} used, {found[2]} more asked for"
    remedy = "ask for less" if never else "end something there, ask for less"
    return Cause(
        kind="quota",
        text=f'the quota "{found[1]}" of namespace {namespace} forbids {what} ({words}); {remedy}, or have it raised',
        patience=MOMENT if never else None,
        lasting=never,
    )


def _unspecified(found: re.Match[str], namespace: str, what: str) -> Cause:
    names = re.sub(r" for: [^;]*", "", found[2]).replace(";", ",")
    keys = [word for key, word in _PLIMSOLL.items() if re.search(rf"\b{key}\b", names)]
    remedy = f"set {' and '.join(keys)} in the file" if keys else "have the namespace give defaults (LimitRange)"
    text = f'the quota "{found[1]}" of namespace {namespace} forbids {what} without {names}; {remedy}'
    return Cause(kind="quota", text=text, patience=MOMENT, lasting=True)


def _limited(found: re.Match[str], namespace: str, what: str) -> Cause:
    resource = found[1] or found[3]
    key = _PLIMSOLL.get(resource, resource)
    words = _short(found.string.strip("[]"))
    text = f"a LimitRange of namespace {namespace} forbids {what}: {words}; change {key}, or have the limit changed"
    return Cause(kind="limit-range", text=text, patience=MOMENT, lasting=True)


def _denied(found: re.Match[str], namespace: str, what: str) -> Cause:
    text = f'the webhook "{found[1]}" denied {what} in namespace {namespace}: {_short(found[2] or "no reason given")}'
    return Cause(kind="webhook", text=f"{text}; meet its rule, or ask who runs it", patience=MOMENT, lasting=True)


def _policy(found: re.Match[str], namespace: str, what: str) -> Cause:
    text = f"the policy {found[1]} denied {what} in namespace {namespace}: {_short(found[2])}"
    return Cause(kind="policy", text=f"{text}; meet its rule, or ask who set it", patience=MOMENT, lasting=True)


def _silent_webhook(found: re.Match[str], namespace: str, what: str) -> Cause:
    text = f'the webhook "{found[1]}", which has to allow {what} in namespace {namespace}, does not answer'
    return Cause(kind="webhook", text=f"{text}: {_short(found[2], 160)}; have its pods mended", patience=STUCK_LIMIT)


def _account(found: re.Match[str], namespace: str, what: str) -> Cause:
    text = f'the ServiceAccount "{found[1]}" that {what} name is not in namespace {namespace}; make it'
    # One that was deleted is made again with what the pods are of, and controllers ask for the pods again ever later.
    return Cause(kind="account", text=text, patience=STUCK_LIMIT, lasting=True)


def _priority(found: re.Match[str], namespace: str, what: str) -> Cause:
    text = f'the PriorityClass "{found[1]}" that {what} name is not in the cluster; make it, or name another'
    return Cause(kind="priority", text=text, patience=MOMENT, lasting=True)


def _runtime(found: re.Match[str], namespace: str, what: str) -> Cause:
    text = f'the RuntimeClass "{found[1]}" that {what} name is not in the cluster; make it, or name another'
    return Cause(kind="runtime", text=text, patience=MOMENT, lasting=True)


def _security(found: re.Match[str], namespace: str, what: str) -> Cause:
    level, rules = found[1], _short(found[2])
    text = f"the Pod Security level {level} of namespace {namespace} forbids {what}: {rules}; have the level changed"
    return Cause(kind="security", text=text, patience=MOMENT, lasting=True)


def _ending(found: re.Match[str], namespace: str, what: str) -> Cause:
    text = f"namespace {found[1]} is being deleted, and takes nothing new; wait for its end, or use another"
    return Cause(kind="namespace", text=text, patience=MOMENT)


_JUDGES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str, str], Cause]], ...] = (
    (_EXCEEDED, _exceeded),
    (re.compile(r"failed quota: ([^:\s]+): must specify (.+)", re.DOTALL), _unspecified),
    (_LIMIT, _limited),
    (re.compile(r'admission webhook "([^"]+)" denied the request(?: without explanation|: (.*))', re.DOTALL), _denied),
    (re.compile(r'failed calling webhook "([^"]+)": (.*)', re.DOTALL), _silent_webhook),
    (re.compile(r"ValidatingAdmissionPolicy ('[^']+') with binding '[^']+' denied request: (.*)", re.DOTALL), _policy),
    (re.compile(r'error looking up service account [^:]*: serviceaccounts? "([^"]+)" not found'), _account),
    (re.compile(r"no PriorityClass with name (\S+) was found"), _priority),
    (re.compile(r'RuntimeClass "?([^"\s]+)"? not found'), _runtime),
    (re.compile(r'violates PodSecurity "([^":]+)[^"]*": (.*)', re.DOTALL), _security),
    (re.compile(r"create new content in namespace (\S+) because it is being terminated"), _ending),
)


def _amounts(text: str) -> dict[str, str]:
    """Amounts by their resource, such as `pods=1,limits.cpu=2`."""
    return {name: amount for each in text.split(",") if each for name, _, amount in [each.partition("=")]}


def _figure(amount: str) -> Fraction:
    try:
        return number(amount)
    except ValueError:
        return Fraction(0)


def _short(words: str, limit: int = 300) -> str:
    line = " ".join(words.split()).rstrip(".")
    return line if len(line) <= limit else f"{line[:limit]}…"
