// The films within an outline that was drawn on the screen.
export function within(outline, camera, grid, films) {
  const points = outline.map(([left, top]) => camera.toMap(left, top));
  const [x, y] = [0, 1].map((axis) => points.map((point) => point[axis]));
  const rows = grid.rowsWithin(Math.min(...x), Math.min(...y), Math.max(...x), Math.max(...y));
  return rows.filter((row) => isInside(points, films.x[row], films.y[row]));
}

// Whether a point is within an outline: a line from it to the right crosses the outline an odd number of times.
function isInside(points, x, y) {
  let inside = false;
  points.forEach(([nextX, nextY], number) => {
    const [thisX, thisY] = points.at(number - 1);
    if (thisY > y !== nextY > y && x < thisX + ((nextX - thisX) * (y - thisY)) / (nextY - thisY)) inside = !inside;
  });
  return inside;
}
