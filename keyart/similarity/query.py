"""What similarity is asked about: images, descriptions, and the options of a query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from catalog.film import Film
from catalog.filters import Filter
from catalog.image_formats import MAX_IMAGE_BYTES
from catalog.io.files import read_bytes
from features.framing import Framing, Resize
from features.identity import Identity
from features.images import read_image
from index.region import Region
from keyart.results import Alpha, ContentShare

Embedding = npt.NDArray[np.float32]


class Image:
    """An image file. It remembers its pixels and its embedding once they are computed.

    Parameters
    ----------
    source : str, Path or bytes
        The path of a JPEG, PNG, WebP, GIF, AVIF, TIFF or BMP file, or the content of one.
    name : str, optional
        What messages and results call it; by default the file's name, or "image" for content.

    Examples
    --------
    >>> engine.similar(keyart.Image("poster.jpg"))  # doctest: +SKIP
    """

    def __init__(self, source: str | Path | bytes, name: str | None = None) -> None:
        if not isinstance(source, str | Path | bytes):
            raise TypeError(f"expected the path or the content of an image, received {type(source).__name__}")
        self._source = source if isinstance(source, bytes) else Path(source)
        self.path = None if isinstance(self._source, bytes) else self._source
        self.name = name or (self.path.name if self.path else "image")
        self._lock = RLock()
        self._pixels: dict[Framing, npt.NDArray[np.uint8]] = {}
        self._embeddings: dict[Identity, Embedding] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and self._source == other._source

    def __hash__(self) -> int:
        return hash(self._source)

    def __str__(self) -> str:
        return str(self.path or self.name)

    def __repr__(self) -> str:
        return f"Image({self.name!r})"

    def read_bytes(self) -> bytes:
        """Return the content of the file.

        Returns
        -------
        bytes
            As it is, not decoded.

        Raises
        ------
        OSError
            The file cannot be read.
        DataError
            It is no file, or has more than 64 MiB.
        """
        return self._source if isinstance(self._source, bytes) else read_bytes(self._source, MAX_IMAGE_BYTES)

    def pixels(self, resize: str | Framing = "antialias") -> npt.NDArray[np.uint8]:
        """Decode the image and bring it to the size that networks take.

        Parameters
        ----------
        resize : {"antialias", "nearest"} or Framing, default "antialias"
            How it is resized to 224 × 224 pixels, where the aspect ratio is not kept; or an encoder's own framing.

        Returns
        -------
        ndarray of shape (height, width, 3), uint8
            Red, green, blue.

        Raises
        ------
        DataError
            The file is missing or no image, is cut short, or unpacks to an absurd size.
        """
        kind = resize if isinstance(resize, Framing) else Resize(resize).applied_to(Framing())
        with self._lock:
            if kind not in self._pixels:
                name = None if self.path else self.name
                self._pixels[kind] = read_image(self._source, kind, name)[0]
            return self._pixels[kind]

    def embedding_of(self, identity: Identity) -> Embedding | None:
        """Return the remembered embedding.

        Parameters
        ----------
        identity : Identity
            Of the encoder.

        Returns
        -------
        ndarray of shape (n_features,), float32, or None
            None where that encoder has not seen the image yet.
        """
        return self._embeddings.get(identity)

    def remember(self, identity: Identity, embedding: Embedding) -> None:
        """Remember an embedding.

        Parameters
        ----------
        identity : Identity
            Of the encoder.
        embedding : ndarray of shape (n_features,), float32
            What it gave.
        """
        self._embeddings[identity] = embedding


ImageSource = Image | str | Path | bytes
"""An image, the path of its file, or its content."""


def as_image(source: ImageSource) -> Image:
    """Wrap a path or content as an image."""
    return source if isinstance(source, Image) else Image(source)


@dataclass(frozen=True)
class Text:
    """A description of posters that are sought for, as "a lone figure under an orange sky".

    It takes an encoder that was trained on images and words together; see docs/text.md.

    Parameters
    ----------
    words : str
        The description. What is beyond the number of tokens that the encoder reads is left out, which a note says.

    Raises
    ------
    TypeError
        `words` is no text.
    ValueError
        `words` is blank.

    Examples
    --------
    >>> engine.similar(keyart.Text("red moon"))  # doctest: +SKIP
    """

    words: str

    def __post_init__(self) -> None:
        if not isinstance(self.words, str):
            raise TypeError(f"a Text takes words, received {type(self.words).__name__}")
        # Python decodes invalid UTF-8 on a command line to lone surrogates, which tokenizers refuse.
        words = self.words.encode("utf-8", "replace").decode()
        object.__setattr__(self, "words", " ".join(words.split()))
        if not self.words:
            raise ValueError('a Text takes words, as in Text("red moon"), received none')

    def __str__(self) -> str:
        return self.words


FilmName = str | int | Film
"""A title, a movie_id or a film."""

MixPart = FilmName | Image | Text | Path | bytes
"""What a `Mix` takes: a film, a description, or an image, the path of its file, or its content."""


@dataclass(frozen=True, init=False)
class Mix:
    """Several films, images and descriptions as one query: looks like all of these, and not like those.

    Parameters
    ----------
    like : str, int, Film, Image, Text, Path, bytes or a sequence of these
        What is sought for, one at least: titles (with or without year), movie_ids or films; images, the paths of
        their files, or their content; or descriptions. A str is a title, never a path or a description.
    unlike : str, int, Film, Image, Text, Path, bytes or a sequence of these, default ()
        Films, images and descriptions whose looks are to be avoided.

    Raises
    ------
    TypeError
        Something else is named.
    ValueError
        `like` is empty.

    Examples
    --------
    >>> engine.similar(keyart.Mix(["Heat", "Ronin"], unlike="Taken"), diverse=0.3)  # doctest: +SKIP
    >>> engine.similar(keyart.Mix(["Heat", keyart.Image("poster.jpg")]))  # doctest: +SKIP
    >>> engine.similar(keyart.Mix(["Heat", keyart.Text("red moon")], unlike=keyart.Text("a face")))  # doctest: +SKIP
    """

    like: tuple[FilmName | Image | Text, ...]
    unlike: tuple[FilmName | Image | Text, ...]

    def __init__(self, like: MixPart | Iterable[MixPart], unlike: MixPart | Iterable[MixPart] = ()) -> None:
        object.__setattr__(self, "like", _parts_named(like))
        object.__setattr__(self, "unlike", _parts_named(unlike))
        if not self.like:
            raise ValueError("a Mix takes at least one film, image or description that is sought for, received none")

    @property
    def images(self) -> tuple[Image, ...]:
        """Its images."""
        return tuple(one for one in (*self.like, *self.unlike) if isinstance(one, Image))

    @property
    def texts(self) -> tuple[Text, ...]:
        """Its descriptions."""
        return tuple(one for one in (*self.like, *self.unlike) if isinstance(one, Text))


def _parts_named(parts: MixPart | Iterable[MixPart]) -> tuple[FilmName | Image | Text, ...]:
    listed = tuple(parts) if isinstance(parts, Iterable) and not isinstance(parts, str | bytes) else (parts,)
    return tuple(as_image(one) if isinstance(one, Path | bytes) else _checked_part(one) for one in listed)


def _checked_part(part: object) -> FilmName | Image | Text:
    if isinstance(part, bool) or not isinstance(part, str | int | np.integer | Film | Image | Text):
        raise TypeError(
            f"a Mix takes titles, movie_ids, films, images and descriptions, received {type(part).__name__}"
        )
    return part  # type: ignore[return-value]  # a NumPy integer is as good as an int


@dataclass(frozen=True)
class SimilarOptions:
    """How many similar films are wanted, which ones, and how much looks, ratings and content count.

    Parameters
    ----------
    k : int, default 10
        How many films; fewer are returned where there are fewer.
    alpha : float in [0, 1] or "auto", default "auto"
        The visual share: 1 for looks alone, 0 for ratings alone. "auto" grows as a film's ratings thin out and is 1
        for a film that nobody has rated. Images, descriptions and embeddings have no ratings: looks alone count where
        no film is sought for, and 0 is refused.
    filter : Filter, optional
        Which films may be found; k of them are, where there are k.
    merge_duplicates : bool, default False
        Show films with the same artwork once, as the best of them.
    diverse : float in [0, 1], default 0
        The weight of variety: how much a film's likeness to the films above it counts against its score; see
        `keyart.similarity.diversity.diversify`.
    region : tuple of (int, int, int, int), optional
        Compare one region of the posters in place of the whole: x, y, width and height in cells of the grid of their
        features, 7 × 7 for VGG16, from 0 at the top left. Looks alone count then.
    content : float in [0, 1] or "auto", default "auto"
        The share of content: genres, tags, years, titles and people. 0 is for looks and ratings alone, 1 for content
        alone. "auto" counts it the more the less is known of a film, beside an `alpha` of "auto"; beside any other, and
        of images, descriptions and embeddings, it does not count.

    Raises
    ------
    ValueError
        `k`, `alpha`, `diverse`, `region` or `content` is out of range, or `alpha` or `content` lets anything but looks
        count beside a region.
    TypeError
        `filter` is of another type.
    """

    k: int = 10
    alpha: Alpha = "auto"
    filter: Filter | None = None
    merge_duplicates: bool = False
    diverse: float = 0.0
    region: tuple[int, int, int, int] | None = None
    content: ContentShare = "auto"

    def __post_init__(self) -> None:
        if isinstance(self.k, bool) or not isinstance(self.k, int | np.integer) or self.k < 1:
            raise ValueError(f"k should be a whole number of 1 or more, received {self.k!r}")
        object.__setattr__(self, "k", int(self.k))
        if self.filter is not None and not isinstance(self.filter, Filter):
            raise TypeError(f"filter should be a keyart.Filter, received {type(self.filter).__name__}")
        if not is_share(self.diverse):
            raise ValueError(f"diverse should be a number from 0 to 1, received {self.diverse!r}")
        object.__setattr__(self, "diverse", float(self.diverse))
        if self.alpha != "auto":
            if not is_share(self.alpha):
                raise ValueError(f"alpha should be 'auto' or a number from 0 to 1, received {self.alpha!r}")
            object.__setattr__(self, "alpha", float(self.alpha))
        if self.content != "auto":
            if not is_share(self.content):
                raise ValueError(f"content should be 'auto' or a number from 0 to 1, received {self.content!r}")
            object.__setattr__(self, "content", float(self.content))
        if self.region is not None:
            object.__setattr__(self, "region", _checked_region(self.region))
            if self.alpha not in ("auto", 1.0):
                raise ValueError(f"a region is compared by looks alone; leave alpha at auto, received {self.alpha}")
            if self.content not in ("auto", 0.0):
                raise ValueError(f"a region is compared by looks alone; leave content at auto, received {self.content}")
            object.__setattr__(self, "alpha", 1.0)
            object.__setattr__(self, "content", 0.0)

    @property
    def counts_content(self) -> bool:
        """Whether content counts where it is known: a share of its own is asked for, or all is left to auto."""
        return self.alpha == "auto" if self.content == "auto" else self.content > 0


def _checked_region(region: object) -> Region:
    numbers = tuple(region) if isinstance(region, Sequence) and not isinstance(region, str) else ()
    whole = [isinstance(number, int | np.integer) and not isinstance(number, bool) for number in numbers]
    if len(whole) != 4 or not all(whole):
        raise ValueError(f"region should be four whole numbers (x, y, width, height), received {region!r}")
    return Region(*map(int, numbers)).checked()


def is_share(value: object) -> bool:
    """Return whether a value is a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    return 0.0 <= float(value) <= 1.0


FilmOrImage = str | int | Film | Image | Text | Path | bytes | Embedding | Mix
"""A title, a movie_id, a film, an image (or its path or content), a description, an embedding of shape (n_features,),
or a `Mix`."""


def is_query(value: object) -> TypeGuard[FilmOrImage]:
    """Return whether a value is one query, and no list of them."""
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and value.dtype.kind in "fiu"
    return isinstance(value, str | int | np.integer | Film | Image | Text | Path | bytes | Mix) and not isinstance(
        value, bool
    )


def listed_queries(queries: object) -> list[FilmOrImage]:
    """Return several queries, or one, as a list; TypeError where one is something else."""
    is_list = isinstance(queries, Iterable) and not isinstance(queries, Mapping)
    if isinstance(queries, np.ndarray):
        is_list = queries.ndim > 0
    listed: list[Any] = list(queries) if is_list else [queries]  # type: ignore[call-overload]
    if wrong := [query for query in listed if not is_query(query)]:
        raise TypeError(
            "similar takes a title, a movie_id, a film, an image, a Text, an embedding, a Mix or a list of these, "
            f"received {type(wrong[0]).__name__}"
        )
    return listed
