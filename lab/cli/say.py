"""How the lab speaks to its user: progress with the time since the start, and errors in a line."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import click

from lab.errors import LabError

_START = time.monotonic()


def say(text: str) -> None:
    """Prints progress to standard error."""
    click.echo(f"{time.monotonic() - _START:6.1f} s  {text}", err=True)


class LabGroup(click.Group):
    """Shows what went wrong in the lab's words, never as a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; ends with status 1 and one message when the lab cannot do it, 130 on Ctrl-C."""
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
            click.echo(
                "lab: interrupted; the same command again goes on where it was, 'down' removes all of it", err=True
            )
            sys.exit(130)
        click.echo(f"lab: {problem}", err=True)
        sys.exit(1)
