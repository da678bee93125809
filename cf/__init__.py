"""Collaborative filtering: ratings, item similarity, and the blend with what posters look like.

May import `catalog`; never `posters`, `features`, `index` or `keyart`. It exchanges ids and arrays only.
"""
