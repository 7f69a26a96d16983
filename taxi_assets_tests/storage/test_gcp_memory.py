"""What a month of 500 MB takes of this machine's memory on its way into the bucket and the table."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_assets.storage.lake.gcs import GcsLake
from taxi_assets.storage.warehouse.bigquery import BigQueryWarehouse
from taxi_assets_tests.storage.months import cleaned_month

MB = 1_000_000
ROWS = 100
# The issue speaks of 500 MB; CI takes less. By hand: TAXI_OBJECT_MB=500 pytest …/test_gcp_memory.py
SIZE = int(os.environ.get("TAXI_OBJECT_MB", "100"))
MAX_QUESTIONS = min(300, SIZE * 2 // 3)

MEASURED = """
import re, sys
from pathlib import Path
from taxi_assets.storage.warehouse.bigquery import BigQueryWarehouse
from taxi_assets.storage.lake.gcs import GcsLake
from taxi_assets_tests.storage.months import JANUARY, YELLOW, access, record_of

storage, bigquery, bucket, schema, path, rows = sys.argv[1:]
lake, warehouse = GcsLake(access(storage_emulator=storage), bucket), BigQueryWarehouse(
    access(bigquery_emulator=bigquery), schema)
record = record_of(Path(path), "yellow", JANUARY, int(rows))
lake.describe_bucket(), warehouse.check_access()

def peak():  # not ru_maxrss, which a process has from the one that started it
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) * 1024 / 1e6

idle = peak()
loaded = warehouse.replace_month(YELLOW, lake.put(record, Path(path)))
print(loaded.rows, loaded.bytes, peak() - idle)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a process's own peak is read from Linux's /proc")
def test_a_month_takes_less_memory_than_its_size_and_one_of_500_mb_less_than_300_mb(
    lake: GcsLake, warehouse: BigQueryWarehouse, tmp_path: Path
) -> None:
    """In a process of its own, because this one's peak belongs to other tests. Its rows are few and wide."""
    _, small = cleaned_month(tmp_path, rows=ROWS)
    table = pq.read_table(small)
    path, flag = tmp_path / "wide.parquet", table.schema.get_field_index("store_and_fwd_flag")
    with pq.ParquetWriter(path, table.schema, compression="none", use_dictionary=False, write_statistics=False) as file:
        for row in range(ROWS):
            wide = pa.array(["N" * (SIZE * MB // ROWS)], pa.string())
            file.write_table(table.slice(row, 1).set_column(flag, table.schema.field(flag), wide))
    servers = (lake.access.storage_emulator, warehouse.access.bigquery_emulator)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *servers, lake.bucket, warehouse.schema, str(path), str(ROWS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows, size, above = done.stdout.split()
    assert (int(rows), int(size)) == (ROWS, path.stat().st_size)
    assert int(size) > SIZE * MB
    assert float(above) < MAX_QUESTIONS, above
