"""Every plugin that ships: a docstring, a strict Config, a known stage, and a constructor that touches nothing."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib.metadata import entry_points
from typing import get_args

import pytest

from gateway.format import Format
from gateway.plugin import STAGES, Plugin, Stage
from gateway.provider import Provider
from tests.contract.checkout import pyproject

POINTS = pyproject()["project"]["entry-points"]

# Name and target of each plugin: a class that has several names goes by its first.
REGISTERED = {**POINTS["gateway.plugins"], **POINTS["gateway.defaults"]}
PLUGIN_POINTS = {name: target for target, name in {t: n for n, t in reversed(REGISTERED.items())}.items()}

# The settings without which a plugin has a right to refuse.
NEEDED = {
    "gemini": 'api_key = "k"',
    "vertex": 'project = "p-1"',
    "anthropic": 'api_key = "sk-invented"',
    "api_keys": '[[plugins.api_keys.keys]]\nname = "someone"\nkey = "sk-invented"',
    "azure": 'base_url = "https://r.openai.azure.com"\napi_key = "key-of-nobody"',
    "bedrock": 'region = "us-east-1"',
    "cohere": 'api_key = "key-of-nobody"',
    "openai": 'api_key = "sk-invented"',
    "openai_compatible": 'base_url = "http://127.0.0.1:9/v1"',
}

# Runs in a process of its own, because an audit hook cannot be taken away again.
CONSTRUCT = """
import importlib, sys
from pathlib import Path
from gateway.config import parse_config
from gateway.plugin import PluginContext

watching = False
touched = []
WATCHED = ("open", "socket.", "sqlite3.", "subprocess.", "os.mkdir", "os.remove", "os.rename", "os.listdir")

def audit(event, arguments):
    if watching and event.startswith(WATCHED):
        touched.append(f"{event} {arguments[:1]}")

sys.addaudithook(audit)
target, toml = sys.argv[1:]
module, _, attribute = target.partition(":")
cls = getattr(importlib.import_module(module), attribute)
parsed = parse_config(toml, path=None, folder=Path("."))
reader = parsed.reader()
config = reader.struct(parsed.plugins[0].values, cls.Config, ("plugins", parsed.plugins[0].name))
assert not reader.problems, reader.problems
context = PluginContext(name=parsed.plugins[0].name, use=parsed.plugins[0].use)
watching = True
plugin = cls(config, context)
plugin.warnings()
watching = False
print(touched)
"""


def plugin_class(name: str) -> type[Plugin]:
    """The class behind an entry point of this package."""
    group = "gateway.plugins" if name in POINTS["gateway.plugins"] else "gateway.defaults"
    (point,) = entry_points(group=group, name=name)
    found = point.load()
    assert isinstance(found, type)
    assert issubclass(found, Plugin)
    return found


def test_the_installed_entry_points_are_those_of_pyproject() -> None:
    for group, names in POINTS.items():
        installed = {point.name: point.value for point in entry_points(group=group)}
        assert names.items() <= installed.items(), "the checkout was not installed since pyproject.toml changed"


@pytest.mark.parametrize("name", PLUGIN_POINTS)
def test_the_plugin_says_what_it_does(name: str) -> None:
    text = inspect.getdoc(plugin_class(name))
    assert text
    assert text != inspect.getdoc(Plugin)
    assert text != inspect.getdoc(Provider)


@pytest.mark.parametrize("name", PLUGIN_POINTS)
def test_the_plugin_stands_at_a_known_stage(name: str) -> None:
    assert plugin_class(name).stage in STAGES
    assert get_args(Stage) == STAGES


@pytest.mark.parametrize("name", PLUGIN_POINTS)
def test_the_plugin_has_a_strict_and_frozen_config(name: str) -> None:
    strict = plugin_class(name).Config.__struct_config__
    assert strict.forbid_unknown_fields
    assert strict.frozen


@pytest.mark.parametrize("name", PLUGIN_POINTS)
def test_the_plugin_is_constructed_without_touching_anything(name: str) -> None:
    toml = f"[plugins.{name}]\n{NEEDED.get(name, '')}\n"
    done = subprocess.run(
        [sys.executable, "-c", CONSTRUCT, PLUGIN_POINTS[name], toml],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", POINTS["gateway.formats"])
def test_the_format_has_the_name_that_it_is_registered_under(name: str) -> None:
    (point,) = entry_points(group="gateway.formats", name=name)
    made = point.load()()
    assert isinstance(made, Format)
    assert made.name == name
    assert inspect.getdoc(type(made))
