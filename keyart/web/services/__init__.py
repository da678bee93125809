"""What the routes call: plain functions of an open workspace, run in threads, that know nothing of HTTP."""
