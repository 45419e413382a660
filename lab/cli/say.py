"""Messages to the user: progress with the time since the start, and errors without a traceback."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import click

from lab.errors import LabError

_START = time.monotonic()


def say(text: str) -> None:
    """Prints progress to standard error, with the seconds since the start."""
    click.echo(f"{time.monotonic() - _START:6.1f} s  {text}", err=True)


class LabGroup(click.Group):
    """A command group that prints errors as messages, never as a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command. Exits with status 1 and a message after an error, and with 130 after Ctrl-C."""
        try:
            return super().invoke(ctx)
        except LabError as error:
            problem = str(error)
        except PermissionError as error:
            problem = f"{error}; the lab needs root"
        except OSError as error:
            problem = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            problem = str(error)
        except KeyboardInterrupt:
            click.echo("lab: interrupted; repeat the command to continue, or run 'down' to remove the lab", err=True)
            sys.exit(130)
        click.echo(f"lab: {problem}", err=True)
        sys.exit(1)
