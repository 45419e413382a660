"""Settings of a service in the file: shares of the traffic, replicas, latency, drift, logs, test request."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from plimsoll.application.parts import Part
from plimsoll.application.scalars import Duration, Memory, ModelReference, Name
from plimsoll.runtime.server.identities.callers import Role


class WeightedModel(Part, frozen=True, kw_only=True):
    """One version of a model and its share of the traffic."""

    model: ModelReference
    weight: Annotated[int, Meta(ge=0, le=100, description="percentage of the requests")]
    headers: Annotated[
        dict[str, str],
        Meta(description="a request with all of these headers goes to this version, regardless of the weights"),
    ] = {}  # noqa: RUF012 - msgspec copies it
    shadow: Annotated[
        int,
        Meta(
            ge=0,
            le=100,
            description="percentage of the requests that are copied to this version; its answers are discarded",
        ),
    ] = 0


class Scale(Part, frozen=True, kw_only=True):
    """The number of replicas of a service."""

    min: Annotated[int, Meta(ge=0)] = 1
    max: Annotated[int, Meta(ge=1)] = 1
    concurrency: Annotated[int, Meta(ge=1, description="concurrent requests for each replica")] = 32


class Latency(Part, frozen=True, kw_only=True):
    """The latency that a service promises."""

    p99: Duration


class Failover(Part, frozen=True, kw_only=True):
    """Where the requests of a service go while its own servers do not answer."""

    to: Annotated[Name, Meta(description="a name of spec.targets: another cluster, on which the service stands by")]
    after: Annotated[Duration, Meta(description="how long its own servers are not ready before requests go there")] = (
        "5s"
    )
    back: Annotated[Duration, Meta(description="how long they are ready again before requests come back")] = "60s"
    at: (
        Annotated[
            str,
            Meta(
                pattern=r"^https?://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?/?$",
                description="the address of the other cluster's gateway, where pods reach it by another than its own",
                examples=["https://standby.example"],
            ),
        ]
        | None
    ) = None


class Drift(Part, frozen=True, kw_only=True):
    """The reference for drift of live inputs and outputs."""

    reference: Annotated[str, Meta(description="a CSV or Parquet file of a dataset, as name/file")]


class ExplainBudget(Part, frozen=True, kw_only=True):
    """What an explanation may take."""

    evaluations: Annotated[
        int, Meta(ge=1, le=10_000_000, description="rows that the model computes for one row that is explained")
    ] = 5000
    time: Annotated[Duration, Meta(description="for all rows of a request")] = "10s"


class Explain(Part, frozen=True, kw_only=True):
    """How a service explains its answers, for models that are no trees."""

    background: Annotated[str, Meta(description="a CSV or Parquet file of a dataset: the rows that are compared with")]
    method: Annotated[Literal["shap"], Meta(description="SHAP values by permutations of the features")] = "shap"
    output: Annotated[
        str, Meta(max_length=200, description="the output that is explained, where there are several of floats")
    ] = ""
    budget: ExplainBudget = ExplainBudget()


class Audit(Part, frozen=True, kw_only=True):
    """What an audit log does when its disk is full."""

    full: Annotated[
        Literal["stop", "continue"],
        Meta(description="stop: inferences are refused until it can be written; continue: lost lines are counted"),
    ] = "stop"


class Telemetry(Part, frozen=True, kw_only=True):
    """Logs and traces of requests, in addition to metrics."""

    access: Annotated[bool, Meta(description="a line of JSON for each request")] = False
    audit: Annotated[
        bool | Audit, Meta(description="a chained line for each call: caller, digest of the model, verdict")
    ] = False
    payloads: Annotated[bool, Meta(description="include the values of tensors in the audit log")] = False
    traces: Annotated[bool, Meta(description="OpenTelemetry spans, configured by the OTEL_* variables")] = False


class Jwt(Part, frozen=True, kw_only=True):
    """Whose JSON Web Tokens a service takes."""

    issuer: Annotated[str, Meta(min_length=1, description="the issuer, as its tokens name it (`iss`)")]
    audience: Annotated[str, Meta(min_length=1, description="what tokens for this service are for (`aud`)")]
    jwks: (
        Annotated[
            str,
            Meta(min_length=1, description="https address or file of the keys; the issuer is asked when left out"),
        ]
        | None
    ) = None
    roles: Annotated[str, Meta(min_length=1, description="the claim with the caller's roles")] = "roles"
    algorithms: Annotated[tuple[str, ...], Meta(min_length=1, description="signatures that are taken")] = (
        "RS256",
        "PS256",
        "ES256",
        "EdDSA",
    )


class ClusterRight(Part, frozen=True, kw_only=True):
    """An act that RBAC lets a caller do in the namespace of the service."""

    verb: Annotated[str, Meta(pattern=r"^[a-z]{1,63}$", description="a verb of RBAC, such as create")]
    resource: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9.-]{1,63}(/[a-z0-9.-]{1,63})?$",
            description="a resource in the plural, as services/proxy",
        ),
    ]
    group: Annotated[str, Meta(pattern=r"^([a-z0-9.-]{1,253})?$", description="its API group")] = ""
    name: Annotated[str, Meta(min_length=1, description="one object; the service's own when left out")] | None = None


class Kubernetes(Part, frozen=True, kw_only=True):
    """Callers who are known by the cluster that a service is on."""

    audience: (
        Annotated[str, Meta(min_length=1, description="what tokens are for; the API server itself when left out")]
        | None
    ) = None
    roles: Annotated[
        dict[Role, ClusterRight],
        Meta(description="the right that gives a role; create services/proxy gives infer when left out"),
    ] = {}  # noqa: RUF012 - msgspec copies it


class CallerLimit(Part, frozen=True, kw_only=True):
    """What one caller may ask of one process of a server."""

    rate: Annotated[float, Meta(gt=0, le=1e6, description="requests in a second")] | None = None
    concurrent: Annotated[int, Meta(ge=1, le=100_000, description="requests at once")] | None = None
    bytes: Annotated[Memory, Meta(description="bytes of requests in a second")] | None = None
    memory: Annotated[Memory, Meta(description="bytes of all its requests under way")] | None = None


class Auth(Part, frozen=True, kw_only=True):
    """Who may ask a service."""

    tokens: Annotated[str, Meta(min_length=1, description="the file that plimsoll token writes")] | None = None
    jwt: Jwt | None = None
    kubernetes: Annotated[Kubernetes | None, Meta(description="tokens of the cluster, judged by it")] = None
    certificates: Annotated[
        dict[Annotated[str, Meta(min_length=1, max_length=255)], Annotated[tuple[Role, ...], Meta(min_length=1)]],
        Meta(
            description="roles by the name in a caller's certificate: a URI, a host or an address of mail, or the "
            "common name where it has none of these; all of them may infer when left out"
        ),
    ] = {}  # noqa: RUF012 - msgspec copies it
    limits: CallerLimit = CallerLimit()


class Tls(Part, frozen=True, kw_only=True):
    """The encryption of a service: files in PEM, beside the application's file."""

    certificate: Annotated[
        str, Meta(min_length=1, description="the server's certificate, and those between it and its authority")
    ]
    key: Annotated[str, Meta(min_length=1, description="its key, which others may not read")]
    clients: (
        Annotated[str, Meta(min_length=1, description="authorities: callers may show certificates of theirs")] | None
    ) = None
    revoked: Annotated[str, Meta(min_length=1, description="the authorities' lists of revoked certificates")] | None = (
        None
    )


class SampleInput(Part, frozen=True, kw_only=True):
    """One input of the request that a service is tested with."""

    shape: Annotated[tuple[Annotated[int, Meta(ge=0)], ...], Meta(description="sizes of all dimensions")]
    data: Annotated[
        tuple[bool | int | float | str, ...],
        Meta(description="the values in row-major order; zeros, or empty texts, when left out"),
    ] = ()
