// The atlas: its address holds view, coloring and film; what is shown follows from these.
import { Camera } from "./atlas/camera.js";
import { showCard } from "./atlas/card.js";
import { listClusters } from "./atlas/clusters.js";
import { COLORINGS } from "./atlas/coloring.js";
import { load } from "./atlas/films.js";
import { gestures } from "./atlas/gestures.js";
import { Grid } from "./atlas/grid.js";
import { showLegend } from "./atlas/legend.js";
import { Painter } from "./atlas/painter.js";
import { Pictures } from "./atlas/pictures.js";
import { Selection } from "./atlas/selection.js";
import { combobox } from "./combobox.js";
import { at, get } from "./parts.js";

const CLOSE = 1.6; // times as near, or as far
const FLIGHT_MS = 450;

function begin(films) {
  const canvas = at("canvas");
  const camera = new Camera(films.n, films.reach(films.x), films.reach(films.y));
  const grid = new Grid(films.x, films.y);
  let waiting = false;
  const repaint = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame((now) => { waiting = false; painter.paint(now); });
  };
  const change = (what) => { painter.change(what); repaint(); };
  const pictures = new Pictures(films, change);
  const painter = new Painter(canvas, films, grid, camera, pictures, repaint);
  const selection = new Selection(at, films, (rows) => change({ selected: rows }));

  // The address

  let timer = 0;
  let flight = 0;
  function remember(changes = {}, step = false) {
    clearTimeout(timer);
    const params = new URLSearchParams(location.search);
    params.set("x", camera.x.toFixed(4));
    params.set("y", camera.y.toFixed(4));
    params.set("z", camera.zoom.toFixed(3));
    for (const [name, value] of Object.entries(changes)) value === null ? params.delete(name) : params.set(name, value);
    history[step ? "pushState" : "replaceState"](null, "", `?${params}`);
  }
  function moved() {
    repaint();
    if (painter.marked !== null) showCard(at("card"), films, camera, painter.marked, at("card").classList.contains("hovering"));
    clearTimeout(timer);
    timer = setTimeout(remember, 200);
  }

  function follow() {
    clearTimeout(timer);
    cancelAnimationFrame(flight);
    const params = new URLSearchParams(location.search);
    const color = Object.hasOwn(COLORINGS, params.get("color")) ? params.get("color") : "cluster";
    at("color").value = color;
    colorBy(color);
    const film = films.rows.get(Number(params.get("film"))) ?? null;
    painter.found = film;
    mark(null);
    const view = ["x", "y", "z"].map((name) => (params.has(name) ? Number(params.get(name)) : NaN));
    if (view.every(Number.isFinite)) camera.look(...view);
    else if (film !== null) camera.look(films.x[film], films.y[film], near());
    else camera.look(0, 0, 1);
    if (film !== null) mark(film);
    else if (params.has("film")) at("status").textContent = `The film ${params.get("film")} is not on the map.`;
    repaint();
  }

  function colorBy(name) {
    const { entries, has, color } = COLORINGS[name](films);
    pictures.tint(color);
    change({ color });
    showLegend(at("legend"), entries, (number) => {
      change({ shown: number === null ? null : (row) => has(row, number) });
    });
  }

  // Pointing

  function mark(row, hovering = false) {
    if (painter.marked !== row) repaint();
    painter.marked = row;
    canvas.classList.toggle("over", row !== null && hovering);
    showCard(at("card"), films, camera, row, hovering);
    if (row !== null && !hovering) at("status").textContent = `${films.label(row)}, ${films.clusterOf(row)}`;
  }

  function under(left, top) {
    if (painter.isOnFound(left, top)) return painter.found;
    return grid.nearest(...camera.toMap(left, top), Math.max(camera.poster, 8) / 2 / camera.scale);
  }

  function open(row) {
    location.assign(`./?film=${films.movieIds[row]}`);
  }

  function markMiddle() {
    mark(grid.nearest(camera.x, camera.y, 80 / camera.scale));
  }

  // Moving

  const near = () => Math.max(camera.zoom, Math.min(camera.nearest, (70 / (camera.posterWidth * camera.fitting)) ** (1 / 0.75)));

  function fly(x, y, zoom, then = () => {}) {
    cancelAnimationFrame(flight);
    const from = [camera.x, camera.y, Math.log(camera.zoom)];
    const to = [x, y, Math.log(zoom)];
    const length = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : FLIGHT_MS;
    const started = performance.now();
    const step = (now) => {
      const share = length ? Math.min(1, Math.max(0, now - started) / length) : 1;
      const eased = share * share * (3 - 2 * share);
      const [nowX, nowY, logZoom] = from.map((each, axis) => each + (to[axis] - each) * eased);
      camera.look(nowX, nowY, Math.exp(logZoom));
      moved();
      if (share < 1) flight = requestAnimationFrame(step);
      else then();
    };
    step(started);
  }

  function find(movieId) {
    const row = films.rows.get(movieId);
    if (row === undefined) {
      at("status").textContent = "This film is not on the map: it has no poster, or came after the map was made.";
      return;
    }
    painter.found = row;
    // First of all, so that back returns to where one was.
    remember({ film: movieId }, true);
    fly(films.x[row], films.y[row], near(), () => { remember(); mark(row); });
  }

  function toBox(box) {
    const [left, top, right, bottom] = box;
    return [...camera.toMap(Math.min(left, right), Math.min(top, bottom)), ...camera.toMap(Math.max(left, right), Math.max(top, bottom))];
  }

  function setBoxing(on) {
    at("box").setAttribute("aria-pressed", on);
    canvas.classList.toggle("boxing", on);
  }
  const isBoxing = () => at("box").getAttribute("aria-pressed") === "true";

  function select(rows) {
    // Of the legend's entry alone, where one is shown.
    selection.take(painter.shown ? rows.filter(painter.shown) : rows);
  }

  const zoomBy = (factor) => fly(camera.x, camera.y, Math.min(camera.nearest, camera.zoom * factor));
  gestures(canvas, {
    pan: (right, down) => { cancelAnimationFrame(flight); camera.pan(right, down); mark(null); moved(); },
    zoom: (left, top, factor) => { cancelAnimationFrame(flight); camera.zoomAt(left, top, factor); mark(null); moved(); },
    point: (left, top) => mark(under(left, top), true),
    away: () => mark(null),
    press: (left, top, pointer) => {
      const row = under(left, top);
      if (row === null) mark(null);
      else if (pointer === "touch" && painter.marked !== row) mark(row);
      else open(row);
    },
    box: (box) => { painter.box = box; repaint(); },
    boxed: (box) => {
      painter.box = null;
      setBoxing(false);
      select(grid.rowsWithin(...toBox(box)));
    },
    step: (along, across) => {
      camera.pan(-along * camera.width * 0.15, -across * camera.height * 0.15);
      moved();
      markMiddle();
    },
    next: (along, across) => {
      const row = nextFilm(films, painter.marked ?? grid.nearest(camera.x, camera.y, 2), along, across);
      if (row === null) return;
      camera.look(films.x[row], films.y[row], camera.zoom);
      moved();
      mark(row);
    },
    nearer: () => zoomBy(CLOSE),
    farther: () => zoomBy(1 / CLOSE),
    all: () => fly(0, 0, 1),
    open: () => { if (painter.marked !== null) open(painter.marked); },
  }, isBoxing);

  at("in").addEventListener("click", () => zoomBy(CLOSE));
  at("out").addEventListener("click", () => zoomBy(1 / CLOSE));
  at("fit").addEventListener("click", () => fly(0, 0, 1));
  at("box").addEventListener("click", () => setBoxing(!isBoxing()));
  at("view").addEventListener("click", () => select(grid.rowsWithin(...camera.seen())));
  at("color").addEventListener("change", () => { colorBy(at("color").value); remember({ color: at("color").value }, true); });
  addEventListener("popstate", follow);
  combobox(at("title"), at("suggestions"), (text, signal) => get(`api/films?query=${encodeURIComponent(text)}`, { signal }), find);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => change());
  new ResizeObserver(([{ contentRect: { width, height } }]) => { painter.resize(width, height); repaint(); }).observe(canvas);
  painter.resize(canvas.clientWidth, canvas.clientHeight);
  listClusters(at("clusters").querySelector("ul"), films);
  at("status").textContent = `${films.n.toLocaleString("en")} films in ${films.clusters.length} clusters.`;
  at("notes").textContent = films.notes.join(" ");
  at("notes").hidden = films.notes.length === 0;
  follow();
}

// The nearest film in a direction: what lies aside counts thrice.
function nextFilm(films, from, along, across) {
  let best = null;
  let least = Infinity;
  for (let row = 0; row < films.n; row += 1) {
    const right = films.x[row] - films.x[from];
    const below = films.y[row] - films.y[from];
    const ahead = right * along + below * across;
    const away = ahead + 3 * Math.abs(right * across) + 3 * Math.abs(below * along);
    if (ahead > 0 && away < least) [best, least] = [row, away];
  }
  return best;
}

load().then(begin).catch((error) => { at("status").textContent = error.message; });
