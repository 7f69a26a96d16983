"""Tests: sentences about behavior. The folders mirror the package; `servers` holds the real parts they run against."""
