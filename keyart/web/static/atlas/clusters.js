// The clusters as a list, for whoever does not see the map, or would rather read.
export function listClusters(list, films) {
  list.replaceChildren(...films.clusters.map((cluster) => {
    const item = document.createElement("li");
    const name = Object.assign(document.createElement("strong"), { textContent: cluster.name });
    const n = Object.assign(document.createElement("span"), { textContent: `${cluster.n_films.toLocaleString("en")} films, such as ` });
    item.append(name, n);
    cluster.typical.filter((movieId) => films.rows.has(movieId)).forEach((movieId, number) => {
      const link = Object.assign(document.createElement("a"), { href: `./?film=${movieId}`, textContent: films.label(films.rows.get(movieId)) });
      item.append(number ? ", " : "", link);
    });
    return item;
  }));
}
