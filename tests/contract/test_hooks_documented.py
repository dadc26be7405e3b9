"""Every hook is documented with its exact signature, says when it runs, and has a test named after it."""

from __future__ import annotations

import ast
import re

import pytest

from tests.contract.checkout import CORE, ROOT, source_files, tree


def hooks() -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """The specifications by name, as they are written in hookspecs.py."""
    functions = [
        node for node in tree(CORE / "hookspecs.py").body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return {f.name: f for f in functions if any("hookspec" in ast.unparse(mark) for mark in f.decorator_list)}


def signature(hook: ast.FunctionDef | ast.AsyncFunctionDef, first: str = "") -> str:
    """The hook's line without its body, with ``first`` before its parameters."""
    colour = "async def" if isinstance(hook, ast.AsyncFunctionDef) else "def"
    parameters = ", ".join(part for part in (first, ast.unparse(hook.args)) if part)
    assert hook.returns is not None
    return f"{colour} {hook.name}({parameters}) -> {ast.unparse(hook.returns)}"


def test_the_hooks_are_found() -> None:
    assert {"on_request", "route", "translate", "on_response", "on_complete"} <= set(hooks())


@pytest.mark.parametrize("name", hooks())
def test_the_hook_is_documented_with_its_exact_signature(name: str) -> None:
    text = " ".join((ROOT / "docs" / "plugins.md").read_text(encoding="utf-8").split())
    written = (signature(hooks()[name]), signature(hooks()[name], "self"))
    assert any(line in text for line in written), f"docs/plugins.md does not show: {written[0]}"


@pytest.mark.parametrize("name", hooks())
def test_the_hook_says_when_it_runs_and_takes_at_most_two_parameters(name: str) -> None:
    assert "When: " in (ast.get_docstring(hooks()[name]) or "")
    assert len(hooks()[name].args.args) <= 2


@pytest.mark.parametrize("name", hooks())
def test_the_hook_has_a_test_named_after_it(name: str) -> None:
    named = re.compile(rf"test_hook_{name}(_|$)")
    assert any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and named.match(node.name)
        for path in source_files(ROOT / "tests")
        for node in ast.walk(tree(path))
    ), f"no test function is named test_hook_{name}_…"
