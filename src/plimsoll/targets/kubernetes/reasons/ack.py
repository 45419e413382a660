"""What an ACK controller says of an object of AWS, and what that means for a training. Pure.

Sources: the conditions that all ACK controllers set (ACK.Terminal, ACK.Recoverable, ACK.ResourceSynced), and the states
of DescribeTrainingJob.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

from plimsoll.kubernetes.objects import Object
from plimsoll.targets.kubernetes.reasons.workloads import overran

TERMINAL, RECOVERABLE, SYNCED = "ACK.Terminal", "ACK.Recoverable", "ACK.ResourceSynced"
_STAGES: Mapping[str, str] = MappingProxyType(
    {
        "Pending": "SageMaker has no machines for it yet",
        "Starting": "SageMaker starts its machines",
        "LaunchingMLInstances": "SageMaker starts its machines",
        "PreparingTrainingStack": "SageMaker prepares its machines",
        "Downloading": "SageMaker brings its data",
        "DownloadingTrainingImage": "SageMaker pulls its image",
        "Interrupted": "SageMaker has taken its spot machines away, and starts it again",
        "Restarting": "SageMaker starts it again",
        "Uploading": "SageMaker keeps what it made",
    }
)
_TIME = ("MaxRuntimeExceeded", "MaxWaitTimeExceeded")


class AckState(Struct, frozen=True, kw_only=True):
    """How it stands: `words` are why it failed or what it waits for. `lasting` says that another attempt fails alike.

    `silent` says that no controller has written anything to it.
    """

    state: Literal["", "done", "failed"] = ""
    words: str = ""
    lasting: bool = False
    silent: bool = False


def training_state(found: Object, limit: float) -> AckState:
    """How a TrainingJob stands; `limit` are the seconds that it may run."""
    status = found.get("status") or {}
    said = _conditions(found)
    match status.get("trainingJobStatus"):
        case "Completed":
            return AckState(state="done")
        case "Failed":
            return AckState(state="failed", words=_line(status.get("failureReason")) or "SageMaker says no more")
        case "Stopped":
            second = status.get("secondaryStatus")
            if second == _TIME[0]:
                return AckState(state="failed", words=overran(limit))
            if second == _TIME[1]:
                return AckState(state="failed", words="SageMaker had no spot machines within the time that it may wait")
            return AckState(state="failed", words="somebody has stopped it in SageMaker")
    if TERMINAL in said:
        return AckState(state="failed", words=f"SageMaker refuses it: {_said(said[TERMINAL])}", lasting=True)
    if RECOVERABLE in said:
        words = f"SageMaker's controller tries again, for it was refused: {_said(said[RECOVERABLE])}"
        return AckState(words=words)
    if not status.get("conditions") and not status.get("trainingJobStatus"):
        return AckState(words="the controller of SageMaker has not looked at it yet", silent=True)
    if status.get("trainingJobStatus") == "Stopping":
        return AckState(words="SageMaker stops it")
    return AckState(words=_STAGES.get(str(status.get("secondaryStatus", "")), ""))


def refusal_of(found: Object) -> AckState | None:
    """What AWS has refused of an object; None where it has refused nothing."""
    said = _conditions(found)
    if TERMINAL in said:
        words = f"SageMaker refuses {_called(found)}: {_said(said[TERMINAL])}"
        return AckState(state="failed", words=words, lasting=True)
    if RECOVERABLE in said:
        words = f"SageMaker's controller tries {_called(found)} again, for it was refused: {_said(said[RECOVERABLE])}"
        return AckState(words=words)
    return None


def endpoint_state(found: Object) -> AckState:
    """How an Endpoint stands: it answers once it has the shares that its object names."""
    status = found.get("status") or {}
    wanted = found.get("spec", {}).get("endpointConfigName")
    match status.get("endpointStatus"):
        case "InService" if status.get("latestEndpointConfigName") == wanted:
            return AckState(state="done")
        case "Failed":
            return AckState(state="failed", words=_line(status.get("failureReason")) or "SageMaker says no more")
        case "OutOfService":
            return AckState(state="failed", words="SageMaker has taken it out of service")
        case "RollingBack":
            return AckState(words="SageMaker leads it back to what it was")
        case None if not status.get("conditions"):
            return AckState(words="the controller of SageMaker has not looked at it yet", silent=True)
    return AckState(words="SageMaker starts its machines and leads requests to them")


def _conditions(found: Object) -> dict[str, Object]:
    conditions = (found.get("status") or {}).get("conditions") or []
    return {str(each.get("type")): each for each in conditions if each.get("status") == "True"}


def _called(found: Object) -> str:
    return f"the {found.get('kind', 'object')} {found.get('metadata', {}).get('name', '')}".strip()


def _said(condition: Object) -> str:
    return _line(condition.get("message")) or _line(condition.get("reason")) or "it says no more"


def _line(words: object) -> str:
    return " ".join(str(words or "").split()).rstrip(".")[:500]
