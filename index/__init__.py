"""Nearest films by the cosine of their features: `index.cosine.CosineIndex`, exact or by a shortlist."""
