"""The index: films by the cosine of their features.

May import `catalog`; never `posters`, `features`, `cf` or `keyart`. It exchanges ids and arrays only.
"""
