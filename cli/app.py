"""All commands, group by group."""

from typing import Annotated

import typer

from cli import bench, cache, compare, config, doctor, eval, predict, report, runs, student, teacher, train
from cli.output import BROKEN_PIPE, INTERRUPTED, Ui
from cli.stopping import Stop, watch

app = typer.Typer(
    help="Run frozen vision teachers once, store their outputs, train small students from them.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"max_content_width": 100},
)

_REASONS = {
    "int_parsing": "is not a whole number",
    "float_parsing": "is not a number",
    "greater_than_equal": "is too low: the least is {ge:,}",
    "less_than_equal": "is too high: the most is {le:,}",
}
"""Pydantic's type of a mistake -> how kd says it."""


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"kd {version('kd-cache')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Run frozen vision teachers once, store their outputs, train small students from them."""


app.add_typer(cache.app, name="cache")
app.add_typer(teacher.app, name="teacher")
app.add_typer(student.app, name="student")
app.add_typer(runs.app, name="runs")
app.add_typer(config.app, name="config")
app.add_typer(bench.app, name="bench")
train.register(app)
compare.register(app)
eval.register(app)
predict.register(app)
report.register(app)
doctor.register(app)


def run(arguments: list[str]) -> int:
    """Run one command line; returns the exit code."""
    ui = Ui(arguments)
    return ui.guard(
        lambda: _called(ui, arguments), watched=False
    )  # each command does this itself, with its own options


def _called(ui: Ui, arguments: list[str]) -> int:
    try:
        code: int = app(args=arguments, prog_name="kd", standalone_mode=False, obj=ui) or 0
    except typer.TyperException as error:
        return _usage(ui, error)
    except SystemExit as end:
        if isinstance(
            end.__context__, BrokenPipeError
        ):  # typer exits like this when a help text is piped to a closed reader
            return BROKEN_PIPE
        raise
    if watch.code is not None and code == INTERRUPTED and not watch.announced:
        raise Stop(watch.code)  # the signal came while typer parsed the command line; typer returned this code for it
    return code


def _usage(ui: Ui, error: typer.TyperException) -> int:
    """Report a command line that cannot be parsed. A group without a command prints its help instead of an error."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(error.format_message(), err=True)
        return error.exit_code
    command = context.command_path if context else "kd"
    return ui.fail(
        "UsageError",
        _bad_value(error) or " ".join(error.format_message().split()).rstrip(".").replace("Value error, ", ""),
        error.exit_code,
        hint=f"{command} --help",
    )


def _bad_value(error: typer.TyperException) -> str | None:
    """What is wrong with an option's number, whose value pydantic, which typer asks, does not name; None: it is another error."""
    param, mistakes = getattr(error, "param", None), getattr(error.__cause__, "errors", None)
    if param is None or mistakes is None:
        return None
    found = mistakes(include_url=False)[0]
    reason = _REASONS.get(found["type"])
    if reason is None:
        return None
    name = param.opts[0] if param.opts[0].startswith("-") else param.metavar or param.opts[0]
    return f"{name} {found['input']!r} {reason.format(**found.get('ctx', {}))}"


__all__ = ["app", "run"]
