// Charts out of tables: each figure[data-chart] has a table with a row a point and a column a series.
// A click on a point follows the link of its row. The table stays, for those who read it.

const KINDS = {
  line: { type: "line", stacked: false },
  bar: { type: "bar", stacked: false },
  stack: { type: "bar", stacked: true },
};
const SENTIMENTS = { Positive: "--good", Neutral: "--line-strong", Negative: "--bad" };
const drawn = new WeakMap();

/** Draw the charts below `root`, or bring those that are drawn up to date. */
export function drawCharts(root) {
  if (typeof Chart === "undefined") return;
  for (const figure of root.querySelectorAll("figure[data-chart]")) draw(figure);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const figure of document.querySelectorAll("figure[data-chart]")) {
    const plot = figure.querySelector(".plot");
    drawn.get(plot)?.destroy();
    drawn.delete(plot);
    plot.replaceChildren();
    draw(figure);
  }
});

function draw(figure) {
  const plot = figure.querySelector(".plot");
  const table = readTable(figure);
  const known = drawn.get(plot);
  const isOfSameSeries = known?.data.datasets.map(({ label }) => label).join() === table.series.map(({ label }) => label).join();
  if (isOfSameSeries) {
    known.data.labels = table.labels;
    known.links = table.links;
    known.data.datasets.forEach((dataset, index) => { dataset.data = table.series[index].values; });
    known.update("none");
    return;
  }
  known?.destroy();
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${figure.closest("section").querySelector("h2").textContent}: a chart of the table below`);
  plot.replaceChildren(canvas);
  const chart = new Chart(canvas, configuration(figure, table));
  chart.links = table.links;
  drawn.set(plot, chart);
}

function readTable(figure) {
  const [, ...heads] = figure.querySelectorAll("thead th");
  const rows = [...figure.querySelectorAll("tbody tr")];
  const points = rows.map((row) => [...row.querySelectorAll("td")].map((cell) => (cell.dataset.value === "" ? null : Number(cell.dataset.value))));
  return {
    labels: rows.map((row) => (row.querySelector("th time") ?? row.querySelector("th")).textContent.trim()),
    links: rows.map((row) => row.querySelector("th a")?.href),
    series: heads.map((head, index) => ({ label: shortName(head.textContent), values: points.map((point) => point[index]) })),
  };
}

/** Return a name that fits a legend: that of a version may be longer than the chart. */
function shortName(name) {
  return name.length > 28 ? `${name.slice(0, 27)}…` : name;
}

function configuration(figure, table) {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const { type, stacked } = KINDS[figure.dataset.chart];
  const format = FORMATS[figure.dataset.format];
  const isPlain = "plainLabels" in figure.dataset;
  return {
    type,
    data: {
      labels: table.labels,
      datasets: table.series.map(({ label, values }, index) => {
        const tone = color(SENTIMENTS[label] ?? `--series-${index + 1}`);
        return {
          label, data: values, borderColor: tone, backgroundColor: tone,
          borderWidth: type === "bar" ? 0 : 2, pointRadius: values.length > 45 ? 0 : 2, pointHoverRadius: 4,
          cubicInterpolationMode: "monotone", spanGaps: true,
          fill: type === "line" && table.series.length === 1 && { target: "origin", above: `${tone}22` },
          maxBarThickness: 28, categoryPercentage: 0.9, barPercentage: 0.9,
        };
      }),
    },
    options: {
      animation: false,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      onClick: (_event, points, chart) => {
        const link = points.length && chart.links[points[0].index];
        if (link) location.assign(link);
      },
      onHover: (event, points, chart) => {
        event.native.target.style.cursor = points.length && chart.links[points[0].index] ? "pointer" : "default";
      },
      scales: {
        x: {
          stacked, grid: { display: false }, border: { color: color("--line") },
          ticks: {
            color: color("--quiet"), maxRotation: 0, autoSkipPadding: 16, font: { size: 11 },
            callback(value) {
              return isPlain ? this.getLabelForValue(value) : shortTime(this.getLabelForValue(value), table.labels);
            },
          },
        },
        y: {
          stacked, beginAtZero: true, suggestedMax: figure.dataset.format === "percent" ? 1 : undefined,
          border: { display: false }, grid: { color: color("--line") },
          ticks: { color: color("--quiet"), maxTicksLimit: 5, font: { size: 11 }, precision: figure.dataset.format === "count" ? 0 : undefined, callback: format },
        },
      },
      plugins: {
        legend: { display: table.series.length > 1, align: "start", labels: { color: color("--text"), boxWidth: 10, boxHeight: 10, useBorderRadius: true, borderRadius: 2, font: { size: 12 } } },
        tooltip: { callbacks: { label: ({ dataset, raw }) => `${dataset.label}: ${format(raw)}` } },
      },
    },
  };
}

const count = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const FORMATS = {
  count: (number) => (number >= 10000 ? compact : count).format(number),
  percent: (share) => `${(100 * share).toFixed(share < 0.1 && share > 0 ? 1 : 0)} %`,
  ms: (time) => (time >= 1000 ? `${(time / 1000).toFixed(1)} s` : `${Math.round(time)} ms`),
};

/** Return the part of a time that tells the points apart: the hour within one day, else the day. */
function shortTime(label, labels) {
  const [day, hour] = [label.slice(5, 10), label.slice(11, 16)];
  if (hour && labels[0].slice(0, 10) === labels.at(-1).slice(0, 10)) return hour;
  return hour ? `${day} ${hour}` : day;
}
