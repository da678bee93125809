"""The demonstration: invented films, posters drawn by the program, ratings by simulated users.

`films.csv` lists the films, `design.json` the palettes of the styles and the words on posters; `keyart.demo.catalog`
writes all of it as a MovieLens folder.
"""
