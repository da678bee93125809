"""Why a film was found, in sentences made from its hit alone."""

from __future__ import annotations

from collections.abc import Iterator

from catalog.text import plural
from keyart.results import Hit, SimilarFilms


def reasons(result: SimilarFilms, hit: Hit) -> tuple[str, ...]:
    """Explain a hit in sentences: its similarity by looks, ratings and content, and how much each counts."""
    return (
        *_mix_reasons(result, hit),
        _visual_reason(result, hit),
        *_rating_reasons(result, hit),
        *_content_reasons(result, hit),
        *_share_reasons(result, hit),
        *_variety_reasons(result, hit),
    )


def _mix_reasons(result: SimilarFilms, hit: Hit) -> Iterator[str]:
    nearest = result.nearest(hit)
    cosines = list(zip((*result.query.like, *result.query.unlike), hit.to_each, strict=False))
    for film, cosine in cosines:
        if film is nearest:
            by = "by content" if hit.cf is None else "by ratings"
            yield f"Nearest to {film.label}, " + (f"{by}." if cosine is None else f"cosine {cosine:.3f}.")
    others = [f"{film.label} {cosine:.3f}" for film, cosine in cosines if film is not nearest and cosine is not None]
    if others:
        yield f"Cosine with {', '.join(others)}."


def _variety_reasons(result: SimilarFilms, hit: Hit) -> Iterator[str]:
    if not result.diverse or hit.to_earlier is None:
        return
    if hit.to_earlier <= 0:
        yield "Variety: it is like none of the films above it, so nothing counts against its score."
    else:
        yield (
            f"Variety: its cosine with the films above it is at most {hit.to_earlier:.3f}, which counts "
            f"{result.diverse:.0%} against its score."
        )


def _visual_reason(result: SimilarFilms, hit: Hit) -> str:
    if hit.visual is None:
        without = result.query.label if not result.n_visual else hit.label
        return f"Looks: not known; {without} has no features of a poster."
    posters = f"{result.n_visual:,} posters"
    if result.region:
        posters += f" in the region {','.join(map(str, result.region))}"
    rank = "the most alike" if hit.visual_rank == 1 else f"number {hit.visual_rank:,}"
    return f"Looks: {rank} of {posters} (cosine {hit.visual:.3f})."


def _rating_reasons(result: SimilarFilms, hit: Hit) -> Iterator[str]:
    # A region is compared by looks, however much is known of liking.
    if not result.region:
        yield _rating_reason(result, hit)


def _rating_reason(result: SimilarFilms, hit: Hit) -> str:
    parts = result.query.like or (result.query,)
    if all(part.movie_id is None for part in parts):
        what = "a description" if all(part.text is not None for part in parts) else "an image"
        return f"Liking: not known; {what} has no ratings."
    if hit.cf is None:
        if not result.query.n_ratings:
            return f"Liking: not known; nobody has rated {result.query.label}."
        if not hit.n_ratings:
            return "Liking: not known; nobody has rated it."
        return f"Liking: not known; it is not among the {result.n_cf:,} films nearest by ratings."
    if hit.cf_rank == 1:
        place = f"the nearest of {result.n_cf:,} films by ratings"
    else:
        place = f"number {hit.cf_rank:,} of the {result.n_cf:,} films nearest by ratings"
    if result.n_visual:
        return f"Liking: {place}, which is worth {hit.cf:.3f} on the scale of looks."
    return f"Liking: {place} (similarity {hit.cf:.3f})."


def _content_reasons(result: SimilarFilms, hit: Hit) -> Iterator[str]:
    if hit.content is None:
        return
    place = "the nearest" if hit.content_rank == 1 else f"number {hit.content_rank:,}"
    common = f"in common: {', '.join(hit.in_common)}; " if hit.in_common else ""
    scale = "on the scale of looks" if result.n_visual else "on the scale of the score"
    yield f"Content: {common}{place} of {result.n_content:,} films, which is worth {hit.content:.3f} {scale}."


def _share_reasons(result: SimilarFilms, hit: Hit) -> Iterator[str]:
    if hit.content_share:
        yield from _shares_of_three(result, hit)
        return
    of_ratings = 1 - hit.alpha
    if of_ratings == 0:
        yield "Looks alone count" + (", as a region was asked about." if result.region else ".")
    elif of_ratings == 1:
        yield "Ratings alone count."
    elif result.alpha != "auto":
        yield f"Ratings count {of_ratings:.0%}, as was asked for."
    elif hit.cf is None:
        rated = "the rarest of the films asked about" if result.query.like else result.query.label
        yield (
            f"Ratings count {of_ratings:.0%}, as {rated} has "
            f"{plural(result.query.n_ratings, 'rating')}; what is not known of liking counts as for a typical film."
        )
    else:
        rarer = min(hit.n_ratings, result.query.n_ratings)
        rarest = "rarest of these films" if result.query.like else "rarer of the two films"
        yield f"Ratings count {of_ratings:.0%}: the {rarest} has {plural(rarer, 'rating')}."
        if hit.visual is None:
            yield "What is not known of looks counts as for a typical film."


def _shares_of_three(result: SimilarFilms, hit: Hit) -> Iterator[str]:
    if hit.content_share == 1:
        yield "Content alone counts."
        return
    rest = 1 - hit.content_share
    shares = {"looks": hit.alpha * rest, "ratings": (1 - hit.alpha) * rest, "content": hit.content_share}
    listed = ", ".join(f"{name} {share:.0%}" for name, share in shares.items() if share)
    yield f"Of the score, {listed}" + (", as was asked for." if result.content != "auto" else ".")
    unknown = [name for name, value in (("looks", hit.visual), ("liking", hit.cf)) if value is None]
    if unknown and (hit.visual is not None or result.n_visual):
        yield f"What is not known of {' and '.join(unknown)} counts as for a typical film."
