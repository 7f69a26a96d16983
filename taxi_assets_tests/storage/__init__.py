"""Tests of the places in which a month can land, each against a real server or file."""
