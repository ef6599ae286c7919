"""The frame of a page: a self-contained HTML file with its style sheet and no scripts."""

from students.report.markup import Child, Markup, tag
from students.report.style import STYLE


def document(title: str, *body: Child, style: str = "") -> str:
    """A whole page; `style` is appended to the style sheet of all pages."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        Markup(f"<style>{STYLE}{style}</style>"),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', tag('main', *body)), lang='en')}\n"
