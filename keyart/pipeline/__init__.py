"""The steps that fill a workspace: load, fetch, import, extract, build, add."""
