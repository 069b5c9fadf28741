"""The plugin's options: on the command line, as EDGEQ_* variables, in pytest's ini-file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

_TRUE, _FALSE = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


@dataclass(frozen=True)
class PluginOption:
    """One option; `--edgeq-NAME`, `EDGEQ_NAME` and `edgeq_name` are the same."""

    name: str
    metavar: str
    help: str
    choices: tuple[str, ...] = ()
    is_path: bool = False

    @property
    def key(self) -> str:
        """Its name in the ini-file."""
        return f"edgeq_{self.name}"

    @property
    def variable(self) -> str:
        """Its variable."""
        return self.key.upper()

    @property
    def flag(self) -> str:
        """How it is written on the command line."""
        return f"--edgeq-{self.name}"


OPTIONS = {
    option.name: option
    for option in (
        PluginOption("target", "NAME", "a board to test on; may be said again: tests run on each"),
        PluginOption("host", "[USER@]HOST", "where the targets over SSH are"),
        PluginOption("fleet", "FILE", "a YAML list of boards: target, host, identity", (), True),
        PluginOption("recipe", "FILE", "what is deployed there", (), True),
        PluginOption("baseline", "NAME", "what edgeq_compare compares with; may have {target}"),
        PluginOption("gold", "NAME", "a baseline to measure first: is the board what it was?"),
        PluginOption("save", "NAME", "make the run this baseline, where its tests passed"),
        PluginOption("require", "", "what is missing fails its tests instead of skipping them"),
        PluginOption("unstable", "fail|skip", "what cannot be told  [fail]", ("fail", "skip")),
        PluginOption("metrics", "FILE", "write all figures as OpenMetrics", (), True),
    )
}
REPEATED, SWITCH = "target", "require"


def add(parser: pytest.Parser) -> None:
    """Have pytest know all of them."""
    group = parser.getgroup("edgeq", "tests on a device")
    for option in OPTIONS.values():
        told = f"{option.help}; also ${option.variable}, and {option.key} in the ini-file"
        if option.name == SWITCH:
            group.addoption(option.flag, action="store_true", default=None, help=told)
        else:
            action = "append" if option.name == REPEATED else "store"
            shown = option.metavar
            group.addoption(option.flag, action=action, default=None, metavar=shown, help=told)
        parser.addini(option.key, option.help, type="string", default="")


def check(config: pytest.Config) -> None:
    """UsageError for a word that is none of an option's, whether a test asks for it or not."""
    for option in OPTIONS.values():
        if option.choices:
            all_of(config, option.name)
    is_set(config, SWITCH)


def all_of(config: pytest.Config, name: str) -> tuple[str, ...]:
    """What was said for an option: on the command line, else by its variable or the ini-file.

    Variable and ini-file divide several by commas. A path stands for the folder it was said in.
    """
    option = OPTIONS[name]
    given = config.getoption(option.key)
    folder = config.invocation_params.dir
    if given is None and option.variable in os.environ:
        given = os.environ[option.variable]
    elif given is None:
        given = str(config.getini(option.key))
        folder = config.inipath.parent if config.inipath else config.rootpath
    if isinstance(given, str):
        given = given.split(",") if name == REPEATED else [given]
    elif not isinstance(given, list):
        given = [str(given)]
    words = [word.strip() for word in given if word.strip()]
    for word in words:
        if option.choices and word not in option.choices:
            known = " or ".join(option.choices)
            raise pytest.UsageError(f"{option.flag}: '{word}' is unknown; write {known}")
    if option.is_path:
        words = [str(folder / Path(word).expanduser()) for word in words]
    return tuple(words)


def one_of(config: pytest.Config, name: str) -> str | None:
    """The same where there can be one; None where nothing was said."""
    found = all_of(config, name)
    return found[-1] if found else None


def is_set(config: pytest.Config, name: str) -> bool:
    """Whether a switch is on."""
    word = (one_of(config, name) or "").lower()
    if word not in _TRUE + _FALSE:
        raise pytest.UsageError(f"{OPTIONS[name].variable}: '{word}' is neither yes nor no")
    return word in _TRUE
