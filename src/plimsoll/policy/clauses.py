"""Which evidence of Plimsoll answers which clause of frameworks and laws: a table of facts, and no advice. Pure.

Sources: NIST AI 100-1 (AI RMF 1.0, 2023); ISO/IEC 42001:2023, annex A; Regulation (EU) 2024/1689 (AI Act); Regulation
(EU) 2016/679 (GDPR). What a clause is about is said in few words of our own: read the clause itself.
"""

from __future__ import annotations

from msgspec import Struct

from plimsoll.application.shape import suggest_name
from plimsoll.errors import FileError


class Evidence(Struct, frozen=True, kw_only=True):
    """Something that is there and can be shown, and the command that shows it."""

    what: str
    shown: str


class Clause(Struct, frozen=True, kw_only=True):
    """A clause. Without evidence it is not covered; `gap` says what of it is left to you."""

    number: str
    about: str
    evidence: tuple[Evidence, ...] = ()
    gap: str = ""


class Framework(Struct, frozen=True, kw_only=True):
    """A framework or a law with those of its clauses that concern what Plimsoll does."""

    name: str
    title: str
    clauses: tuple[Clause, ...]


FILE = Evidence(what="the application file: parts, bounds and policies under version control", shown="plimsoll plan")
POLICIES = Evidence(what="verdicts of policies in the journal and report of each run", shown="plimsoll report")
MODELS = Evidence(what="signed versions with lineage, figures and acceptance", shown="plimsoll models NAME --verify")
DATA = Evidence(what="digests of the data that each version was trained on", shown="plimsoll models NAME@VERSION")
PROVENANCE = Evidence(what="signed SLSA provenance of each version", shown="plimsoll models NAME@VERSION --provenance")
BILLS = Evidence(
    what="signed bills of materials of each version", shown="plimsoll models NAME@VERSION --sbom cyclonedx"
)
SCREENS = Evidence(what="screens of the rows that each version learnt from", shown="plimsoll models NAME --card")
SCANS = Evidence(what="scans of packages and model files", shown="plimsoll scan --database PATH")
BROUGHT = Evidence(what="origin and licence of each model that was brought", shown="plimsoll models NAME@VERSION")
JOURNAL = Evidence(what="the journal of each run: steps, inputs, results, times", shown="plimsoll runs NUMBER")
REPORT = Evidence(what="the report of each run with figures against baselines", shown="plimsoll report")
AUDIT = Evidence(what="chained and signed audit log of calls of services", shown="plimsoll audit verify SERVICE")
QUERY = Evidence(what="queries over the audit log, and its export", shown="plimsoll audit query SERVICE")
DRIFT = Evidence(what="drift of live features, late labels, and alert rules", shown="plimsoll status")
MOVES = Evidence(what="who moved which service to which version, and why", shown="plimsoll status")
QUARANTINE = Evidence(what="versions taken out of service, with signed evidence", shown="plimsoll quarantine SERVICE")
ROLLBACK = Evidence(what="services led back to the version of before", shown="plimsoll rollback SERVICE")
CLUSTER = Evidence(what="a signed bundle of what a cluster was shown to hold", shown="plimsoll verify BUNDLE")
CARDS = Evidence(
    what="a signed card of each version: purpose, data, figures, limits", shown="plimsoll models NAME --card"
)
ERASURE = Evidence(what="signed certificates of what was erased where", shown="plimsoll erase --verify CERTIFICATE")
ACCESS = Evidence(what="all that is kept of a person, as JSON and CSV", shown="plimsoll export --subject ID")
RETENTION = Evidence(what="what has expired by the file's retention", shown="plimsoll erase --expired --dry-run")
APART = Evidence(what="steps in sandboxes, and what each was let have", shown="plimsoll plan")
ADMISSION = Evidence(
    what="the same rules at the admission of a cluster", shown="plimsoll policy render --namespace NAMESPACE"
)
CALLERS = Evidence(what="callers of services known by tokens, with roles", shown="plimsoll token list")

_YOURS = "it is an organisation's own process"

NIST = Framework(
    name="nist-ai-rmf",
    title="NIST AI Risk Management Framework 1.0",
    clauses=(
        Clause(number="GOVERN 1.1", about="legal and regulatory requirements are known", gap=_YOURS),
        Clause(
            number="GOVERN 1.4",
            about="risk management follows policies that everybody can see",
            evidence=(FILE, POLICIES, ADMISSION),
            gap="which policies are right",
        ),
        Clause(number="GOVERN 1.6", about="AI systems are inventoried", evidence=(MODELS, JOURNAL)),
        Clause(number="GOVERN 2.1", about="roles and responsibilities are documented", gap=_YOURS),
        Clause(
            number="GOVERN 6.1",
            about="risks of third parties, and their rights, are addressed",
            evidence=(BROUGHT, BILLS, POLICIES),
        ),
        Clause(
            number="MAP 4.1",
            about="risks of components, also of others' software and data, are mapped",
            evidence=(BILLS, SCANS, BROUGHT),
            gap="rights in the data of your own sources",
        ),
        Clause(
            number="MEASURE 2.1",
            about="test sets, metrics and tools of evaluation are documented",
            evidence=(REPORT, DATA, JOURNAL),
        ),
        Clause(
            number="MEASURE 2.3",
            about="performance is measured and demonstrated for conditions of use",
            evidence=(MODELS, REPORT),
            gap="whether the data resembles your use",
        ),
        Clause(number="MEASURE 2.4", about="behaviour in production is monitored", evidence=(DRIFT, AUDIT)),
        Clause(number="MEASURE 2.6", about="safety is evaluated regularly"),
        Clause(
            number="MEASURE 2.7",
            about="security and resilience are evaluated and documented",
            evidence=(SCANS, MODELS, CLUSTER, ADMISSION),
        ),
        Clause(number="MEASURE 2.8", about="transparency and accountability", evidence=(PROVENANCE, AUDIT, MOVES)),
        Clause(number="MEASURE 2.10", about="privacy risk is examined"),
        Clause(number="MEASURE 2.11", about="fairness and bias are evaluated"),
        Clause(number="MEASURE 2.12", about="environmental impact is assessed"),
        Clause(
            number="MANAGE 2.4",
            about="systems can be superseded, disengaged and deactivated",
            evidence=(QUARANTINE, ROLLBACK),
        ),
        Clause(number="MANAGE 3.1", about="third-party resources are monitored", evidence=(SCANS, POLICIES)),
        Clause(number="MANAGE 3.2", about="pre-trained models are monitored", evidence=(BROUGHT, DRIFT)),
        Clause(
            number="MANAGE 4.1",
            about="monitoring after deployment, with input of those affected",
            evidence=(DRIFT, QUARANTINE),
            gap="appeal, and the voice of those affected",
        ),
        Clause(
            number="MANAGE 4.3",
            about="incidents are communicated, tracked and answered",
            evidence=(QUARANTINE, QUERY),
            gap="communication",
        ),
    ),
)
ISO = Framework(
    name="iso-42001",
    title="ISO/IEC 42001:2023, controls of annex A",
    clauses=(
        Clause(number="A.2.2", about="AI policy", gap=_YOURS),
        Clause(number="A.3.2", about="roles and responsibilities", gap=_YOURS),
        Clause(number="A.4.2", about="resources are documented", evidence=(FILE, BILLS)),
        Clause(number="A.4.3", about="data resources", evidence=(DATA,), gap="what the data is about"),
        Clause(number="A.4.4", about="tooling resources", evidence=(BILLS, PROVENANCE)),
        Clause(number="A.4.5", about="system and computing resources", evidence=(JOURNAL, CLUSTER)),
        Clause(number="A.4.6", about="human resources", gap=_YOURS),
        Clause(number="A.5.2", about="process of impact assessments", gap=_YOURS),
        Clause(number="A.6.2.3", about="design and development are documented", evidence=(FILE, PROVENANCE, JOURNAL)),
        Clause(number="A.6.2.4", about="verification and validation", evidence=(MODELS, REPORT)),
        Clause(number="A.6.2.5", about="deployment", evidence=(POLICIES, MOVES)),
        Clause(number="A.6.2.6", about="operation and monitoring", evidence=(DRIFT, AUDIT, QUARANTINE)),
        Clause(number="A.6.2.7", about="technical documentation", evidence=(REPORT, CARDS, BILLS)),
        Clause(number="A.6.2.8", about="event logs are recorded", evidence=(AUDIT, JOURNAL)),
        Clause(number="A.7.2", about="data for development is managed", evidence=(DATA, FILE)),
        Clause(number="A.7.4", about="quality of data", evidence=(SCREENS,), gap="what quality your use needs"),
        Clause(number="A.7.5", about="provenance of data", evidence=(DATA, PROVENANCE), gap="before your own sources"),
        Clause(number="A.7.6", about="preparation of data", evidence=(FILE, PROVENANCE)),
        Clause(number="A.8.2", about="documentation for users", evidence=(REPORT, CARDS), gap="words for your users"),
        Clause(number="A.8.4", about="communication of incidents", gap=_YOURS),
        Clause(number="A.10.3", about="suppliers", evidence=(BROUGHT, BILLS, SCANS), gap="contracts"),
    ),
)
AI_ACT = Framework(
    name="eu-ai-act",
    title="Regulation (EU) 2024/1689: records and logs of high-risk systems",
    clauses=(
        Clause(
            number="Art. 11",
            about="technical documentation (annex IV)",
            evidence=(REPORT, CARDS, BILLS, PROVENANCE, FILE),
            gap="general description, human oversight, declaration of conformity",
        ),
        Clause(
            number="Art. 12(1)", about="events are logged automatically over the lifetime", evidence=(AUDIT, JOURNAL)
        ),
        Clause(
            number="Art. 12(2)(a)",
            about="events by which risks and substantial modifications are found",
            evidence=(DRIFT, MOVES, POLICIES, QUARANTINE),
        ),
        Clause(number="Art. 12(2)(b)", about="events for monitoring after marketing", evidence=(DRIFT, QUERY)),
        Clause(number="Art. 12(2)(c)", about="events for monitoring by deployers", evidence=(AUDIT, QUERY)),
        Clause(
            number="Art. 12(3)", about="remote biometric identification: use, database, match, who verified the result"
        ),
        Clause(
            number="Art. 15",
            about="accuracy, robustness and cybersecurity",
            evidence=(MODELS, SCANS, ADMISSION, CLUSTER),
            gap="levels of accuracy in the instructions of use; attacks on the model by its inputs",
        ),
        Clause(
            number="Art. 18",
            about="documentation is kept for ten years",
            gap="how long files are kept is yours",
        ),
        Clause(
            number="Art. 19(1)",
            about="providers keep logs for six months at least",
            evidence=(AUDIT,),
            gap="how long files are kept is yours",
        ),
        Clause(
            number="Art. 26(6)",
            about="deployers keep logs for six months at least",
            evidence=(AUDIT,),
            gap="how long files are kept is yours",
        ),
        Clause(number="Art. 72", about="monitoring after marketing", evidence=(DRIFT, QUERY), gap="the plan of it"),
        Clause(number="Art. 73", about="serious incidents are reported", gap="the report to the authority"),
    ),
)
GDPR = Framework(
    name="gdpr",
    title="Regulation (EU) 2016/679",
    clauses=(
        Clause(
            number="Art. 5(1)(b)",
            about="purpose limitation",
            evidence=(FILE,),
            gap="whether a use is within the purpose that the file says",
        ),
        Clause(
            number="Art. 5(1)(e)",
            about="storage limitation",
            evidence=(RETENTION,),
            gap="copies that you made elsewhere, and backups",
        ),
        Clause(
            number="Art. 5(1)(f)", about="integrity and confidentiality", evidence=(MODELS, CALLERS, AUDIT, ADMISSION)
        ),
        Clause(number="Art. 5(2)", about="accountability", evidence=(JOURNAL, POLICIES, AUDIT), gap="purposes"),
        Clause(number="Art. 6", about="lawfulness of processing", gap=_YOURS),
        Clause(
            number="Art. 15",
            about="a person's right of access",
            evidence=(ACCESS,),
            gap="who the person is; copies elsewhere and backups",
        ),
        Clause(
            number="Art. 17",
            about="a person's right to erasure",
            evidence=(ERASURE,),
            gap="whether it has to be; copies elsewhere and backups",
        ),
        Clause(
            number="Art. 22",
            about="automated decisions about a person",
            evidence=(AUDIT, MODELS),
            gap="human intervention and the right to contest",
        ),
        Clause(
            number="Art. 25",
            about="data protection by design",
            evidence=(FILE, POLICIES),
            gap="which data is needed for which purpose",
        ),
        Clause(number="Art. 30", about="records of processing", evidence=(FILE, JOURNAL), gap="purposes, recipients"),
        Clause(
            number="Art. 32",
            about="security of processing",
            evidence=(CALLERS, AUDIT, SCANS, APART, CLUSTER),
            gap="encryption of data at rest",
        ),
        Clause(
            number="Art. 33", about="breaches are notified", evidence=(QUARANTINE, QUERY), gap="the notification itself"
        ),
        Clause(number="Art. 35", about="impact assessment", gap=_YOURS),
    ),
)
FRAMEWORKS = (NIST, ISO, AI_ACT, GDPR)


def listed() -> tuple[Framework, ...]:
    """All frameworks."""
    return FRAMEWORKS


def framework_named(name: str) -> Framework:
    """The framework of a name. Raises FileError that suggests one."""
    known = {each.name: each for each in FRAMEWORKS}
    if name not in known:
        raise FileError(f"there is no framework '{name}'", where="FRAMEWORK", hint=suggest_name(name, known))
    return known[name]
