"""Tests of `catalog`."""
