"""The rules of docs/architecture.md that keep the house small, each held by a test."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.contract.checkout import (
    CONTRIB,
    CORE,
    PLUGINS,
    ROOT,
    imports,
    module_name,
    pyproject,
    shown,
    source_files,
    tree,
)

CORE_LINES = 300
PLUGIN_LINES = 400
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}

# What runs the gateway and is nobody's to build on.
INNER_CORE = ("app", "cli", "endpoint", "forward", "loading", "pipeline", "serving", "testing")


def entry_points() -> dict[str, str]:
    """The modules of all registered plugins and formats, by name."""
    groups = pyproject()["project"]["entry-points"].values()
    return {name: target.partition(":")[0] for group in groups for name, target in group.items()}


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def test_no_core_file_is_longer_than_300_lines() -> None:
    assert not longer_than(CORE_LINES, source_files(CORE)), "split by meaning"


def test_no_plugin_file_is_longer_than_400_lines() -> None:
    assert not longer_than(PLUGIN_LINES, source_files(PLUGINS, CONTRIB)), "split by meaning"


def longer_than(most: int, paths: list[Path]) -> dict[str, int]:
    lines = {shown(path): len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    return {name: count for name, count in lines.items() if count > most}


def test_modules_are_named_for_what_they_hold() -> None:
    sources = source_files(CORE, PLUGINS, CONTRIB, ROOT / "tests", ROOT / "benchmarks", ROOT / "examples")
    assert not [shown(path) for path in sources if {*path.relative_to(ROOT).with_suffix("").parts} & BANNED_NAMES]


def test_the_core_imports_no_plugin_and_names_no_plugin_module() -> None:
    found = [
        f"{shown(path)}: {name}"
        for path in source_files(CORE)
        for name in (*imports(path), *strings(path))
        if name.startswith(("gateway_plugins", "gateway_contrib"))
    ]
    assert not found


def strings(path: Path) -> list[str]:
    nodes = ast.walk(tree(path))
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def test_plugins_import_only_public_modules_of_the_core() -> None:
    banned = [f"gateway.{name}" for name in INNER_CORE]
    found = [
        f"{shown(path)}: {name}"
        for path in source_files(PLUGINS, CONTRIB)
        for name in imports(path)
        if any(within(name, module) for module in banned) or (within(name, "gateway") and "._" in name)
    ]
    assert not found


def test_a_plugin_imports_no_other_plugin() -> None:
    """It may import formats, and modules of its own package that are no plugins themselves."""
    points = set(entry_points().values())
    found = []
    for path in source_files(PLUGINS, CONTRIB):
        own = module_name(path)
        package = own if path.name == "__init__.py" else own.rpartition(".")[0]
        for name in imports(path):
            if not (within(name, "gateway_plugins") or within(name, "gateway_contrib")):
                continue
            if within(name, "gateway_plugins.formats"):
                continue
            module = name if name in points else name.rpartition(".")[0]
            if not within(name, package) or (module in points and module != own):
                found.append(f"{shown(path)}: {name}")
    assert not found


def test_plugins_do_not_import_contrib() -> None:
    found = [shown(p) for p in source_files(PLUGINS) if any(within(name, "gateway_contrib") for name in imports(p))]
    assert not found


def test_no_task_is_started_without_keeping_a_reference_to_it() -> None:
    """The loop holds tasks weakly: one that nobody keeps can vanish in the middle of its work."""
    found = []
    for path in source_files(CORE, PLUGINS, CONTRIB, ROOT / "tests", ROOT / "examples", ROOT / "benchmarks"):
        groups = task_groups(tree(path))
        for node in ast.walk(tree(path)):
            value = dropped_value(node)
            if isinstance(value, ast.Call) and started_task(value, groups):
                found.append(f"{shown(path)}:{value.lineno}")
    assert not found


def dropped_value(node: ast.AST) -> ast.expr | None:
    if isinstance(node, ast.Expr):
        return node.value
    if isinstance(node, ast.Assign) and all(isinstance(t, ast.Name) and t.id == "_" for t in node.targets):
        return node.value
    return None


def started_task(call: ast.Call, groups: set[str]) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    owner = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    return name in ("create_task", "ensure_future") and owner not in groups


def task_groups(module: ast.Module) -> set[str]:
    """Names bound by ``async with asyncio.TaskGroup() as name``: a group keeps its tasks itself."""
    return {
        ast.unparse(item.optional_vars)
        for node in ast.walk(module)
        if isinstance(node, ast.AsyncWith)
        for item in node.items
        if item.optional_vars is not None and "TaskGroup" in ast.unparse(item.context_expr)
    }


def test_only_the_command_prints() -> None:
    quiet = [path for path in source_files(CORE, PLUGINS, CONTRIB) if not within(module_name(path), "gateway.cli")]
    found = [
        f"{shown(path)}:{node.lineno}"
        for path in quiet
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not found


def test_every_module_of_the_program_says_what_it_holds() -> None:
    sources = [path for path in source_files(CORE, PLUGINS, CONTRIB) if path.read_text(encoding="utf-8").strip()]
    assert not [shown(path) for path in sources if not ast.get_docstring(tree(path))]


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {path.parent for path in source_files(ROOT / "tests")}
    assert not [shown(folder) for folder in folders if not (folder / "__init__.py").is_file()]
