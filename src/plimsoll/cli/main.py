"""The entry point: finds the verb, and prints every error in one format."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn

import click

from plimsoll import __version__
from plimsoll.cli.examples import EXAMPLES
from plimsoll.cli.streams import discard_output, open_standard_streams
from plimsoll.errors import PlimsollError, not_utf8
from plimsoll.waits import tell_waits

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SECTIONS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "Run applications": {
            "init": "Create a small working application.",
            "plan": "Print the steps that a run would execute, and why.",
            "run": "Run an application; resume an interrupted run.",
            "sweep": "Train with many values of parameters, and register the best.",
            "attach": "Follow the run that is under way; Ctrl-C leaves it running.",
            "status": "Print the current run, or how the last run ended.",
            "runs": "List runs, show one, or compare two.",
            "logs": "Print the output of steps.",
            "report": "Write an HTML report of a run or an evidence bundle.",
            "down": "Stop the current run and all services, or some services.",
            "ui": "Serve a live page of runs, models, services and checks.",
            "clean": "Remove what no run, service or version needs any more.",
            "export": "Write all that is kept of a person, for the person who asks.",
            "encryption": "Encrypt what is kept: show, rotate and remove the key.",
            "erase": "Find a person in all that is kept, remove them, and sign what was done.",
        },
        "Models, services and indexes": {
            "up": "Keep services up while you go on working; runs hand new versions over.",
            "models": "List models, show the lineage of one, or compare two.",
            "search": "Search an index for passages that answer a question.",
            "ask": "Ask an assistant; each sentence of its answer names its source.",
            "eval": "Judge an assistant by questions whose answers are known.",
            "predict": "Send rows to a service and print its predictions.",
            "token": "Make, list and revoke the tokens by which callers are known.",
            "promote": "Move the traffic of a service to another model version, step by step.",
            "rollback": "Move a service back to the version before its last promotion.",
            "quarantine": "Take a version out of a service, block it, and keep evidence.",
            "audit": "Verify, query and export the audit logs of services.",
            "edge": "Enroll devices, roll releases out to them, and see what they run.",
        },
        "Supply chain": {
            "key": "Show, rotate, limit and revoke the keys that sign models and bundles.",
            "image": "Sign images and artifacts of registries, and verify them, as cosign does.",
            "scan": "Scan packages for known vulnerabilities, and model files for what they would run.",
            "policy": "Judge a plan, a version, manifests or a bundle by the policies of the file.",
        },
        "Check clusters": {
            "check": "Test what a Kubernetes cluster can carry, and write an evidence bundle.",
            "verify": "Judge an evidence bundle again, without the cluster.",
            "tenant": "Make, list, show and delete tenants of a cluster, apart from each other.",
        },
        "Conformance programme": {
            "submit": "Fill in the programme's questionnaire from an evidence bundle.",
            "lint": "Find mistakes in a questionnaire of the programme.",
        },
        "Tools": {
            "schema": "Print the JSON Schema of the application file.",
        },
    }
)
"""Verbs with their summaries, grouped by purpose in the order of `plimsoll --help`."""
VERBS: Mapping[str, str] = MappingProxyType({verb: text for verbs in SECTIONS.values() for verb, text in verbs.items()})


class Verbs(click.Group):
    """A group that imports a verb only when it is called, which keeps start-up fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all verbs, in the order of `--help`."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of a verb; None for an unknown verb."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"plimsoll.cli.verbs.{cmd_name}")
        command: click.Command = module.command
        if cmd_name in EXAMPLES:
            command.epilog = f"Example:  {EXAMPLES[cmd_name]}"
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The verbs with their summaries, without importing any."""
        from click.shell_completion import CompletionItem

        verbs = [CompletionItem(name, help=text) for name, text in VERBS.items() if name.startswith(incomplete)]
        # The options of the command itself, as any command completes them.
        return [*verbs, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or raise a usage error that suggests a similar verb."""
        name = args[0]
        if name not in VERBS and not name.startswith("-"):
            import difflib

            similar = difflib.get_close_matches(name, VERBS, n=1)
            hint = f"Did you mean '{similar[0]}'?" if similar else "See plimsoll --help."
            ctx.fail(f"Unknown verb '{name}'. {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of verbs by section, without importing any."""
        for title, verbs in SECTIONS.items():
            with formatter.section(title):
                rows = [[(name, text), ("", EXAMPLES.get(name, ""))] for name, text in verbs.items()]
                formatter.write_dl([row for pair in rows for row in pair if any(row)])


@click.command(cls=Verbs, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="plimsoll")
@click.pass_context
def plimsoll(context: click.Context) -> None:
    """Run an AI application from one file: data, distributed training, signed model, service."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def _seal() -> None:
    """Have what was written sealed, where what is kept is encrypted. Raises TargetError when it cannot be."""
    if (use := sys.modules.get("plimsoll.vault.use")) is not None:
        use.release()


def _tell_wait(text: str) -> None:
    """Say what is waited for, where nothing has been said for seconds; on the stream that no program reads."""
    from plimsoll.cli.terminal import one_line

    with contextlib.suppress(OSError, ValueError):
        click.echo(one_line(text), err=True)


def main() -> NoReturn:
    """Run the command line and exit with the verb's status."""
    open_standard_streams()
    if sys.stdout.isatty() or sys.stderr.isatty():
        from plimsoll.cli.terminal import guard_terminals

        guard_terminals()
    as_json = "--json" in sys.argv
    try:
        with tell_waits(_tell_wait):
            status = plimsoll.main(prog_name="plimsoll", standalone_mode=False)
            _seal()
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
        # The reader (such as `head`) has closed the pipe; Python must not report that at exit.
        discard_output()
        sys.exit(0)
    except UnicodeEncodeError as error:
        fail(not_utf8(error), as_json, 1)
    except OSError as error:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        discard_output()
        message = error.strerror or str(error)
        fail(PlimsollError(message, where=str(error.filename or "")), as_json, 1)
    except Exception as error:  # noqa: BLE001 - the user must not see a defect of plimsoll as a traceback
        fail(_defect(error), as_json, 1)


def fail(error: PlimsollError, as_json: bool, status: int) -> NoReturn:
    """Print an error and exit."""
    if as_json:
        from plimsoll.encoding import json_for_people

        sys.stdout.write(json_for_people(error.as_json()).decode() + "\n")
    else:
        sys.stderr.write(f"error: {error}\n")
    sys.exit(status)


def _defect(error: Exception) -> PlimsollError:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="plimsoll-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write("".join(traceback.format_exception(error)))
    return PlimsollError(
        f"this is a defect of plimsoll ({type(error).__name__}: {error})",
        hint=f"please report it with {file.name}",
    )
