"""Which runs are ended at start-up: those whose process is gone, and no others."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import dagster as dg
import pytest

from taxi_assets.instance import recovery
from taxi_assets.instance.recovery import end_dead_runs
from taxi_assets.instance.runs import PID_TAG
from taxi_assets_tests.automation.daemon import wait_for
from taxi_assets_tests.automation.origins import origin_of
from taxi_assets_tests.automation.world import World
from taxi_assets_tests.servers.http_source import stall


@pytest.fixture
def working(world: World) -> Iterator[subprocess.Popen[bytes]]:
    """Run `taxi-assets run` on the world's instance, as far as its download, where it hangs."""
    world.publish("yellow", "2023-01")
    path = world.path("yellow", "2023-01")
    world.site.orders[path].append(stall(60, world.site.files[path], 100))
    address = f"{world.site.url}/{{dataset}}_{{year}}-{{month:02}}.csv.gz"
    process = subprocess.Popen(
        [sys.executable, "-m", "taxi_assets.cli.main", "run", "yellow", "2023-01"],
        env={
            **os.environ,
            "TAXI_CSV_URL": address,
            "TAXI_SOURCE": "csv",
            "DAGSTER_HOME": world.instance.root_directory,
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: world.site.asked[path], "the download")
        yield process
    finally:
        process.kill()
        process.wait()


def started(world: World) -> list[dg.DagsterRun]:
    return list(world.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])))


def slots(world: World) -> int:
    return len(world.instance.event_log_storage.get_concurrency_info("source").claimed_slots)


def test_a_run_whose_process_is_gone_is_ended_its_slots_freed_and_its_months_requested_again(
    world: World, working: subprocess.Popen[bytes]
) -> None:
    (run,) = started(world)
    assert slots(world) == 1
    assert end_dead_runs(world.instance) == []  # it lives
    working.kill()
    working.wait()
    (recovered,) = end_dead_runs(world.instance)
    assert (recovered.run_id, recovered.subject, recovered.again) == (run.run_id, "yellow 2023-01", False)
    ended = world.instance.get_run_by_id(run.run_id)
    assert ended
    assert ended.status == dg.DagsterRunStatus.FAILURE
    assert ended.tags["dagster/will_retry"] == "true"  # what the daemon looks for
    assert slots(world) == 0
    assert end_dead_runs(world.instance) == []


def test_a_run_of_a_command_that_was_stopped_before_it_began_is_ended(world: World) -> None:
    job, not_started = world.definitions.resolve_job_def("yellow_everything"), dg.DagsterRunStatus.NOT_STARTED
    with (
        subprocess.Popen([sys.executable, "-c", "pass"]) as gone,
        subprocess.Popen([sys.executable, "-c", "input()  # taxi_assets"], stdin=subprocess.PIPE) as living,
    ):
        gone.wait()
        runs = [
            world.instance.create_run_for_job(job, status=not_started, tags=tags, remote_job_origin=origin)
            for tags, origin in (
                ({PID_TAG: str(gone.pid)}, None),
                ({PID_TAG: str(living.pid)}, None),
                ({PID_TAG: str(gone.pid)}, origin_of("yellow_everything")),  # a run that is re-executed inherits tags
                ({}, None),
            )
        ]
        recovered = end_dead_runs(world.instance, [dg.DagsterRunStatus.STARTED])
        living.communicate()
    assert [run.run_id for run in recovered] == [runs[0].run_id]
    left = world.instance.get_runs(dg.RunsFilter(statuses=[not_started]))
    assert {run.run_id for run in left} == {run.run_id for run in runs[1:]}


def test_a_clock_that_is_set_forward_does_not_make_a_living_run_dead(
    world: World, working: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + 60)  # what the run has logged stays as the clock was then
    assert end_dead_runs(world.instance) == []


def test_a_process_that_took_the_number_of_a_dead_one_is_not_taken_for_it() -> None:
    assert not recovery._is_alive(os.getpid())  # as in a container, where each start has the same numbers
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        assert not recovery._is_alive(process.pid)  # no command of Dagster's or of ours
        process.kill()


def test_a_killed_process_that_nobody_has_waited_for_is_dead() -> None:
    code = "import time; time.sleep(60)  # taxi_assets"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        wait_for(lambda: recovery._is_alive(process.pid), "it to start")
        process.kill()
        wait_for(lambda: not recovery._is_alive(process.pid), "it to be dead")
        assert process.returncode is None  # not waited for: its number is still taken
        os.kill(process.pid, 0)


def test_a_run_that_waits_in_the_queue_is_left_alone(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.publish("yellow", "2023-01")
    world.queue(world.schedule("yellow_missing_months", "2023-04-03T05:00"))
    assert end_dead_runs(world.instance) == []
