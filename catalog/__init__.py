"""The floor: what a film is, how anything about films is kept, and what can go wrong.

Every other package may import this one; it imports none of them.
"""
