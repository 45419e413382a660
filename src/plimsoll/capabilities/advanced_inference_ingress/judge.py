"""The verdict from requests to a pool, with its picker, without it, and past the pool."""

from __future__ import annotations

from plimsoll.capabilities.advanced_inference_ingress.records import ModelServers, RequestsPicked, RouteRefused
from plimsoll.capabilities.gateway_records import GatewayReady
from plimsoll.capabilities.records import Recorded
from plimsoll.evidence.verdict import Verdict, environment_error, failed, passed, unknown

PICKED = {
    "first": "requests do not go to the server that holds their model",
    "second": "requests do not go to the server that holds their model",
    "moved": "requests do not follow a model that moved to the other server",
    "queued": "requests for a model that no server holds do not go to the shorter queue",
}
PAST, ALONE = "past the pool", "without a picker"


def judge(record: Recorded) -> Verdict:
    """Every answer has to come from the server that the picker had to choose; the controls have to differ."""
    servers = record.first(ModelServers)
    if servers is None or not servers.ready:
        return environment_error("the model servers or the picker did not start", "see the pods' events in the record")
    if not record.all(GatewayReady):
        refused = "; ".join(f"{each.gateway}: {each.said}" for each in record.all(RouteRefused))
        return failed(
            "",
            f"no gateway accepts an InferencePool as the backend of a route ({refused or 'no gateway has an address'})",
            "use a gateway that implements the Inference Extension, or enable its support",
        )
    measured = {each.case: each for each in record.all(RequestsPicked)}
    if not {*PICKED, PAST, ALONE} <= set(measured):
        return unknown("not every measurement was made")
    names = set(servers.names)
    if problem := _control(measured[PAST], names):
        return problem
    for case, words in PICKED.items():
        if problem := _picked(measured[case], words, names):
            return problem
    if problem := _alone(measured[ALONE], names):
        return problem
    first, second, moved, queued = (measured[case].asked for case in PICKED)
    return passed(
        f"{first} and {second} requests to the servers of two models, {moved} after one moved, {queued} to the shorter "
        "queue; none without the picker"
    )


def _control(measured: RequestsPicked, names: set[str]) -> Verdict | None:
    if set(measured.answers) != names:
        return unknown(
            f"the control failed: requests past the pool are answered by {_said(measured)}, so that the choice of a "
            "server in the pool shows nothing"
        )
    return None


def _picked(measured: RequestsPicked, words: str, names: set[str]) -> Verdict | None:
    answers, count = measured.answers, measured.asked
    if not names & set(answers):
        return failed(f"{measured.case}: {_said(measured)}", "no request reached a model server", "see its logs")
    if answers != {measured.server: count}:
        return failed(f"{measured.case}: {_said(measured)}", words, "check that the gateway calls the pool's picker")
    if measured.arrived.get(measured.server, 0) < count:
        return failed(
            f"{measured.case}: {count} answers, {measured.arrived.get(measured.server, 0)} requests arrived",
            "something else answers requests in the name of a server",
            "see which servers are behind the gateway's address",
        )
    return None


def _alone(measured: RequestsPicked, names: set[str]) -> Verdict | None:
    reached = sum(measured.arrived.values())
    if names & set(measured.answers) or reached:
        return failed(
            f"without a picker: {_said(measured)}",
            "requests reach the pool without its picker, although the pool has to fail closed",
            "check that the gateway calls the pool's picker at all",
        )
    return None


def _said(measured: RequestsPicked) -> str:
    return ", ".join(f"{count} × {who}" for who, count in sorted(measured.answers.items())) or "nothing"
