"""The command ``mage``: commands of all packages under one roof, and every failure in one sentence.

A package offers its commands by an entry point in the group ``mage.commands`` that names a function
``register(app: typer.Typer) -> None``. Neither Blender nor torch is imported before a command asks for it.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mage.scenes import doctor
from mage.scenes.errors import MageError

GROUP = "mage.commands"
ORDER = (
    "plan",
    "generate",
    "preview",
    "info",
    "verify",
    "browse",
    "export",
    "release",
    "reproduce",
    "collect",
    "pretrain",
    "translate",
    "train",
    "calibrate",
    "choose",
    "evaluate",
    "pack",
    "map",
    "doctor",
)  # as a newcomer meets them
FAILED, FAULT, INTERRUPTED, PIPE_CLOSED = 2, 1, 130, 141  # exit codes; the last two are 128 + the signal, as in shells


class _Stop(Exception):  # noqa: N818 - an ending, not an error
    """The command ended early: carries past typer what typer would end in its own words."""

    def __init__(self, code: int) -> None:
        self.code = code


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _Stop(INTERRUPTED) from None
        except BrokenPipeError:
            raise _Stop(PIPE_CLOSED) from None


def assemble(points: Iterable[metadata.EntryPoint]) -> tuple[typer.Typer, list[str]]:
    """The app with the commands of these entry points, and a line about each entry point that is broken.

    One whose extra is not installed is left out without a word.
    """
    app = typer.Typer(
        cls=_Commands,
        help="Labelled disaster imagery from simulated cities, and maps learned from it.",
        epilog="`mage COMMAND --help` explains a command; `mage doctor` shows what is installed and what is missing.",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
    )
    app.callback()(_root)
    complaints = []
    for point in sorted(points, key=lambda p: p.name):
        try:
            point.load()(app)
        except Exception as error:  # whatever breaks one package must leave the others usable
            if isinstance(error, ModuleNotFoundError) and error.name and doctor.extra_of(error.name):
                continue  # a part that was not asked for; `mage doctor` lists it
            complaints.append(f"the commands of '{point.name}' ({point.value}) cannot be loaded: {_brief(error)}")
    doctor.register(app)
    app.registered_commands.sort(key=lambda c: _position(c.name or str(getattr(c.callback, "__name__", ""))))
    return app, complaints


def main(args: Sequence[str] | None = None) -> None:
    """Run ``mage`` with these arguments (those of the process by default) and exit.

    Exit codes: 0 done; 1 a check that failed, or a fault of MAGE's own; 2 what was asked for cannot be done, with the
    reason as one line on standard error; 130 interrupted. ``--debug`` anywhere, or ``MAGE_DEBUG=1``, shows tracebacks.
    """
    words = list(sys.argv[1:] if args is None else args)
    debug = "--debug" in words or os.environ.get("MAGE_DEBUG", "") not in ("", "0")
    for complaint in COMPLAINTS:
        _tell(f"warning: {complaint}")
    try:
        code = app([w for w in words if w != "--debug"], prog_name="mage", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:
        if debug and isinstance(error, Exception) and not isinstance(error, _Stop) and not _is_usage(error):
            raise
        code = _explain(error)
    sys.exit(code if isinstance(code, int) else 0)


def _root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=lambda v: _show_version(v), help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; works anywhere on the line.")] = False,
) -> None:
    """Both options are acted on before any command: here they are only described."""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mage {metadata.version('mage-eo')}")
        raise typer.Exit


def _explain(error: BaseException) -> int:
    """Say in one line what went wrong, and return the exit code."""
    if isinstance(error, _Stop | KeyboardInterrupt | typer.Abort | BrokenPipeError):
        return _stopped(error)
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAULT
    if _is_usage(error):
        # newer versions of typer let pydantic check values, and pass its prefix on
        error.message = str(getattr(error, "message", "")).removeprefix("Value error, ")  # type: ignore[attr-defined]
        error.show()  # type: ignore[attr-defined]
        return FAILED
    if isinstance(error, MageError):
        return _fail(str(error))
    if isinstance(error, OSError):
        return _fail(_of_the_system(error))
    if isinstance(error, MemoryError):
        return _fail("out of memory: try a smaller --size or fewer --workers")
    if isinstance(error, ModuleNotFoundError) and error.name and (extra := doctor.extra_of(error.name)):
        return _fail(f"this needs the Python module '{error.name}': pip install 'mage-eo[{extra}]'")
    _tell(f"error: a fault in MAGE: {_brief(error)}; run it again with --debug to see where, and report it")
    return FAULT


def _is_usage(error: BaseException) -> bool:
    """Whether typer raised this about the words on the line; it has moved the class from one module to another."""
    return hasattr(error, "show") and hasattr(error, "exit_code")


def _stopped(error: BaseException) -> int:
    piped = isinstance(error, BrokenPipeError) or (isinstance(error, _Stop) and error.code == PIPE_CLOSED)
    if not piped:
        _tell("interrupted")
        return INTERRUPTED
    # nobody reads any more: whatever is still in the buffer must not raise at exit
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED


def _of_the_system(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"{where}no space left on the device"
    if isinstance(error, PermissionError):
        return f"{where}permission denied"
    return f"{where}{error.strerror or error}"


def _fail(reason: str) -> int:
    _tell(f"error: {reason}")
    return FAILED


def _tell(line: str) -> None:
    typer.echo(" ".join(line.split("\n")), err=True)


def _brief(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _position(name: str) -> tuple[int, str]:
    return (ORDER.index(name) if name in ORDER else len(ORDER) - 1, name)


app, COMPLAINTS = assemble(metadata.entry_points(group=GROUP))

if __name__ == "__main__":
    main()
