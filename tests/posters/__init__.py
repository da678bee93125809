"""Tests of `posters`, and the server that plays TMDB for whoever needs it."""
