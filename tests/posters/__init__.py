"""Tests of `posters`, and a fake TMDB server for all tests."""
