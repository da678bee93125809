"""Features: what a convolutional network says of a poster, 25,088 numbers.

May import `catalog`; never `posters`, `index`, `cf` or `keyart`. It exchanges ids, paths and arrays only.
"""
