"""Recommendations for one user: fitted models, new films among known ones, onboarding."""
