"""The films of the demonstration. May import `catalog` only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from catalog.titles import parse_title

# Invented, every one. A line: title and year as MovieLens writes them, genres, audience, number of ratings.
# A film's style is how its poster looks, its audience is who likes it: the two are crossed on purpose.
_FILMS = {
    "swiss": (
        ("Glass Harbour, The (1987)", "Drama|Mystery", "festival", 131),
        ("Nine Gray Chairs (1969)", "Comedy|Drama", "festival", 22),
        ("Parallel Tuesday (2016)", "Romance|Sci-Fi", "romantics", 64),
        ("Zürich by Night Train (1974)", "Thriller", "nightowls", 118),
        ("Little Square Who Ran, The (1998)", "Animation|Children", "families", 41),
        ("Orbit Forms (2004)", "Sci-Fi", "explorers", 9),
        ("Café Perpendicular (2008)", "Comedy|Romance", "romantics", 88),
        ("Third Signature, The (1993)", "Crime|Thriller", "nightowls", 15),
    ),
    "noir": (
        ("Midnight Ledger (1947)", "Crime|Film-Noir", "nightowls", 104),
        ("Lamplighter's Secret, The (1951)", "Film-Noir|Romance", "romantics", 52),
        ("Detective Dumpling (2013)", "Children|Comedy|Mystery", "families", 96),
        ("Rain on Calder Street (1953)", "Drama|Film-Noir", "festival", 37),
        ("Umbrella Cipher, The (1962)", "Adventure|Thriller", "explorers", 71),
        ("Señora Nocturne (1956)", "Drama|Film-Noir", "festival", 12),
        ("Velvet Stairwell (1950)", "Film-Noir|Thriller", "nightowls", 58),
        ("Last Ferry to Ostmark (1949)", "Adventure|Film-Noir", "explorers", 6),
    ),
    "space": (
        ("Ninth Moon of Ilex, The (1979)", "Adventure|Sci-Fi", "explorers", 198),
        ("Signal from Pale Harbour (2014)", "Sci-Fi|Thriller", "nightowls", 83),
        ("Cosmonaut's Goldfish, The (2009)", "Children|Comedy|Sci-Fi", "families", 67),
        ("Perihelion Waltz (1997)", "Romance|Sci-Fi", "romantics", 110),
        ("Dust Between Suns (1983)", "Drama|Sci-Fi", "festival", 46),
        ("Airlock Nineteen (1988)", "Horror|Sci-Fi", "nightowls", 27),
        ("Rocket Beneath the Stairs (2019)", "Animation|Children", "families", 0),
        ("Far Meridian (2002)", "Adventure|Sci-Fi", "explorers", 34),
    ),
    "linocut": (
        ("Salt and Barley (1964)", "Drama", "festival", 79),
        ("Saga of Hrafn the Slow, The (1978)", "Adventure|Fantasy", "explorers", 92),
        ("Wolf at Kestrel Mill, The (1985)", "Mystery|Thriller", "nightowls", 19),
        ("Three Hens and a Kingdom (1993)", "Children|Fantasy", "families", 55),
        ("November Tides (Marées de novembre, Les) (1971)", "Drama|Romance", "romantics", 30),
        ("Orchard of Crows (2006)", "Drama", "festival", 0),
        ("Inkmaker's Apprentice, The (1999)", "Adventure|Drama", "explorers", 24),
    ),
    "cartoon": (
        ("Pogo & Plum Save Thursday (2015)", "Animation|Children|Comedy", "families", 176),
        ("Biscuit Planet (2010)", "Animation|Children|Sci-Fi", "families", 74),
        ("Hedgehog Who Hummed, The (2001)", "Animation|Children|Musical", "families", 10),
        ("Marmalade Heist, The (2012)", "Animation|Comedy|Crime", "nightowls", 49),
        ("Love, Loudly (2018)", "Animation|Comedy|Romance", "romantics", 43),
        ("Balloon Republic (1996)", "Animation|Comedy|Drama", "festival", 61),
        ("Captain Noodle and the Sea of Socks (2007)", "Adventure|Animation", "explorers", 85),
        ("Éclair & Olive (2005)", "Animation|Romance", "romantics", 8),
    ),
    "horror": (
        ("Thing in the Granary, The (1981)", "Horror", "nightowls", 142),
        ("Seventh Tooth (1994)", "Horror|Thriller", "nightowls", 33),
        ("Hollow Psalm, The (2012)", "Drama|Horror", "festival", 40),
        ("Count Crumble's Sleepover (2003)", "Children|Comedy", "families", 57),
        ("Bride of Black Fen, The (1973)", "Horror|Romance", "romantics", 29),
        ("Crypt Runners (1990)", "Adventure|Horror", "explorers", 50),
        ("Whisper Cellar (2017)", "Horror|Mystery", "nightowls", 0),
    ),
    "pastel": (
        ("Letters to Saint-Éloi (1995)", "Drama|Romance", "romantics", 160),
        ("Summer of the Paper Boats, The (2008)", "Children|Drama", "families", 70),
        ("Where the Tide Forgets (2013)", "Drama", "festival", 99),
        ("Lighthouse for Two (1986)", "Comedy|Romance", "romantics", 20),
        ("Drowned Season, The (2001)", "Mystery|Thriller", "nightowls", 39),
        ("Mermaid Arithmetic (2016)", "Children|Fantasy", "families", 5),
        ("Beyond the Coral Gate (1991)", "Adventure|Romance", "explorers", 45),
    ),
    "cutout": (
        ("Anatomy of an Echo (1959)", "Drama|Mystery", "festival", 115),
        ("Man Who Sold Fridays, The (1966)", "Comedy", "festival", 17),
        ("Crooked Metronome, The (1961)", "Crime|Thriller", "nightowls", 66),
        ("Seven Red Keys (1965)", "Adventure|Mystery", "explorers", 76),
        ("Tangerine Avenue (1968)", "Comedy|Romance", "romantics", 0),
        ("Paper Tiger Parade (2000)", "Animation|Children", "families", 36),
        ("Midnight Ledger (2011)", "Crime|Drama", "nightowls", 3),
    ),
}
_WITHOUT_POSTER = "Velvet Stairwell (1950)"


@dataclass(frozen=True)
class DemoFilm:
    """A film that does not exist."""

    movie_id: int
    title: str
    year: int
    genres: tuple[str, ...]
    style: str
    audience: str
    n_ratings: int
    has_poster: bool
    take: int


@cache
def films() -> tuple[DemoFilm, ...]:
    """List the films of the demonstration."""
    rows = [(style, take, *row) for style, listed in _FILMS.items() for take, row in enumerate(listed)]
    return tuple(
        DemoFilm(
            movie_id=movie_id,
            title=title,
            year=parse_title(title).year or 0,
            genres=tuple(genres.split("|")),
            style=style,
            audience=audience,
            n_ratings=n_ratings,
            has_poster=title != _WITHOUT_POSTER,
            take=take,
        )
        for movie_id, (style, take, title, genres, audience, n_ratings) in enumerate(rows, start=1)
    )
