// A map of themes out of their table: similar ones are near each other, larger ones have more tasks. The table stays.
// Drag to move, scroll or press a button to zoom, click a theme to open it.

const MAX_ZOOM = 16;
const STEP = 1.5;
const MARGIN = 48;
const MAX_RADIUS = 26;
const MIN_RADIUS = 4;
const COLORS = 6;
const NEAR = 4;
const TITLE_CHARACTERS = 28;
// A canvas of a phone has room for shorter titles.
const NARROW = 500;
const NARROW_TITLE_CHARACTERS = 18;

/** Draw the map of each figure[data-map] from the rows of the table whose id it names. */
export function drawMaps(root) {
  for (const figure of root.querySelectorAll("figure[data-map]")) {
    const points = readPoints(document.getElementById(figure.dataset.map));
    if (points.length > 2) new ThemeMap(figure, points);
  }
}

function readPoints(table) {
  const rows = [...table.querySelectorAll("tr[data-x]")];
  const groups = [...new Set(rows.map((row) => row.dataset.group))];
  const largest = Math.max(1, ...rows.map((row) => Number(row.dataset.tasks)));
  const points = rows.map((row) => ({
    x: Number(row.dataset.x),
    y: Number(row.dataset.y),
    tasks: Number(row.dataset.tasks),
    radius: Math.max(MIN_RADIUS, MAX_RADIUS * Math.sqrt(Number(row.dataset.tasks) / largest)),
    color: `--series-${1 + (groups.indexOf(row.dataset.group) % COLORS)}`,
    title: row.querySelector("th a").textContent.trim(),
    link: row.querySelector("th a").href,
  }));
  // Small ones are drawn last, on top.
  return points.sort((a, b) => b.tasks - a.tasks);
}

class ThemeMap {
  constructor(figure, points) {
    this.points = points;
    this.zoom = 1;
    this.center = middle(points);
    this.extent = extent(points);
    this.canvas = figure.querySelector("canvas");
    figure.hidden = false;
    for (const button of figure.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => this.zoomBy(Number(button.dataset.zoom)));
    }
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(event.deltaY < 0 ? STEP : 1 / STEP, this.toMap(event.offsetX, event.offsetY));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      this.dragged = { x: event.offsetX, y: event.offsetY, center: { ...this.center }, isMoved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => (this.dragged ? this.drag(event) : this.hover(event)));
    canvas.addEventListener("pointerup", (event) => {
      const target = this.dragged?.isMoved ? undefined : this.pointAt(event.offsetX, event.offsetY);
      this.dragged = undefined;
      if (target) location.assign(target.link);
    });
    canvas.addEventListener("pointercancel", () => { this.dragged = undefined; });
    canvas.addEventListener("pointerleave", () => this.hover(undefined));
  }

  /** Zoom by a factor around a place, by default the center; 0 shows everything again. */
  zoomBy(factor, around = this.center) {
    const zoom = factor ? Math.min(MAX_ZOOM, Math.max(1, this.zoom * factor)) : 1;
    const share = this.zoom / zoom;
    this.center = zoom === 1
      ? middle(this.points)
      : { x: around.x + (this.center.x - around.x) * share, y: around.y + (this.center.y - around.y) * share };
    this.zoom = zoom;
    this.draw();
  }

  drag(event) {
    const { dragged } = this;
    const [right, down] = [event.offsetX - dragged.x, event.offsetY - dragged.y];
    if (Math.abs(right) + Math.abs(down) < NEAR && !dragged.isMoved) return;
    dragged.isMoved = true;
    const { scaleX, scaleY } = this.scales();
    this.center = { x: dragged.center.x - right / scaleX, y: dragged.center.y + down / scaleY };
    this.draw();
  }

  hover(event) {
    const hovered = event && this.pointAt(event.offsetX, event.offsetY);
    this.canvas.style.cursor = hovered ? "pointer" : "grab";
    this.canvas.title = hovered ? `${hovered.title}: ${hovered.tasks.toLocaleString("en")} tasks` : "";
    if (hovered === this.hovered) return;
    this.hovered = hovered;
    this.draw();
  }

  scales() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    return {
      scaleX: (this.zoom * (width - 2 * MARGIN)) / this.extent.x,
      scaleY: (this.zoom * (height - 2 * MARGIN)) / this.extent.y,
    };
  }

  toCanvas(point) {
    const { scaleX, scaleY } = this.scales();
    const { clientWidth: width, clientHeight: height } = this.canvas;
    return { x: width / 2 + (point.x - this.center.x) * scaleX, y: height / 2 - (point.y - this.center.y) * scaleY };
  }

  toMap(x, y) {
    const { scaleX, scaleY } = this.scales();
    const { clientWidth: width, clientHeight: height } = this.canvas;
    return { x: this.center.x + (x - width / 2) / scaleX, y: this.center.y - (y - height / 2) / scaleY };
  }

  pointAt(x, y) {
    return this.points.findLast((point) => {
      const place = this.toCanvas(point);
      return Math.hypot(place.x - x, place.y - y) <= point.radius + NEAR;
    });
  }

  draw() {
    const { canvas } = this;
    const { clientWidth: width, clientHeight: height } = canvas;
    const density = devicePixelRatio || 1;
    canvas.width = width * density;
    canvas.height = height * density;
    const context = canvas.getContext("2d");
    context.scale(density, density);
    const style = getComputedStyle(canvas);
    const color = (name) => style.getPropertyValue(name).trim();
    for (const point of this.points) {
      const { x, y } = this.toCanvas(point);
      context.beginPath();
      context.arc(x, y, point.radius, 0, 2 * Math.PI);
      context.globalAlpha = point === this.hovered ? 0.95 : 0.6;
      context.fillStyle = color(point.color);
      context.fill();
    }
    context.globalAlpha = 1;
    context.font = `12px ${style.fontFamily}`;
    context.textAlign = "center";
    this.writeTitles(context, { text: color("--text"), halo: color("--surface") });
  }

  /** Write the titles that have room beside each other and beside larger themes, those of the largest first. */
  writeTitles(context, { text, halo }) {
    const boxes = [];
    const most = this.canvas.clientWidth < NARROW ? NARROW_TITLE_CHARACTERS : TITLE_CHARACTERS;
    const points = this.hovered ? [this.hovered, ...this.points] : this.points;
    for (const point of points) {
      const { x, y } = this.toCanvas(point);
      if (x < 0 || y < 0 || x > this.canvas.clientWidth || y > this.canvas.clientHeight) continue;
      const title = point === this.hovered || point.title.length <= most ? point.title : `${point.title.slice(0, most - 1)}…`;
      const half = context.measureText(title).width / 2;
      const middleX = Math.min(Math.max(x, half + 4), this.canvas.clientWidth - half - 4);
      const box = { left: middleX - half, right: middleX + half, top: y + point.radius + 2, bottom: y + point.radius + 17 };
      const disc = { left: x - point.radius, right: x + point.radius, top: y - point.radius, bottom: y + point.radius };
      const hasRoom = !boxes.some((other) => overlap(box, other));
      boxes.push(disc);
      if (!hasRoom) continue;
      boxes.push(box);
      context.lineWidth = 3;
      context.strokeStyle = halo;
      context.strokeText(title, middleX, box.bottom - 3);
      context.fillStyle = text;
      context.fillText(title, middleX, box.bottom - 3);
    }
  }
}

function overlap(box, other) {
  return box.left < other.right && other.left < box.right && box.top < other.bottom && other.top < box.bottom;
}

function bounds(points, axis) {
  const values = points.map((point) => point[axis]);
  return [Math.min(...values), Math.max(...values)];
}

function middle(points) {
  const [[left, right], [bottom, top]] = [bounds(points, "x"), bounds(points, "y")];
  return { x: (left + right) / 2, y: (bottom + top) / 2 };
}

function extent(points) {
  const [[left, right], [bottom, top]] = [bounds(points, "x"), bounds(points, "y")];
  return { x: right - left || 1, y: top - bottom || 1 };
}
