"""What the documents say is so: commands work, links and paths lead somewhere, texts are the code's own."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import importlib.util
import io
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from rich.console import Console

from taxi_assets import progress
from taxi_assets.cli import main as cli
from taxi_assets.cli.progress import show_progress
from taxi_assets.demo.sample import write_month
from taxi_assets.months import Month, parse_months
from taxi_assets.settings import Settings, setting_variables

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

ELSEWHERE = {
    "demo": "make demo",  # in .ci/run
    "dev": "def test_a_month_is_materialised_by_clicking_and_shows_its_chart_and_its_report(",
    "provision": "def test_provision_makes_what_is_missing_once_and_prints_the_roles_that_runs_need(",
}
"""Commands of `taxi-assets` that are too long for this file, and what runs them."""

OF_OTHERS = {
    *("bash", "cd", "chmod", "cp", "curl", "echo", "eval", "export", "git", "ls", "mkdir", "mv", "rm", "sudo", "tar"),
    *("bq", "docker", "gcloud", "gsutil", "helm", "kubectl", "podman"),
    *("createdb", "createuser", "dropdb", "pg_dump", "pg_restore", "psql"),
}
"""Programs that are not this project's; what they do is theirs to test."""

NOT_OURS = {"TAXI_REAL_DATA", "TAXI_IMAGE", "TAXI_BQEMULATOR_ENV"}
"""Variables of tests and of the compose file, which no setting reads."""

FEW = 4
"""Months that a command may name to be run here; `taxi_assets_tests/test_run_command.py` runs longer ranges."""


@functools.cache
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands_in(page: Path) -> Iterator[list[str]]:
    """Yields the words of each command in a page's shell blocks, without settings before it."""
    for block in re.findall(
        r"^```(?:sh|bash|shell|console)\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    ):
        for line in block.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            words: list[str] = []
            for word in [*lexer, ";"]:
                if not set(word) <= set("();<>|&"):
                    words += [word] if words or not re.match(r"[A-Z_]+=", word) else []
                elif words:
                    yield words
                    words = []


def every_command() -> list[tuple[str, list[str]]]:
    """Returns the program and the arguments of every command, and of `taxi-assets`' and make's within sentences."""
    found = [words for page in PAGES for words in commands_in(page)]
    for page in PAGES:
        spoken = re.findall(
            r"`((?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?(?:taxi-assets|make) [^`…]+)`", page.read_text("utf-8")
        )
        said = [[word for word in shlex.split(text) if not re.match(r"(?:TAXI|DAGSTER)_\w+=", word)] for text in spoken]
        found += [[*words, "--help"] if words[1:] == ["run"] else words for words in said]
    return [(Path(words[0]).name, words[1:]) for words in found if "..." not in words]


def of_taxi_assets(*names: str) -> list[list[str]]:
    """Returns the arguments of every command of `taxi-assets` in documents and help texts that is named so."""
    found = [words for program, words in every_command() if program == "taxi-assets"] + examples()
    return [list(words) for words in dict.fromkeys(map(tuple, found)) if words[0] in names and "--help" not in words]


def examples() -> list[list[str]]:
    """Returns the arguments of every example in the help texts."""
    (commands,) = (action.choices for action in cli._parser()._actions if action.choices)
    lines = [line.split("  ")[0] for parser in commands.values() for line in parser.epilog.split("\n  ")[1:]]
    return [shlex.split(line)[1:] for line in lines]


# Generated parts


def test_what_is_generated_is_up_to_date() -> None:
    for path, text in generator().files().items():
        assert path.read_text("utf-8") == text, f"{path.relative_to(ROOT)} is out of date: make docs"


def test_the_dictionary_tells_of_a_column_what_a_reader_asks() -> None:
    text = (ROOT / "docs" / "data-dictionary.md").read_text("utf-8")
    assert "| `RatecodeID` | `int64` | all |" in text
    assert "`vts` → 2" in text
    assert "| `cbd_congestion_fee` | `float64` | 2025-01 to today |" in text
    assert "| `pickup_longitude` | `float64` | 2009-01 to 2016-06 |" in text


def test_the_settings_table_and_the_settings_name_each_other() -> None:
    notified = re.findall(r"^\| `(TAXI_\w+)` \|", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert notified == list(setting_variables())


@pytest.mark.parametrize("page", [*PAGES, ROOT / ".env.example"], ids=lambda page: page.name)
def test_every_variable_that_is_spoken_of_is_a_setting(page: Path) -> None:
    known = set(setting_variables()) | NOT_OURS
    assert set(re.findall(r"\bTAXI_[A-Z_]*[A-Z]", page.read_text("utf-8"))) <= known


def test_the_template_of_settings_can_be_used_as_it_stands() -> None:
    lines = re.findall(r"^#? ?(TAXI_\w+)=(.*)$", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE)
    assert lines
    Settings.from_environment(dict(lines))


# Links and paths


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
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
def test_every_path_that_is_spoken_of_exists(page: Path) -> None:
    rooms = "taxi_assets|taxi_assets_tests|docs|deploy|examples|benchmarks|\\.ci|\\.github"
    pattern = (
        rf"`((?:{rooms})/[\w./*-]+|dagster\.yaml|workspace\.yaml|Dockerfile|Makefile|pyproject\.toml|requirements\S*?)`"
    )
    for path in re.findall(pattern, page.read_text("utf-8")):
        assert list(ROOT.glob(path.rstrip("/"))), f"{page.name} speaks of {path}"


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


# Commands


def test_every_command_in_the_documents_is_known() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for program, words in every_command():
        if program == "make":
            assert {word for word in words if "=" not in word and word != "-n"} <= targets, f"make {words}"
        elif program == "taxi-assets":
            parses(words)
        elif program in ("python", "python3"):
            assert words[0] == "-m" or (ROOT / words[0]).exists(), f"{program} {words}"
        elif program == "pytest":
            assert all(Path(ROOT, word.partition("::")[0]).exists() for word in words if "/" in word), f"pytest {words}"
        elif program in ("dg", "dagster"):
            assert words in [["launch", *_LAUNCH], _CONCURRENCY] or page_of_others(program, words), f"{program} {words}"
        else:
            assert program in OF_OTHERS, f"{program} {words}: who runs this?"


_LAUNCH = ["--job", "yellow_web_to_gcs", "--partition", "2021-01-01"]
_CONCURRENCY = ["instance", "concurrency", "set", "warehouse", "4"]


def page_of_others(program: str, words: list[str]) -> bool:
    """Whether a command of Dagster's exists: its own help knows it."""
    plain = [word for word in words if not word.startswith("-")][:2]
    return any(
        subprocess.run([BIN / program, *plain[:n], "--help"], capture_output=True).returncode == 0 for n in (2, 1)
    )


def parses(words: list[str]) -> None:
    if "--help" in words:
        with pytest.raises(SystemExit, match=r"^0$"):
            cli._parser().parse_args(words)
    else:
        cli._parser().parse_args(words)


def test_the_commands_that_are_too_long_for_this_file_are_run_elsewhere() -> None:
    files = [
        ROOT / ".ci/run",
        *(path for path in ROOT.glob("taxi_assets_tests/**/test_*.py") if path != Path(__file__)),
    ]
    text = "\n".join(path.read_text("utf-8") for path in files)
    for test in ELSEWHERE.values():
        assert test in text


def test_every_command_has_examples_that_it_understands() -> None:
    (commands,) = (action.choices for action in cli._parser()._actions if action.choices)
    assert {words[0] for words in examples()} == set(commands)
    for words in examples():
        parses(words)
    rest = set(commands) - {"run", "report", "ledger", "query", "migrate", "doctor"}
    assert rest == set(ELSEWHERE)


@pytest.mark.slow
def test_the_commands_of_the_documents_do_what_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs, reports = of_taxi_assets("run"), of_taxi_assets("report")
    assert ["run", "yellow", "2021-01"] in runs
    runs = [words for words in runs if len(parse_months(words[2])) <= FEW]
    needed = [["run", *words[1:3]] for words in reports]
    for _, dataset, months, *_ in [*runs, *needed]:
        for month in parse_months(months):
            if not (path := tmp_path / f"{dataset}_{month}.csv").exists():
                write_month(path, dataset, month, 60)
    monkeypatch.setenv("TAXI_CSV_URL", f"file://{tmp_path}/{{dataset}}_{{year}}-{{month:02}}.csv")
    monkeypatch.setenv("TAXI_SOURCE", "csv")
    monkeypatch.setenv("TAXI_ZONES_URL", f"file://{tmp_path}/none.csv")
    monkeypatch.chdir(tmp_path)  # where there is no .env
    others = of_taxi_assets("ledger", "query", "migrate", "doctor")
    for words in [*runs, *needed, *reports, *others]:
        status = cli.main(words)
        said = capsys.readouterr()
        assert status == 0, (words, said)
        assert said.out, words
    script = [sys.executable, str(ROOT / "examples/analyst.py"), str(tmp_path / "data")]
    for dataset in ("yellow", "green"):
        done = subprocess.run([*script, "--dataset", dataset], capture_output=True, text=True, check=True)
        assert re.search(r"-\d\d-01\s+60\s", done.stdout), done.stdout
        assert "credit card" in done.stdout


@pytest.mark.slow
def test_dagsters_commands_of_the_documents_do_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_month(tmp_path / "yellow_2021-01.csv", "yellow", parse_months("2021-01")[0], 60)
    monkeypatch.setenv("TAXI_CSV_URL", f"file://{tmp_path}/{{dataset}}_{{year}}-{{month:02}}.csv")
    block = next(
        text
        for text in re.findall(r"```sh\n(.*?)```", (ROOT / "docs/from-prefect.md").read_text("utf-8"), re.DOTALL)
        if "dg launch" in text
    )
    there = block.replace("$PWD/data", str(tmp_path / "data")).replace(" data/", f" {tmp_path}/data/")
    done = subprocess.run(
        ["bash", "-ec", there.replace(".venv/bin/", f"{BIN}/")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "data/lake/data/yellow/yellow_tripdata_2021-01.parquet").exists()


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


# Errors


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["run", "yellow"], "the following arguments are required: months"),
        (["run", "purple", "2021-01"], "'purple' is not a dataset"),
        (["run", "yellow", "January"], "January"),
        (["query", "SELECT nonsense FROM nyc_tlc.yellow_trips"], "the warehouse is empty"),
        (["fly"], "invalid choice: 'fly'"),
        (["provision"], "there is nothing to provision in the local profile"),
    ],
)
def test_an_error_says_what_where_and_what_to_do(
    words: list[str], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) in (1, 2)
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.startswith("taxi-assets: ")
    assert what in first
    assert [line.partition(":")[0] for line in rest] in (["where", "what to do"], ["what to do"])


def test_a_query_that_is_no_sql_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import duckdb

    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    duckdb.connect(str(tmp_path / "data/warehouse.duckdb")).close()
    assert cli.main(["query", "SELEC 1"]) == 2
    said = capsys.readouterr().err
    assert 'the query cannot be answered: Parser Error: syntax error at or near "SELEC"' in said
    assert len(said.splitlines()) == 3


# The terminal


def test_a_bar_shows_what_has_come_how_fast_and_how_long_it_will_take() -> None:
    shown = io.StringIO()
    month = Month(2021, 1)
    with show_progress(Console(file=shown, force_terminal=True, width=150), "yellow", [month], 4):
        progress.tell(progress.Step("yellow", month, bytes=30_000_000, size=120_000_000))
        time.sleep(0.3)
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.getvalue()).splitlines()
    last = [line for line in lines if "yellow 2021-01, 30 of 120 MB" in line][-1]
    assert "12%" in last  # a quarter of the download, which is half of the month
    assert "MB/s" in last
    assert re.search(r"left: +[\d:-]+", last)


def in_a_terminal(*words: str, **settings: str) -> str:
    """Runs `taxi-assets` as a person does, at a terminal of 150 columns; returns what is shown."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 150, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "taxi_assets.cli.main", *words],
        env={**os.environ, "TERM": "xterm-256color", **settings},
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # Linux ends a terminal's output so
        while block := os.read(ours, 65536):
            shown += block
    os.close(ours)
    assert process.wait() == 0, shown
    return shown.decode()


@pytest.mark.slow
def test_the_bar_is_seen_while_dagster_works_and_colours_are_left_out_where_they_are_not_wanted(tmp_path: Path) -> None:
    for month in parse_months("2021-01..2021-04"):
        write_month(tmp_path / f"green_{month}.csv", "green", month, 2000)
    source = {"TAXI_CSV_URL": f"file://{tmp_path}/{{dataset}}_{{year}}-{{month:02}}.csv", "TAXI_SOURCE": "csv"}
    shown = in_a_terminal("run", "green", "2021-01..2021-04", **source)
    shares = {int(share) for share in re.findall(r"(\d+)%", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown))}
    assert len(shares - {0, 100}) >= 2, shares
    colour = re.compile(r"\x1b\[(?:\d+;)*(?:3|4|9)\d(?:;\d+)*m")
    assert colour.search(shown)
    assert not colour.search(in_a_terminal("ledger", NO_COLOR="1"))
    assert colour.search(in_a_terminal("ledger"))
