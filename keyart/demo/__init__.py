"""The embedded demonstration: invented films, posters drawn by the program, ratings by made-up users.

`keyart.demo.catalog` is its face. Nothing is imported here, so that `keyart --help` pays for neither numpy nor
Pillow. May import `catalog` only.
"""
