"""Tests of `taxi_assets.automation`: what is asked for, when, and what is told."""
