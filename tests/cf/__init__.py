"""Tests of `cf`."""
