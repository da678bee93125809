"""A workspace: the folder that holds everything, its contents, and what is built in it."""

from keyart.workspace.layout import Workspace

__all__ = ["Workspace"]
