"""Splits, metrics, and models compared on the same splits."""
