"""An example of each verb, for its help and for that of the command."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

EXAMPLES: Mapping[str, str] = MappingProxyType(
    {
        "init": "plimsoll init pumps",
        "plan": "plimsoll plan --target production",
        "run": "plimsoll run --set learning_rate=0.1",
        "sweep": "plimsoll sweep --grid learning_rate=0.01,0.1",
        "attach": "plimsoll attach",
        "status": "plimsoll status --target production",
        "runs": "plimsoll runs 3 5",
        "logs": "plimsoll logs train/triage",
        "report": "plimsoll report --run 3",
        "down": "plimsoll down",
        "ui": "plimsoll ui",
        "clean": "plimsoll clean --keep 20",
        "export": "plimsoll export --subject card-4711 --output card-4711",
        "encryption": "plimsoll encryption key ~/.config/plimsoll/encryption/shop.key",
        "erase": "plimsoll erase --subject card-4711 --dry-run",
        "up": "plimsoll up",
        "models": "plimsoll models triage@1 triage@2",
        "search": "plimsoll search manuals seal",
        "ask": "plimsoll ask mechanic --why",
        "eval": "plimsoll eval mechanic",
        "predict": "plimsoll predict triage --input live.csv",
        "token": "plimsoll token create shop --file tokens.json",
        "promote": "plimsoll promote triage@2",
        "rollback": "plimsoll rollback triage",
        "quarantine": "plimsoll quarantine triage --reason poisoned",
        "audit": "plimsoll audit verify triage",
        "edge": "plimsoll edge rollout cabs",
        "key": "plimsoll key rotate",
        "image": "plimsoll image sign registry.example/shop/steps:1",
        "scan": "plimsoll scan triage@2 --database osv/",
        "policy": "plimsoll policy check triage@2",
        "check": "plimsoll check --target production --output evidence",
        "verify": "plimsoll verify evidence",
        "tenant": "plimsoll tenant create team-a --target production --cpu 32",
        "submit": "plimsoll submit --bundle evidence --output v1.37/platform",
        "lint": "plimsoll lint PRODUCT.yaml",
        "schema": "plimsoll schema > plimsoll.schema.json",
    }
)
