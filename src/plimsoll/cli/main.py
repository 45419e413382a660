"""The entry point: finds the verb, and prints every error in one shape and one place."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Mapping
from types import MappingProxyType
from typing import NoReturn

import click

from plimsoll import __version__
from plimsoll.errors import PlimsollError

VERBS: Mapping[str, str] = MappingProxyType(
    {
        "init": "Write a small working application to start from.",
        "plan": "Print what a run would do, and why.",
        "run": "Carry an application out; resume what was interrupted.",
        "status": "Print what runs, or how the last run ended.",
        "logs": "Print what steps wrote.",
        "down": "Stop the run that is under way and its services.",
        "models": "List models, show one's lineage, or compare two.",
        "predict": "Ask a service for predictions on a file.",
        "promote": "Move a running service to another version, step by step.",
        "report": "Draw a run as one HTML page.",
        "check": "Prove by behaviour what a Kubernetes cluster can carry.",
        "verify": "Judge an evidence bundle again, without the cluster.",
        "submit": "Fill the conformance programme's questionnaire in from a bundle.",
        "lint": "Find what is wrong with a questionnaire of the conformance programme.",
        "schema": "Print the JSON Schema of the application file.",
    }
)


class Verbs(click.Group):
    """Imports a verb when it is called: start-up stays quick however many there are."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order in which one meets them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a verb."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"plimsoll.cli.verbs.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command, or a usage error that suggests what was meant."""
        name = args[0]
        if name not in VERBS and not name.startswith("-"):
            import difflib

            near = difflib.get_close_matches(name, VERBS, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else "See plimsoll --help."
            ctx.fail(f"There is no verb '{name}'. {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of verbs, without importing any."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="plimsoll")
def plimsoll() -> None:
    """Run an AI application from one file: data, distributed training, signed model, service."""


def main() -> NoReturn:
    """Run the command line and exit with the verb's status."""
    as_json = "--json" in sys.argv
    try:
        status = plimsoll.main(prog_name="plimsoll", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(status if isinstance(status, int) else 0)
    except PlimsollError as error:
        fail(error, as_json, error.exit_code)
    except click.ClickException as error:
        usage = error.ctx.get_usage() if isinstance(error, click.UsageError) and error.ctx else ""
        fail(PlimsollError(error.format_message(), hint=usage), as_json, 2)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    except BrokenPipeError:
        # The reader (such as `head`) has enough; Python must not complain about the pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        message = error.strerror or str(error)
        fail(PlimsollError(message, where=str(error.filename or "")), as_json, 1)
    except Exception as error:  # noqa: BLE001 - a defect of ours must not reach a user as a traceback
        fail(_defect(error), as_json, 1)


def fail(error: PlimsollError, as_json: bool, status: int) -> NoReturn:
    """Print an error and exit."""
    if as_json:
        import msgspec

        sys.stdout.write(msgspec.json.encode(error.as_json()).decode() + "\n")
    else:
        sys.stderr.write(f"error: {error}\n")
    sys.exit(status)


def _defect(error: Exception) -> PlimsollError:
    with tempfile.NamedTemporaryFile("w", prefix="plimsoll-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write("".join(traceback.format_exception(error)))
    return PlimsollError(
        f"this is a defect of plimsoll ({type(error).__name__}: {error})",
        hint=f"please report it with {file.name}",
    )
