// What hands do on the map, in words: pan, zoom, point, press, outline. Mouse, touch, pen and keyboard say the same words.
const STILL = 5; // pixels: a press that moves less is a click
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// `tool` says what dragging does: it outlines films by a "box" or a "lasso", or moves the map.
export function gestures(canvas, say, tool) {
  const down = new Map(); // pointers by their ids, where they are
  let start = null; // where the first came down
  let outline = null; // of films, as points of the screen
  let kind = null; // of the outline
  let pressed = null; // a press that a click will follow
  let spread = 0;

  function at(event) {
    const frame = canvas.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  }

  function between() {
    const [[oneX, oneY], [otherX, otherY]] = [...down.values()];
    return { middle: [(oneX + otherX) / 2, (oneY + otherY) / 2], spread: Math.hypot(oneX - otherX, oneY - otherY) };
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    pressed = null;
    down.set(event.pointerId, at(event));
    if (down.size === 1) {
      start = at(event);
      kind = event.shiftKey ? "box" : tool();
      outline = kind && [start];
    } else {
      // A second finger makes a pinch of whatever it was.
      start = null;
      if (outline) say.outline(null);
      outline = null;
      spread = down.size === 2 ? between().spread : 0;
    }
  });

  canvas.addEventListener("pointermove", (event) => {
    const [left, top] = at(event);
    const before = down.get(event.pointerId);
    if (!before) {
      if (event.pointerType === "mouse") say.point(left, top);
      return;
    }
    if (down.size === 2) {
      const { middle } = between();
      down.set(event.pointerId, [left, top]);
      const now = between();
      say.pan(now.middle[0] - middle[0], now.middle[1] - middle[1]);
      if (spread) say.zoom(...now.middle, now.spread / spread);
      spread = now.spread;
      return;
    }
    if (start && !outline && Math.hypot(left - start[0], top - start[1]) < STILL) return;
    down.set(event.pointerId, [left, top]);
    if (outline) {
      if (kind === "lasso") outline.push([left, top]);
      else outline = [start, [left, start[1]], [left, top], [start[0], top]];
      say.outline(outline);
    }
    if (!outline && down.size === 1) {
      canvas.classList.add("dragging");
      // What lay within the bounds of a click is made up for.
      say.pan(left - before[0], top - before[1]);
      start = null;
    }
  });

  function up(event, cancelled) {
    if (!down.delete(event.pointerId)) return;
    canvas.classList.remove("dragging");
    const [left, top] = at(event);
    const moved = start && Math.hypot(left - start[0], top - start[1]) >= STILL;
    if (outline) {
      // A lasso may end where it began.
      if (cancelled || outline.length < 3) say.outline(null);
      else say.outlined(outline);
    } else if (start && !moved && !cancelled) pressed = [left, top, event.pointerType];
    start = null;
    outline = null;
  }
  canvas.addEventListener("pointerup", (event) => up(event, false));
  canvas.addEventListener("pointercancel", (event) => up(event, true));
  // Not before the click: what a press brings up must not be what is clicked.
  canvas.addEventListener("click", () => {
    if (pressed) say.press(...pressed);
    pressed = null;
  });
  canvas.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") say.away(); });

  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    // Wheels tell lines or pixels; a pinch on a touchpad is a wheel with Ctrl, in smaller steps.
    const pixels = event.deltaMode === 1 ? event.deltaY * 16 : event.deltaY;
    say.zoom(...at(event), Math.exp(-Math.max(-200, Math.min(200, pixels)) * (event.ctrlKey ? 0.01 : 0.0022)));
  }, { passive: false });

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = STEPS[event.key];
    if (step && event.shiftKey) say.next(...step);
    else if (step) say.step(...step);
    else if (event.key === "+" || event.key === "=") say.nearer();
    else if (event.key === "-") say.farther();
    else if (event.key === "0" || event.key === "Home") say.all();
    else if (event.key === "Enter") say.open();
    else if (event.key === " ") say.pick();
    else if (event.key === "Escape") say.away();
    else return;
    event.preventDefault();
  });
}
