// The films of the map, as columns; a film is known by its row here and by its movie_id to everybody else.
export class Films {
  constructor(map) {
    this.n = map.movie_ids.length;
    this.movieIds = map.movie_ids;
    this.mapX = Float32Array.from(map.x);
    this.mapY = Float32Array.from(map.y);
    // Where they are at the moment.
    this.x = this.mapX.slice();
    this.y = this.mapY.slice();
    this.cluster = map.cluster;
    this.year = map.year;
    this.title = map.title;
    this.genres = map.genres;
    this.genreNames = map.genre_names;
    this.clusters = map.clusters;
    this.sheets = map.sheets;
    this.cell = { width: map.cell_width, height: map.cell_height, small: map.small, nColumns: map.n_columns };
    this.notes = map.notes;
    this.rows = new Map(map.movie_ids.map((movieId, row) => [movieId, row]));
  }

  // How far films go to either side.
  reach(coordinates) {
    return coordinates.reduce((most, coordinate) => Math.max(most, Math.abs(coordinate)), 0);
  }

  label(row) {
    return this.year[row] ? `${this.title[row]} (${this.year[row]})` : this.title[row];
  }

  genresOf(row) {
    return this.genres[row].map((genre) => this.genreNames[genre]);
  }

  clusterOf(row) {
    return this.clusters[this.cluster[row]].name;
  }

  // What is exported of a film.
  record(row) {
    return {
      movie_id: this.movieIds[row], title: this.title[row], year: this.year[row],
      genres: this.genresOf(row), cluster: this.clusterOf(row),
    };
  }
}
