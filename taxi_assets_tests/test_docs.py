"""What the documents say is so: links, paths and names lead somewhere, and texts are the code's own."""

from __future__ import annotations

import ast
import functools
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import dagster as dg
import pytest

from taxi_assets.contracts import DATASETS
from taxi_assets.settings import Settings, setting_variables
from taxi_assets_tests.documents import PAGES, ROOT, prose_of, quoted_in

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

NOT_OURS = {"TAXI_REAL_DATA", "TAXI_IMAGE", "TAXI_BQEMULATOR_ENV"}
"""Variables of tests and of the compose file, which no setting reads."""


RUN_TAGS = {"taxi_assets/alert_owed", "taxi_assets/alerted", "taxi_assets/recovered", "taxi_assets/host"}
"""Tags of runs that the documents name; they look like paths."""

NAMES_OF_OTHERS = {
    *("task_input_hash", "retry_delay_seconds", "write_gcs"),  # Prefect, and its tutorial
    *("read_csv", "to_datetime", "to_sql", "scan_csv", "scan_parquet", "sink_parquet", "DataFrame"),  # pandas, polars
    *("read_csv_duckdb", "read_parquet", "use_pyarrow"),  # dlt, DuckDB
    *("DockerRunLauncher", "K8sRunLauncher", "GCSComputeLogManager"),  # Dagster's integrations
    *("require_partition_filter", "kms_key_name"),  # BigQuery, deploy/terraform
}
"""Names in the documents that belong to libraries which the project need not import."""

JOBS = ("everything", "web_to_gcs", "gcs_to_bigquery", "monthly", "missing_months", "trips", "tripdata")
"""What follows a dataset's name in the names of jobs, schedules, tables and files."""

VARIABLES = ("TAXI_", "DAGSTER_", "GOOGLE_", "HTTPS_", "NO_", "POSTGRES_", "UI_", "RUN_", "DOCKER_", "SSL_", "PG")
"""Beginnings of environment variables; those of TAXI_ have a test of their own."""


@functools.cache
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Generated parts


def test_what_is_generated_is_up_to_date() -> None:
    for path, text in generator().files().items():
        assert path.read_text("utf-8") == text, f"{path.relative_to(ROOT)} is out of date: make docs"


def test_the_dictionary_says_of_a_column_what_a_reader_asks() -> None:
    text = (ROOT / "docs" / "data-dictionary.md").read_text("utf-8")
    assert "| `RatecodeID` | `int64` | all |" in text
    assert "`vts` → 2" in text
    assert "| `cbd_congestion_fee` | `float64` | 2025-01 to today |" in text
    assert "| `pickup_longitude` | `float64` | CSV: 2009-01 to 2016-06; Parquet: 2009-01 to 2010-12 |" in text


def test_the_settings_table_and_the_settings_name_each_other() -> None:
    listed = re.findall(r"^\| `(TAXI_\w+)` \|", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert listed == list(setting_variables())


@pytest.mark.parametrize("page", [*PAGES, ROOT / ".env.example"], ids=lambda page: page.name)
def test_every_variable_in_the_documents_is_a_setting(page: Path) -> None:
    known = set(setting_variables()) | NOT_OURS
    assert set(re.findall(r"\bTAXI_[A-Z_]*[A-Z]", page.read_text("utf-8"))) <= known


def test_the_template_of_settings_can_be_used_as_it_stands() -> None:
    lines = re.findall(r"^#? ?(TAXI_\w+)=(.*)$", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE)
    assert lines
    Settings.from_environment(dict(lines))


# Links and paths


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in slugs, f"{page.name} links to {target}"


@each_page
def test_every_path_in_the_documents_exists(page: Path) -> None:
    folders = r"taxi_assets|taxi_assets_tests|docs|deploy|examples|benchmarks|\.ci|\.github|\.devcontainer"
    files = r"dagster\.yaml|workspace\.yaml|Dockerfile|Makefile|pyproject\.toml|requirements\S*?"
    pattern = rf"`((?:{folders})/[\w./*-]+|{files})`"
    for path in set(re.findall(pattern, page.read_text("utf-8"))) - RUN_TAGS:
        assert list(ROOT.glob(path.rstrip("/"))), f"{page.name} names {path}"


# Names


@functools.cache
def names_in_the_code() -> dict[str, set[str]]:
    """Returns every class of the project with its attributes, and below an empty name every function and constant."""
    found: dict[str, set[str]] = {"": set()}
    for path in [*ROOT.glob("taxi_assets/**/*.py"), *ROOT.glob("taxi_assets_tests/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef):
                found[""].add(node.name)
            elif isinstance(node, ast.ClassDef):
                found.setdefault(node.name, set()).update(
                    part.name if isinstance(part, ast.FunctionDef) else part.target.id
                    for part in node.body
                    if isinstance(part, ast.FunctionDef)
                    or (isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name))
                )
            elif isinstance(node, ast.Assign):
                found[""].update(target.id for target in node.targets if isinstance(target, ast.Name))
    return found


@functools.cache
def words_in_the_code() -> set[str]:
    """Returns every word of the package, the deployment's files and the contracts."""
    paths = [path for folder in ("taxi_assets", "deploy") for path in (ROOT / folder).rglob("*.*")]
    paths += [ROOT / name for name in ("dagster.yaml", "pyproject.toml", "Makefile", "workspace.yaml")]
    return {word for path in paths if path.suffix != ".pyc" for word in re.findall(r"\w+", path.read_text("utf-8"))}


def resolves(name: str) -> bool:
    """Whether a class, function or constant of this name is the project's, Dagster's or a well-known library's."""
    ours = names_in_the_code()
    first, _, rest = name.removeprefix("dg.").partition(".")
    if first in ours:
        return not rest or rest in ours[first]
    if hasattr(dg, first):
        return not rest or hasattr(getattr(dg, first), rest)
    return (rest or first).rpartition(".")[2] in ours[""]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != "data-dictionary.md"], ids=lambda page: page.name
)
def test_every_name_in_the_documents_is_one_in_the_code(page: Path) -> None:
    for text in quoted_in(page):
        name, call, _ = text.partition("(")
        words = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
        if re.fullmatch(r"taxi_assets(\.\w+)+", text):
            assert module_or_name(text), f"{page.name} names {text}"
        elif re.fullmatch(words, name) and (call or re.fullmatch(r"[A-Z][a-z]+(?:[A-Z]\w*)+(?:\.\w+)?", text)):
            assert resolves(name) or name in NAMES_OF_OTHERS, f"{page.name} names {text}"
        elif re.fullmatch(r"_?[a-z0-9]+(?:_[a-z0-9]+)+|[A-Z]+(?:_[A-Z]+)+", text):
            known = words_in_the_code() | {f"{name}_{job}" for name in DATASETS for job in JOBS}
            assert text in known | NAMES_OF_OTHERS or text.startswith(VARIABLES), f"{page.name} names {text}"


def module_or_name(dotted: str) -> bool:
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:end])
        if path.is_dir() or path.with_suffix(".py").exists():
            return end == len(parts) or resolves(".".join(parts[end:]))
    return False


# Errors


def test_every_error_of_the_readme_is_one_of_the_codes() -> None:
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "taxi_assets").rglob("*.py"))
    source = re.sub(r"\"\s*\n\s*f?\"", "", source)  # a text that goes on in the next line
    source = re.sub(r"\{'[^']*' if [^{}]* else '([^']*)'\}", r"\1", source)  # one thing or several
    section = (ROOT / "README.md").read_text("utf-8").partition("## When something goes wrong")[2].partition("\n## ")[0]
    errors = re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
    assert len(errors) > 10
    for error in errors:
        for part in error.split("…"):
            assert part.strip(" :") in source, f"no error says {part!r}"


# CI


def test_ci_runs_what_a_person_runs_on_every_version_that_is_promised() -> None:
    text = (ROOT / ".github/workflows/ci.yml").read_text("utf-8")
    versions = re.findall(r'"(3\.\d+)"', text)
    readme = (ROOT / "README.md").read_text("utf-8")
    assert re.findall(r"\b3\.1\d\b", readme.partition("Needs git")[2].partition("\n")[0]) == versions
    assert f'requires-python = ">={versions[0]}"' in (ROOT / "pyproject.toml").read_text("utf-8")
    assert "- run: .ci/run" in text
    used = re.findall(r"uses: (\S+)", text)
    assert used
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action) for action in used)


def test_the_development_container_opens_to_the_demo() -> None:
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text("utf-8"))
    assert container["postCreateCommand"] == "make demo"
    assert container["forwardPorts"] == [3000]
