"""Tests of taxi_assets.source."""
