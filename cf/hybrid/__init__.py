"""Blends visual similarity with item similarity: blending, calibration and tuning."""
