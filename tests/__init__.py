"""The tests mirror the tree; what several of them share is imported from here."""
