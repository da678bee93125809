// The atlas: its address holds arrangement, view, coloring, entry of the legend, film and selection; the history a selection that is too long for it.
import { Camera } from "./atlas/camera.js";
import { listClusters } from "./atlas/clusters.js";
import { cluster } from "./atlas/coloring.js";
import { Films } from "./atlas/films.js";
import { gestures } from "./atlas/gestures.js";
import { Grid } from "./atlas/grid.js";
import { showLegend } from "./atlas/legend.js";
import { looks } from "./atlas/looks.js";
import { Painter } from "./atlas/painter.js";
import { Pictures } from "./atlas/pictures.js";
import { at } from "./parts.js";
import { fetchJson, fetchModule } from "./requests.js";
import { report, say, waiting } from "./status.js";
import { count, english, t } from "./words.js";

const CLOSE = 1.6; // times as near, or as far
const FLIGHT_MS = 450;
const MORPH_MS = 900;
const REST = 3; // times as long as it takes to draw all films, before what has come meanwhile is drawn
const LONGEST_WAIT_MS = 1500;
const TOOLS = ["box", "lasso"];
const MOST_IN_ADDRESS = 500; // films that are selected; the history holds more

function begin(films) {
  const canvas = at("canvas");
  const camera = new Camera();
  const grid = new Grid(films);
  let isScheduled = false;
  const repaint = () => {
    if (isScheduled) return;
    isScheduled = true;
    requestAnimationFrame((now) => { isScheduled = false; painter.paint(now); });
  };
  const change = (what) => { painter.change(what); repaint(); };
  // Sheets come one by one: to draw thousands of films anew for each would leave no time for anything else.
  let due = 0;
  const pictures = new Pictures(films, () => {
    due ||= setTimeout(() => { due = 0; change(); }, Math.min(LONGEST_WAIT_MS, REST * (painter.backdrop?.cost ?? 0)));
  });
  const painter = new Painter(canvas, films, grid, camera, pictures, repaint);
  let selected = []; // rows of films
  let selection = null; // the list of them, once there are any
  function choose(rows) {
    selected = rows;
    change({ selected: new Set(rows) });
    const movieIds = rows.map((row) => films.movieIds[row]);
    history.replaceState({ ...history.state, selected: movieIds }, "");
    write({ selected: rows.length && rows.length <= MOST_IN_ADDRESS ? movieIds.join(",") : null });
    if (rows.length || selection) use(() => import("./atlas/selection.js"), ({ Selection }) => {
      selection ??= new Selection(at, films, choose);
      selection.show(selected);
    });
  }

  // The address

  let timer = 0;
  let wanted = "map"; // the arrangement that was chosen
  let arranged = null; // the one that is shown
  let flight = 0;
  let finish = () => {}; // goes to its end
  let heading = null; // the zoom at the end of the flight
  function write(changes, step = false) {
    const params = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(changes)) value === null ? params.delete(name) : params.set(name, value);
    // Readable: commas may be in a query as they are.
    history[step ? "pushState" : "replaceState"](history.state, "", `?${`${params}`.replaceAll("%2C", ",")}`);
  }
  function remember(changes = {}, step = false) {
    clearTimeout(timer);
    write({ x: camera.x.toFixed(4), y: camera.y.toFixed(4), z: camera.zoom.toFixed(3), ...changes }, step);
  }
  function moved() {
    repaint();
    if (painter.marked !== null) card(painter.marked, at("card").classList.contains("hovering"));
    clearTimeout(timer);
    timer = setTimeout(remember, 200);
  }

  async function follow() {
    clearTimeout(timer);
    land();
    const params = new URLSearchParams(location.search);
    const color = [...at("color").options].find(({ value }) => value === params.get("color"))?.value ?? "cluster";
    at("color").value = color;
    const only = params.has("only") ? Number(params.get("only")) : null;
    colorBy(color, only);
    const named = params.get("selected")?.split(",").map(Number) ?? history.state?.selected ?? [];
    choose(named.map((movieId) => films.rows.get(movieId)).filter((row) => row !== undefined));
    const name = arrangementOf(params);
    await arrange(name, 0);
    if (wanted !== name) return;
    const film = films.rows.get(Number(params.get("film"))) ?? null;
    painter.found = film;
    mark(null);
    const view = ["x", "y", "z"].map((name) => (params.has(name) ? Number(params.get(name)) : NaN));
    if (view.every(Number.isFinite)) camera.look(...view);
    else if (film !== null) camera.look(films.x[film], films.y[film], near());
    else camera.look(0, 0, 1);
    if (film !== null) mark(film);
    else if (params.has("film")) use(searching, ({ sayMissing }) => sayMissing(params.get("film")));
    repaint();
  }

  function colorBy(name, only = null) {
    if (name === "cluster") return showColors(cluster(films), only);
    return use(colorings, (loaded) => { if (at("color").value === name) showColors(loaded[name](films), only); });
  }

  function showColors({ entries, has, color }, only) {
    pictures.tint(color);
    change({ color });
    showLegend(at("legend"), entries, {
      pinned: entries[only] ? only : null,
      show: (number) => {
        change({ shown: number === null ? null : (row) => has(row, number) });
        if (painter.marked !== null && !isShown(painter.marked)) mark(null);
      },
      pin: (number) => write({ only: number }),
    });
  }

  // Posters that the legend dims are only looked at.
  const isShown = (row) => row === painter.found || painter.isShown(row);

  // Pointing

  let showCard = null; // once a film is pointed at
  function card(row, hovering) {
    if (showCard) showCard(at("card"), films, camera, row, hovering);
    else if (row !== null) use(() => import("./atlas/card.js"), (loaded) => {
      ({ showCard } = loaded);
      card(painter.marked, hovering);
    });
  }

  function mark(row, hovering = false) {
    if (painter.marked !== row) repaint();
    painter.marked = row;
    canvas.classList.toggle("over", row !== null && hovering);
    card(row, hovering);
    if (row !== null && !hovering) say([`${films.label(row)}${t(", ")}`, english(films.clusterOf(row))]);
  }

  function under(left, top) {
    if (painter.isOnFound(left, top)) return painter.found;
    return grid.nearest(...camera.toMap(left, top), Math.max(camera.poster, 8) / 2 / camera.scale, isShown);
  }

  function open(row) {
    location.assign(`./?film=${films.movieIds[row]}`);
  }

  function markMiddle() {
    mark(grid.nearest(camera.x, camera.y, 80 / camera.scale, isShown));
  }

  // Moving

  const near = () => Math.max(camera.zoom, Math.min(camera.nearest, (70 / (camera.posterWidth * camera.fitting)) ** (1 / 0.75)));
  const isStill = matchMedia("(prefers-reduced-motion: reduce)");

  // Calls `show` with the share of the way, once a frame, up to 1; what stops it before goes all the way.
  function animate(length, show, then = () => {}) {
    const started = performance.now();
    finish = () => show(1);
    const step = (now) => {
      const share = length && !isStill.matches ? Math.min(1, Math.max(0, now - started) / length) : 1;
      if (share === 1) finish = () => {};
      show(share * share * (3 - 2 * share));
      if (share < 1) flight = requestAnimationFrame(step);
      else then();
    };
    step(started);
  }

  function land() {
    cancelAnimationFrame(flight);
    heading = null;
    finish();
    finish = () => {};
  }

  function fly(x, y, zoom, then = () => {}) {
    cancelAnimationFrame(flight);
    if (painter.moving) land();
    heading = zoom;
    const way = view([x, y, zoom]);
    animate(FLIGHT_MS, (share) => { way(share); moved(); }, () => { heading = null; then(); });
  }

  // The way from the present view to another.
  function view([x, y, zoom]) {
    const from = [camera.x, camera.y, Math.log(camera.zoom)];
    const to = [x, y, Math.log(zoom)];
    return (share) => {
      const [nowX, nowY, logZoom] = from.map((each, axis) => each + (to[axis] - each) * share);
      camera.look(nowX, nowY, Math.exp(logZoom));
    };
  }

  // The map is there at once; what the others need is loaded on use.
  async function arrange(name, length) {
    wanted = name;
    for (const button of at("arrange").children) button.setAttribute("aria-pressed", button.value === name);
    if (name === "map" || !arranged) place("map", looks(films), name === "map" ? length : 0);
    if (name === "map") return;
    try {
      const { ARRANGEMENTS, Mosaic } = await arrangements();
      painter.mosaic ??= new Mosaic(films, pictures);
      // Colors are those of posters, which are on their way.
      if (name === "colors") await pictures.ready;
      if (wanted === name && name !== arranged) place(name, ARRANGEMENTS[name](films, pictures), length);
    } catch (error) {
      report(error, () => arrange(name, length));
    }
  }

  // Moves films from where they are to their places in another arrangement, all of which is seen then.
  function place(name, to, length) {
    if (name === arranged) return;
    land();
    arranged = name;
    const way = view([0, 0, 1]);
    const step = between(films, camera, to);
    painter.marks = to.marks;
    painter.landed = null;
    painter.moving = true;
    mark(null);
    animate(length, (share) => {
      step(share);
      way(share);
      if (share === 1) {
        painter.moving = false;
        grid.refresh();
      }
      change();
    }, () => { if (length) remember(); });
  }

  function find(movieId) {
    const row = films.rows.get(movieId);
    painter.found = row;
    // First of all, so that back returns to where one was.
    remember({ film: movieId }, true);
    fly(films.x[row], films.y[row], near(), () => { remember(); mark(row); });
  }

  let tool = null;
  function take(name) {
    tool = name;
    for (const id of TOOLS) at(id).setAttribute("aria-pressed", id === tool);
    canvas.classList.toggle("boxing", tool !== null);
  }

  function select(rows) {
    // Of the legend's entry alone, where one is shown.
    const listed = painter.shown ? rows.filter(painter.shown) : [...rows];
    choose(listed.sort((one, other) => films.title[one].localeCompare(films.title[other])));
  }

  function drop(file) {
    if (!file) return;
    say(t("Looking at the picture …"));
    use(() => import("./atlas/landing.js"), ({ landPicture }) => landPicture(file, films, (landed) => {
      painter.landed = landed;
      choose(landed.rows);
      fly(...landed.place, Math.max(camera.zoom, 3), remember);
    }));
  }

  // Of quick presses each counts.
  const zoomBy = (factor) => fly(camera.x, camera.y, Math.min(camera.nearest, (heading ?? camera.zoom) * factor));
  gestures(canvas, {
    pan: (right, down) => { land(); camera.pan(right, down); mark(null); moved(); },
    zoom: (left, top, factor) => { land(); camera.zoomAt(left, top, factor); mark(null); moved(); },
    point: (left, top) => mark(under(left, top), true),
    away: () => mark(null),
    press: (left, top, pointer) => {
      const row = under(left, top);
      if (row === null) mark(null);
      else if (pointer === "touch" && painter.marked !== row) mark(row);
      else open(row);
    },
    outline: (outline) => { painter.outline = outline; repaint(); },
    outlined: (outline) => {
      take(null);
      use(() => import("./atlas/outline.js"), ({ within }) => {
        painter.outline = null;
        select(within(outline, camera, grid, films));
      });
    },
    step: (along, across) => {
      camera.pan(-along * camera.width * 0.15, -across * camera.height * 0.15);
      moved();
      markMiddle();
    },
    next: (along, across) => use(() => import("./atlas/next.js"), ({ nextFilm }) => {
      const row = nextFilm(films, painter.marked ?? grid.nearest(camera.x, camera.y, 2), along, across, isShown);
      if (row === null) return;
      camera.look(films.x[row], films.y[row], camera.zoom);
      moved();
      mark(row);
    }),
    nearer: () => zoomBy(CLOSE),
    farther: () => zoomBy(1 / CLOSE),
    all: () => fly(0, 0, 1),
    open: () => { if (painter.marked !== null) open(painter.marked); },
    pick: () => {
      if (painter.marked === null) return;
      const isIn = selected.includes(painter.marked);
      choose(isIn ? selected.filter((row) => row !== painter.marked) : [...selected, painter.marked]);
      const title = films.label(painter.marked);
      say(isIn ? t("{title} is no longer selected.", { title }) : t("{title} is selected.", { title }));
    },
  }, () => tool);

  at("in").addEventListener("click", () => zoomBy(CLOSE));
  at("out").addEventListener("click", () => zoomBy(1 / CLOSE));
  at("fit").addEventListener("click", () => fly(0, 0, 1));
  for (const id of TOOLS) at(id).addEventListener("click", () => take(tool === id ? null : id));
  at("view").addEventListener("click", () => select(grid.rowsWithin(...camera.seen())));
  at("arrange").addEventListener("click", ({ target: { value } }) => {
    if (!value) return;
    // First of all, so that back returns to where one was.
    remember({ arrange: value === "map" ? null : value }, true);
    arrange(value, MORPH_MS);
  });
  at("color").addEventListener("change", () => { colorBy(at("color").value); remember({ color: at("color").value, only: null }, true); });
  at("picture").addEventListener("change", () => {
    drop(at("picture").files[0]);
    at("picture").value = ""; // or the same file could not be chosen again
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => { event.preventDefault(); drop(event.dataTransfer.files[0]); });
  addEventListener("popstate", follow);
  // What is pressed while the search is on its way is made up for.
  let pressed = null;
  at("title").addEventListener("keydown", ({ key }) => { pressed = key === "Enter" ? key : null; });
  at("title").addEventListener("focus", () => use(searching, ({ search }) => search(films, find, pressed)), { once: true });
  if (document.activeElement === at("title")) at("title").dispatchEvent(new Event("focus"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => change());
  new ResizeObserver(([{ contentRect: { width, height } }]) => { painter.resize(width, height); repaint(); }).observe(canvas);
  painter.resize(canvas.clientWidth, canvas.clientHeight);
  listClusters(at("clusters").querySelector("ul"), films);
  say(count(films.n, "{n} film in {clusters} clusters.", "{n} films in {clusters} clusters.", { clusters: films.clusters.length }));
  at("notes").replaceChildren(...films.notes.map((note) => english(`${note}. `)));
  at("notes").hidden = films.notes.length === 0;
  follow();
}

// What is rarely used is loaded on use.
async function use(load, act) {
  try {
    act(await fetchModule(load));
  } catch (error) {
    report(error, () => use(load, act));
  }
}

const colorings = () => import("./atlas/colorings.js");
const searching = () => import("./atlas/search.js");
const arrangements = () => fetchModule(() => import("./atlas/arrangements.js"));

function arrangementOf(params) {
  const names = [...at("arrange").children].map(({ value }) => value);
  return names.find((name) => name === params.get("arrange")) ?? "map";
}

// The way of films and frame to another arrangement.
function between(films, camera, to) {
  const x = films.x.slice();
  const y = films.y.slice();
  const frame = { across: camera.across, down: camera.down, width: camera.posterWidth, growth: camera.growth };
  return (share) => {
    for (let row = 0; row < films.n; row += 1) {
      films.x[row] = x[row] + (to.x[row] - x[row]) * share;
      films.y[row] = y[row] + (to.y[row] - y[row]) * share;
    }
    camera.frame(Object.fromEntries(Object.entries(frame).map(([name, value]) => [name, value + (to[name] - value) * share])));
  };
}

async function load() {
  try {
    // A link to an arrangement or to colors shows no other ones first.
    const isNamed = (name) => new URLSearchParams(location.search).has(name);
    const [map] = await Promise.all([fetchJson("api/atlas", { waiting }), isNamed("arrange") && arrangements(), isNamed("color") && fetchModule(colorings)]);
    const films = new Films(map);
    document.body.className = "";
    begin(films);
  } catch (error) {
    report(error, load);
    // Without a map there is nothing to look at, and nothing for tools to do.
    if (!error.passes) document.body.className = "empty";
  }
}

load();
