"""The code keeps its walls and its vocabulary: who may import whom, how large it may get, and which words it uses."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "taxi_assets"

MAX_MODULE_LINES = 300
MAX_PRIVATE_IMPORTS = 4

LAYERS = (
    {"months"},
    {"errors", "ledger_row", "progress", "records", "replacement"},
    {"contracts", "setting_types", "settings"},
    {"storage"},
    {"source"},
    {"transform"},
    {"reconciliation", "reports"},
    {
        *("assets", "automation", "checks", "definitions", "failures", "instance", "io_managers", "jobs"),
        *("names", "partitions", "resources", "schedules", "sensors"),
    },
    {"cli", "demo"},
)
"""The packages and modules of `taxi_assets`, from the bottom up: each may import its own layer and those below."""

DAGSTER_LAYER = 7

MAY_READ_SETTINGS = {"taxi_assets.reconciliation", "taxi_assets.source.factory", "taxi_assets.storage.factory"}
"""The modules below Dagster's layer that know `Settings`."""

PRIVATE_WORDS = (
    *("papers?", "shelf", "shelves", "shelving", "workrooms?", "rooms", "doors?", "glances?", "sheets?", "hopes"),
    *("patience", "patiently", "verdicts?", "judges?", "oddit(y|ies)", "recipes?", "desks?", "blames?", "eras?"),
    *("stations?", "pgcopy", "postgres_failures", "hand(ed|s)?_on", "told of"),
    *("materialis\\w+", "normalis\\w+", "recognis\\w+", "serialis\\w+", "initialis\\w+", "organis\\w+", "authoris\\w+"),
    *("colours?", "behaviours?", "neighbours?", "favours?", "honours?", "centres?", "catalogues?", "licences?"),
    *("taxi_assets\\.trips", "trips/"),
)
"""Words of this project's old private language, and British spellings. An underscore separates words."""

PRIVATE_NAMES = {
    *("whole", "number", "moment", "words", "meaning", "MEANING", "Layout", "News", "Round", "asking", "showing"),
    *("tell", "Landing", "Done", "LEAST", "LOADING", "NEWEST", "ROOM", "SECONDS", "engine", "why", "named"),
}
"""Names that no function, class or constant has."""

STORED = {
    r"[\"'`]ERA[\"'`]": "a rule of ruff",
    r"\"oddities\": \{|\"anomalies\": \"oddities\"": "a field of the records on disk",
    r"[\"'`]recipe[\"'`]|\brecipe (text|VARCHAR)\b|, recipe, loaded_at": "a field on disk, a column of month_loads",
}
"""Words that may stand because something outside the code carries them."""

EXEMPT = {
    "taxi_assets_tests/test_code.py": "it lists the words",
    "docs/data-dictionary.md": "TLC's own sentences",
    "taxi_assets/demo/zones.py": "TLC's own names",
}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports_of(module: str) -> Iterator[str]:
    """Yields what a module imports, at the top or in a function, except for type checkers."""
    pending: list[ast.AST] = [ast.parse(MODULES[module].read_text("utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            pending += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else str(node.module) for name in full)
        pending += ast.iter_child_nodes(node)


def top(module: str) -> str:
    """Returns the package or module right below `taxi_assets`."""
    return module.partition(".")[2].partition(".")[0]


def layer(module: str) -> int:
    return next(n for n, names in enumerate(LAYERS) if top(module) in names)


def cycle_in(graph: Mapping[str, set[str]]) -> list[str]:
    """Returns the nodes that are part of a cycle or lie between two, after stripping all others."""
    left = {node: set(targets) & graph.keys() - {node} for node, targets in graph.items()}
    while True:
        targets = set().union(*left.values()) if left else set()
        loose = {node for node in left if not left[node] or node not in targets}
        if not loose:
            return sorted(left)
        left = {node: left[node] - loose for node in left.keys() - loose}


# Walls


def test_every_module_has_a_layer() -> None:
    assert {top(module) for module in MODULES} - {""} <= set().union(*LAYERS)


def test_no_module_imports_a_layer_above_its_own() -> None:
    upward = [
        f"{module} imports {target}"
        for module in MODULES
        if top(module)
        for target in imports_of(module)
        if target in MODULES and top(target) and layer(target) > layer(module)
    ]
    assert upward == []


def test_there_is_no_import_cycle_of_modules() -> None:
    assert cycle_in({module: set(imports_of(module)) for module in MODULES}) == []


def test_there_is_no_import_cycle_of_packages() -> None:
    graph: dict[str, set[str]] = {}
    for module in MODULES:
        if top(module):
            targets = {top(target) for target in imports_of(module) if target in MODULES}
            graph.setdefault(top(module), set()).update(targets)
    assert cycle_in(graph) == []


def test_the_domain_knows_neither_dagster_nor_settings() -> None:
    domain = [module for module in MODULES if top(module) and layer(module) < DAGSTER_LAYER]
    assert len(domain) > 30
    for module in domain:
        imported = set(imports_of(module))
        assert not [name for name in imported if name.partition(".")[0].startswith("dagster")], module
        if top(module) not in ("settings", "setting_types") and module not in MAY_READ_SETTINGS:
            assert "taxi_assets.settings" not in imported, module


def test_settings_import_only_months_and_errors() -> None:
    for module in ("taxi_assets.settings", "taxi_assets.setting_types"):
        ours = {name for name in imports_of(module) if name.startswith("taxi_assets")}
        assert ours <= {"taxi_assets.errors", "taxi_assets.months", "taxi_assets.setting_types"}


def test_private_parts_of_dagster_are_few_and_each_is_listed_with_its_reason() -> None:
    private = [
        (module, name)
        for module in MODULES
        for name in imports_of(module)
        if re.match(r"dagster\w*(\.\w+)*\._", name) or re.match(r"dagster\w*\._", name)
    ]
    assert len(private) <= MAX_PRIVATE_IMPORTS, private
    listed = (ROOT / "docs/architecture.md").read_text("utf-8")
    for module, name in private:
        assert f"`{name}`" in listed, f"{module} imports {name}"


# Size


def lengths() -> dict[str, int]:
    return {module: len(path.read_text("utf-8").splitlines()) for module, path in MODULES.items()}


def test_no_module_is_too_long() -> None:
    assert {module: lines for module, lines in lengths().items() if lines > MAX_MODULE_LINES} == {}


# Words


def texts() -> Iterator[Path]:
    """Yields the files that people read: code, tests, documents, configuration."""
    for folder in ("taxi_assets", "taxi_assets_tests", "docs", "deploy", "examples", "benchmarks", ".github"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".md", ".yaml", ".yml", ".jinja", ".json", ".toml"):
                yield path
    yield from sorted(ROOT.glob("*.md"))
    yield from (ROOT / name for name in (".env.example", "dagster.yaml", "Dockerfile", "Makefile", "pyproject.toml"))


@pytest.mark.parametrize("path", list(texts()), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_private_word_survives(path: Path) -> None:
    if path.relative_to(ROOT).as_posix() in EXEMPT:
        return
    words = re.compile(rf"(?<![a-z])(?:{'|'.join(PRIVATE_WORDS)})(?![a-z])", re.IGNORECASE)
    stored = re.compile("|".join(STORED))
    found = [
        f"{number}: {match[0]}: {line.strip()}"
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        for match in words.finditer(stored.sub("", line))
    ]
    assert found == []


def test_no_function_class_or_constant_has_a_private_name() -> None:
    found = []
    for path in sorted([*PACKAGE.rglob("*.py"), *(ROOT / "taxi_assets_tests").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = []
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names = [node.name]
            elif isinstance(node, ast.Assign):
                names = [target.id for target in node.targets if isinstance(target, ast.Name) and target.id.isupper()]
            found += [f"{path.relative_to(ROOT)}:{node.lineno} {name}" for name in names if name in PRIVATE_NAMES]
    assert found == []
