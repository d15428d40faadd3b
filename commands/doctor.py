"""``flawsmith doctor``: is this installation well?

Nothing of ``commands.common`` is used: it loads numpy and OpenCV, which may be what is broken.
"""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from flawsmith.doctor.findings import Section

WORDS = {"ok": "ok", "note": "note", "absent": "-", "wrong": "WRONG"}


@click.command("doctor")
@click.option(
    "--self-test/--no-self-test",
    "test",
    default=True,
    help="Also draw, paste, train a few steps and compute features: some 10 seconds.",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="NAME",
    help="Where the self-test's networks run: cpu, cuda, cuda:1, mps.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the result as JSON on standard output."
)
def command(test: bool, device: str, as_json: bool) -> None:
    """Look at this installation: packages, devices, weights, folders; and a short self-test.

    Each missing part is named with what it is needed for and the line that installs it. Exit code
    0: all that flawsmith needs works, whatever optional parts are missing; 2: something is wrong,
    and how to mend it is printed. Nothing is downloaded, and nothing left behind.

    \b
    Example:
      flawsmith doctor
      flawsmith doctor --no-self-test --json
    """
    from flawsmith.doctor.checkup import examine
    from flawsmith.doctor.findings import wrong
    from flawsmith.errors import InputError, printable

    sections = []
    for section in examine(device, test=test):
        sections.append(section)
        if not as_json:
            for line in _lines(section):
                click.echo(printable(line))
    faults = wrong(sections)
    if as_json:
        told = [asdict(section) for section in sections]
        click.echo(json.dumps({"well": not faults, "sections": told}, indent=2))
    if faults:
        names = ", ".join(fault.name for fault in faults)
        raise InputError(f"{len(faults)} wrong: {names}", mend="see WRONG above, or --json")
    if not as_json:
        click.echo("all is well")


def _lines(section: "Section") -> list[str]:
    lines = [section.title] + (["  ok     none"] if not section.findings else [])
    for one in section.findings:
        took = f"  ({one.seconds:.1f} s)" if one.seconds is not None else ""
        lines.append(f"  {WORDS[one.state]:<5}  {one.name}: {one.found}{took}")
        if one.serves and one.state != "ok":
            lines.append(f"           needed for: {one.serves}")
        if one.mend and one.state != "ok":
            lines.append(f"           mend: {one.mend}")
    return lines
