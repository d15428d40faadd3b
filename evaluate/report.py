"""The report: one HTML file that needs no network and no script.

Every feature adds a Section: a title, a template of this folder, and what the template is given.
All texts are escaped, since names of files and classes come from the user's data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from flawsmith import __version__
from flawsmith.data.images import write_bytes
from flawsmith.data.writing import make_folder
from flawsmith.errors import InputError, OutputError

# By this a report is known as one.
MARK = b'<meta name="generator" content="flawsmith">'


@dataclass(frozen=True)
class Fact:
    """One figure of the summary: what it is, its value, and a short remark."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Section:
    """One part of the report: ``template`` is a file of this folder, rendered with ``context``.

    Its headings start at h3; the title becomes the h2 above it. lead: it stands above the summary
    and the contents, not among the others; warning: a text above everything on the page.
    """

    title: str
    template: str
    context: Mapping[str, Any] = field(default_factory=dict)
    lead: bool = False
    warning: str = ""


def check_report(path: Path, folders: Sequence[Path]) -> None:
    """Raise before a long job what would make its report fail, or cost the user a file.

    folders: of the user's data; a report is not written into those.
    """
    target = path.resolve()
    for folder in folders:
        if target.is_relative_to(folder.resolve()):
            raise InputError(
                f"the report would lie in the data folder {folder}",
                where=path,
                mend="choose another place",
            )
    if path.exists() and not _is_report(path):
        raise InputError("it exists and is no report of flawsmith", where=path, mend="another name")
    make_folder(path.parent)


def _is_report(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return MARK in file.read(4096)
    except OSError:
        return False


def write_report(
    path: Path, *, title: str, summary: Sequence[Fact], sections: Sequence[Section]
) -> None:
    """Write the report whole under its name; raises OutputError when that fails."""
    page = render_report(title=title, summary=summary, sections=sections)
    make_folder(path.parent)
    new = path.with_name(path.name + ".new")
    # A file name may hold bytes that are no text; they must not cost the user the report.
    write_bytes(new, page.encode("utf-8", "replace"))
    try:
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def render_report(*, title: str, summary: Sequence[Fact], sections: Sequence[Section]) -> str:
    """Return the report as one HTML text."""
    env = environment()
    body = [section for section in sections if not section.lead]
    page = env.get_template("report.html.j2")
    return page.render(
        title=title,
        summary=summary,
        warnings=[section.warning for section in sections if section.warning],
        leads=_parts(env, [section for section in sections if section.lead], "lead"),
        sections=_parts(env, body, "section"),
        version=__version__,
    )


def _parts(env: Environment, sections: Sequence[Section], prefix: str) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{prefix}-{number}",
            "title": section.title,
            "body": Markup(env.get_template(section.template).render(section.context)),
        }
        for number, section in enumerate(sections, 1)
    ]


def environment() -> Environment:
    """Return the templates' environment: everything escaped, unknown names are errors."""
    env = Environment(
        loader=FileSystemLoader(str(files("flawsmith.evaluate"))),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    env.filters["count"] = count
    env.filters["share"] = share
    env.filters["css"] = css_colour
    return env


def count(value: int) -> str:
    """Return a whole number with commas between the thousands."""
    return f"{value:,}"


def share(part: int, whole: int) -> str:
    """Return ``part`` of ``whole`` in per cent, a dash for nothing of nothing."""
    return f"{100 * part / whole:.0f}%" if whole else "–"


def css_colour(colour: tuple[int, int, int]) -> str:
    """Return an RGB colour as a hexadecimal CSS value."""
    return "#{:02x}{:02x}{:02x}".format(*colour)
