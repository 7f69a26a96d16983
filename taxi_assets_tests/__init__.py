"""Tests: sentences about behaviour. The folders mirror the package; `servers` holds the real parts they run against."""
