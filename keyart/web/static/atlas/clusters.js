// The clusters as a list, for whoever does not see the map, or would rather read.
import { count, english } from "../words.js";

export function listClusters(list, films) {
  list.replaceChildren(...films.clusters.map((cluster) => {
    const item = document.createElement("li");
    const name = document.createElement("strong");
    name.append(english(cluster.name));
    const n = Object.assign(document.createElement("span"), { textContent: `${count(cluster.n_films, "{n} film, such as", "{n} films, such as")} ` });
    item.append(name, n);
    cluster.typical.filter((movieId) => films.rows.has(movieId)).forEach((movieId, number) => {
      const link = Object.assign(document.createElement("a"), { href: `./?film=${movieId}`, textContent: films.label(films.rows.get(movieId)) });
      item.append(number ? ", " : "", link);
    });
    return item;
  }));
}
