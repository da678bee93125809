"""Posters: fetched from TMDB or imported from files, verified, and stored with a state for every film."""
