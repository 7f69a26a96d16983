"""File primitives: a checksum is computed once for a file that does not change."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from taxi_assets.storage import files


def test_a_checksum_is_remembered_for_as_long_as_the_file_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def sha256_of(path: Path) -> str:
        read.append(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(files, "sha256_of", sha256_of)
    path, other = tmp_path / "object", tmp_path / "draft"
    path.write_bytes(b"first")
    assert files.remembered_sha256(path) == files.remembered_sha256(path) == hashlib.sha256(b"first").hexdigest()
    assert read == [path]
    other.write_bytes(b"later")  # as many bytes
    os.utime(other, ns=(0, 1))
    other.replace(path)
    assert files.remembered_sha256(path) == hashlib.sha256(b"later").hexdigest()
    path.write_bytes(b"worse")  # changed in place
    os.utime(path, ns=(0, 2))
    assert files.remembered_sha256(path) == hashlib.sha256(b"worse").hexdigest()
