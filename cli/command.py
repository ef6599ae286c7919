"""Turns a function into a command: adds the common options, puts examples first in the help, turns errors into exit codes."""

import inspect
import time
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from cli.late import filled
from cli.output import Color, Ui
from cli.text import duration
from kdcache.errors import UsageError

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
QuietCount = Annotated[
    int,
    typer.Option("--quiet", "-q", count=True, show_default=False, help="Print less; -qq leaves only the exit code."),
]
VerboseCount = Annotated[
    int, typer.Option("--verbose", "-v", count=True, show_default=False, help="Print more; -vv shows tracebacks.")
]
ColorChoice = Annotated[Color, typer.Option("--color", metavar="WHEN", help="auto, always or never.")]

_COMMON = [
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
    for name, kind, default in (
        ("json", JsonFlag, False),
        ("quiet", QuietCount, 0),
        ("verbose", VerboseCount, 0),
        ("color", ColorChoice, "auto"),
    )
]
_CONTEXT = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
Body = Callable[..., int | None]


class _Command(TyperCommand):
    """A command that takes no empty words, and whose help texts get their lists (late.py) when they are shown."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words after the command."""
        _refuse_empty(args, ctx.command_path)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Format options and arguments for `--help`."""
        for parameter in self.params:
            text = getattr(parameter, "help", None)
            if text:
                parameter.help = filled(text)  # type: ignore[attr-defined]  # options and arguments have one
        super().format_options(ctx, formatter)


def _refuse_empty(words: list[str], command_path: str) -> None:
    """UsageError for an empty word, such as of a variable that is not set: as a path it would be the current folder."""
    for before, word in zip(["", *words], words, strict=False):
        option, equals, value = word.partition("=")
        if not word:
            place = f"the value after {before}" if before.startswith("-") else "an argument"
        elif word.startswith("--") and equals and not value:
            place = f"the value of {option}"
        else:
            continue
        raise UsageError(f"{place} is empty", hint=f"{command_path} --help")


def group(help_text: str) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
    )


def command(
    app: typer.Typer, name: str, *, examples: str, shared: Callable[..., Any] | None = None, resumable: bool = False
) -> Callable[[Body], Body]:
    """Register `body(ui, ...)` as a command of `app`. Its docstring is the help, with the examples below the first line.

    The options of the function `shared` are added; its return value is passed to the body as `options`.
    """

    def register(body: Body) -> Body:
        of_shared = _parameters(shared) if shared else []
        of_body = [p for p in _parameters(body) if p.name not in ("ui", "options")]

        @wraps(body)
        def run(
            *, context: typer.Context, json: bool, quiet: int, verbose: int, color: Color, **arguments: Any
        ) -> None:
            ui: Ui = context.obj
            ui.configure(json=json, quiet=quiet, verbose=verbose, color=color)
            ui.given = frozenset(name for name in context.params if _named(context, name))

            started = time.perf_counter()

            def work() -> int | None:
                if shared:
                    arguments["options"] = shared(**{p.name: arguments.pop(p.name) for p in of_shared})
                code = body(ui, **arguments)
                ui.detail(f"took {duration(time.perf_counter() - started)}")
                return code

            raise typer.Exit(ui.guard(work, resumable=resumable))

        parameters = [_CONTEXT, *of_shared, *of_body, *_COMMON]
        # typer reads the options from __signature__, which the type of functions does not declare.
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        text = inspect.getdoc(body) or ""
        short = text.partition("\n")[0].rstrip(".")
        app.command(name, cls=_Command, help=_help(text, examples), short_help=short)(run)
        return body

    return register


def _named(context: typer.Context, parameter: str) -> bool:
    source = context.get_parameter_source(parameter)
    return source is not None and source.name == "COMMANDLINE"


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    found = inspect.signature(function).parameters.values()
    return [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in found]


def _help(text: str, examples: str) -> str:
    first, _, rest = text.partition("\n\n")
    lines = "\n".join(f"  {line.strip()}" for line in examples.strip().splitlines())
    return f"{first}\n\n\b\nExamples:\n{lines}\n\n{rest}".rstrip()
