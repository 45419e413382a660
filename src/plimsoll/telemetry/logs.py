"""Access and audit logs of a service. The payload is logged only when `payloads` is set."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from plimsoll.runtime.server.observers import Answer
from plimsoll.telemetry.audit_file import AuditFile, WhenFull
from plimsoll.telemetry.audit_lines import AuditLines
from plimsoll.telemetry.json_lines import JsonLinesFile
from plimsoll.telemetry.request_lines import access_line


class RequestLogs:
    """Both logs. An empty path switches a log off."""

    def __init__(
        self,
        access: str,
        audit: str,
        *,
        payloads: bool,
        trace_of: Callable[[Answer], str],
        full: WhenFull = "stop",
        key: str = "",
    ) -> None:
        """Open the logs; `full` and `key` are of the audit log. Raises TargetError when a log cannot be written."""
        self._access = JsonLinesFile(access) if access else None
        self._audit = AuditFile(audit, full=full, key=key) if audit else None
        self._audit_lines = AuditLines(payloads=payloads)
        self._trace_of = trace_of

    def answered(self, answers: Sequence[Answer]) -> None:
        """Write one line for each answer."""
        if self._access is not None:
            self._access.write([access_line(answer, self._trace_of(answer)) for answer in answers])
        if self._audit is not None:
            line = self._audit_lines.line
            self._audit.write([line(answer, self._trace_of(answer)) for answer in answers if not answer.shadow])

    def tick(self) -> None:
        """Sign the audit log when it is time, also while nobody calls."""
        if self._audit is not None:
            self._audit.tick()

    @property
    def lost(self) -> int:
        """Lines of the audit log that a full disk has cost."""
        return self._audit.lost if self._audit is not None else 0

    @property
    def problem(self) -> str:
        """Why inferences cannot be audited at present; empty when they can."""
        return self._audit.problem if self._audit is not None else ""

    def close(self) -> None:
        """Close the files."""
        for lines in (self._access, self._audit):
            if lines is not None:
                lines.close()
