"""Collaborative filtering: recommenders, their evaluation, the blend with visual similarity, and cold start."""
