"""The recommenders, a module each; `cf.registry` lists them by name."""
