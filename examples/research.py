"""All steps of a study: from MovieLens and a folder of posters to tables and images.

python examples/research.py ml-latest-small/ posters/ workspace/ [encoder]

The posters are named by movie_id (6.jpg). The encoder is vgg16 by default, whose weights are downloaded; those of
efficientnet-lite0 come with the extra `offline`.
"""

import sys
from pathlib import Path

import keyart
from keyart import pipeline

movielens, posters, home = sys.argv[1:4]
encoder = sys.argv[4] if len(sys.argv) > 4 else "vgg16"

print(pipeline.load(home, movielens))
print(pipeline.import_posters(home, posters, by="movie"))
print(pipeline.extract(home, keyart.ExtractOptions(encoder)))
print(pipeline.build(home))
for model in ("ease", "als"):
    print(pipeline.fit(home, model))
scores = pipeline.evaluate(home, ["most-rated", "ease", "als"])
print(scores.to_frame())
scores.plot("models.png")

with keyart.open(home) as engine:
    pictured = [film for film in engine.catalog if Path(posters, f"{film.movie_id}.jpg").is_file()]
    film = max(pictured, key=lambda film: film.n_ratings)
    result = engine.similar(film.movie_id, k=10, alpha=1.0)
    print(result.to_frame())
    keyart.write_contact_sheet(result, "look-alikes.png")
    keyart.write_heat_map(engine.explain(film.movie_id, result.hits[0].movie_id), "heat-map.png")
    print(engine.recommend(1, k=10).to_frame())
    (prediction,) = engine.cold_start([keyart.NewFilm(f"{posters}/{film.movie_id}.jpg", genres=film.genres)])
    print(prediction.expected, prediction.to_frame().head())
