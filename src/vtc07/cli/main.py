"""The program: its commands, and the one place where errors become sentences and exit codes."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from vtc07 import __version__
from vtc07.cli.failure import ExitCode, judge, without_keys
from vtc07.cli.lazy import LazyGroup, examples
from vtc07.cli.output import Output, use_patient_streams


class Program(LazyGroup):
    """The root group: it runs a command and ends the process with its exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002, ARG002 - click's face
        **extra: Any,
    ) -> NoReturn:
        """Run and exit. Whatever the user did wrong ends in a sentence, never in a traceback."""
        words = list(sys.argv[1:] if args is None else args)
        options = words[: words.index("--")] if "--" in words else words
        output = Output(as_json="--json" in options)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may be no text
        use_patient_streams()
        try:
            code = super().main(
                words,
                prog_name or "vtc07",
                complete_var,
                standalone_mode=False,
                obj=output,
                **extra,
            )
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            sys.exit(ExitCode.USAGE)
        except click.UsageError as error:
            hint = f"Try '{error.ctx.command_path} --help' for help." if error.ctx else ""
            sentence = without_keys(error.format_message())
            output.error(sentence, ExitCode.USAGE, hint=hint)
            sys.exit(ExitCode.USAGE)
        except click.ClickException as error:
            output.error(without_keys(error.format_message()), ExitCode.USAGE)
            sys.exit(ExitCode.USAGE)
        except (click.Abort, KeyboardInterrupt):
            output.error("interrupted", ExitCode.INTERRUPTED)
            sys.exit(ExitCode.INTERRUPTED)
        except Exception as error:
            judged = judge(error)
            if judged is None:
                raise
            output.error(*judged)
            sys.exit(judged[1])
        finally:
            sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else ExitCode.DONE)


@click.group(
    "vtc07",
    cls=Program,
    members={
        "demo": ("vtc07.cli.demo:demo", "Show a token's way from vending to the load switch."),
        "identify": ("vtc07.cli.identify:identify", "Ask a meter who it is."),
        "read": ("vtc07.cli.read:read_command", "Read registers of a meter."),
        "write": ("vtc07.cli.write:write_command", "Write registers of a meter."),
        "readout": ("vtc07.cli.readout:readout", "Show the data of any IEC 62056-21 meter."),
        "send": ("vtc07.cli.send:send", "Send tokens to a meter, each exactly once."),
        "diagnose": ("vtc07.cli.diagnose:diagnose", "Say what is wrong with a meter or a token."),
        "route": ("vtc07.cli.route:route", "Check, run and report a route of meters."),
        "hhu": ("vtc07.cli.hhu:hhu", "Be a hand-held unit: terminal, journal, open deliveries."),
        "web": ("vtc07.cli.web:web", "Be a hand-held unit in a browser; a training bench."),
        "token": ("vtc07.cli.token:token", "Issue and decode tokens."),
        "meter": ("vtc07.cli.meter:meter", "Make, serve and look at virtual meters."),
        "companion": ("vtc07.cli.companion:companion", "List, show, check and draft companions."),
        "ports": ("vtc07.cli.ports:ports", "List the serial ports of this machine."),
        "line": ("vtc07.cli.line:line", "Be a serial line between two programs."),
        "simulate": (
            "vtc07.cli.simulate:simulate",
            "Run deliveries in which everything goes wrong.",
        ),
    },
    epilog=examples(
        "vtc07 meter new kitchen.meter",
        "vtc07 token issue credit 25.0 --test-key",
        'vtc07 send sim:kitchen.meter "1234 5678 9012 3456 7890"',
        "vtc07 read sim:kitchen.meter",
    ),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="vtc07", message="%(prog)s %(version)s")
def main() -> None:
    """Prepayment tokens into meters by the two-way virtual token carrier (IEC 62055-52).

    ADDRESS is tcp://HOST:PORT, a serial port such as /dev/ttyUSB0, rfc2217://HOST:PORT for one
    in the network, pty:PATH, or sim:STORE, a virtual meter in this very process.

    Exit codes: 0 done, 1 the meter refused, 2 wrong usage, 3 no link, 4 unresolved.
    """
