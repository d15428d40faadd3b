"""The command line: names and one-line helps; a command's module is imported when called."""

from importlib import import_module

import click

from flawsmith import __version__

# name: (module in flawsmith.commands, one line for --help)
COMMANDS = {
    "run": ("run", "From a folder of images to a larger data set and a report."),
    "augment": ("augment", "Make labelled samples from real ones: classical, paste, procedural."),
    "inpaint": ("inpaint", "Paint defects into clean images: train a generator, apply it."),
    "gen": ("gen", "Assemble battery plates from their parts, with masks."),
    "evaluate": ("evaluate", "Judge generated data: is it close to real data, and does it help?"),
    "filter": ("filter", "Tell which candidates are worth training with, and why not others."),
    "merge": ("merge", "Join the shards of a job that was divided with --shard."),
    "studio": ("studio", "A local page to paint defects, to review candidates, to see the report."),
    "data": ("data", "Look at, check, convert and split data sets; crop plates."),
    "demo": ("demo", "Draw a procedural sample data set; no download."),
    "doctor": ("doctor", "Is this installation well? What is missing, and how to get it."),
}


class LazyGroup(click.Group):
    """A group whose commands' modules load only when asked for, so that --help is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"flawsmith.commands.{COMMANDS[cmd_name][0]}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="flawsmith")
def cli() -> None:
    """Make labelled synthetic defect data for visual inspection, and show whether it helps.

    \b
    Example:
      flawsmith run photos/ out/          a folder in any known layout (see data info)
      flawsmith demo sample/ && flawsmith run sample/ out/
    """
