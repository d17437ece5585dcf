// Charts out of tables: each figure[data-chart] has a table with a row a point and a column a series,
// but for columns with data-undrawn.
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
    known.table = table;
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
  chart.table = table;
  drawn.set(plot, chart);
}

function readTable(figure) {
  const [, ...all] = figure.querySelectorAll("thead th");
  const heads = all.map((head, index) => ({ head, index })).filter(({ head }) => !("undrawn" in head.dataset));
  const rows = [...figure.querySelectorAll("tbody tr")];
  const cells = rows.map((row) => [...row.querySelectorAll("td")]);
  const number = (text) => (text === undefined || text === "" ? null : Number(text));
  return {
    labels: rows.map((row) => (row.querySelector("th time") ?? row.querySelector("th")).textContent.trim()),
    links: rows.map((row) => row.querySelector("th a")?.href),
    isPartial: rows.map((row) => "partial" in row.dataset),
    series: heads.map(({ head, index }) => ({
      label: shortName(head.textContent),
      values: cells.map((row) => number(row[index].dataset.value)),
      cases: cells.map((row) => number(row[index].dataset.cases)),
    })),
  };
}

/** Tell whether a point has no neighbour to draw a line to. */
function isAlone(values, index) {
  return values[index] !== null && (values[index - 1] ?? null) === null && (values[index + 1] ?? null) === null;
}

/** Return the labels of the legend, in the color of the series and not in that of a partial bucket. */
function generateLabels(chart) {
  const labels = Chart.defaults.plugins.legend.labels.generateLabels(chart);
  return labels.map((label) => ({ ...label, fillStyle: chart.data.datasets[label.datasetIndex].borderColor, lineWidth: 0 }));
}

const FEW_POINTS = 2;
const FEW_CASES = 5;
const MANY_POINTS = 45;

/**
 * Return the look of one series: straight lines, with gaps where nothing was measured, and partial buckets paler.
 * A number of few cases is a pale point without a line, as it says little: one success of one task is 100 %.
 */
function dataset({ label, values }, seriesIndex, { tone, type, getTable }) {
  const isFew = values.filter((value) => value !== null).length <= FEW_POINTS;
  const isPartial = (index) => getTable().isPartial[index];
  const isOfFew = (index) => (getTable().series[seriesIndex].cases[index] ?? FEW_CASES) < FEW_CASES;
  return {
    label, data: values, borderColor: tone,
    backgroundColor: ({ dataIndex }) => (isOfFew(dataIndex) || (type === "bar" && isPartial(dataIndex)) ? `${tone}80` : tone),
    pointBorderColor: ({ dataIndex }) => (isOfFew(dataIndex) ? "transparent" : tone),
    borderWidth: type === "bar" ? 0 : 2, showLine: !isFew, tension: 0, spanGaps: false,
    segment: {
      borderColor: ({ p0DataIndex, p1DataIndex }) => (isOfFew(p0DataIndex) || isOfFew(p1DataIndex) ? "transparent" : undefined),
      borderDash: ({ p0DataIndex, p1DataIndex }) => (isPartial(p0DataIndex) || isPartial(p1DataIndex) ? [4, 4] : undefined),
    },
    pointRadius: ({ dataIndex, dataset: own }) => (isFew || isAlone(own.data, dataIndex) ? 4 : own.data.length > MANY_POINTS ? 0 : 2),
    pointHoverRadius: 5,
    maxBarThickness: 28, categoryPercentage: 0.9, barPercentage: 0.9,
  };
}

/** Return a name that fits a legend: that of a version may be longer than the chart. */
function shortName(name) {
  return name.length > 28 ? `${name.slice(0, 27)}…` : name;
}

function configuration(figure, table) {
  const getTable = () => drawn.get(figure.querySelector(".plot"))?.table ?? table;
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
        return dataset({ label, values }, index, { tone, type, getTable });
      }),
    },
    options: {
      animation: false,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      onClick: (_event, points, chart) => {
        const link = points.length && chart.table.links[points[0].index];
        if (link) location.assign(link);
      },
      onHover: (event, points, chart) => {
        event.native.target.style.cursor = points.length && chart.table.links[points[0].index] ? "pointer" : "default";
      },
      scales: {
        x: {
          stacked, grid: { display: false }, border: { color: color("--line") },
          ticks: {
            color: color("--quiet"), maxRotation: 0, autoSkipPadding: 16, font: { size: 11 },
            callback(value) {
              return isPlain ? this.getLabelForValue(value) : shortTime(this.getLabelForValue(value), getTable().labels);
            },
          },
        },
        y: {
          stacked, beginAtZero: true, suggestedMax: figure.dataset.format === "percent" && !("ownScale" in figure.dataset) ? 1 : undefined,
          border: { display: false }, grid: { color: color("--line") },
          ticks: { color: color("--quiet"), maxTicksLimit: 5, font: { size: 11 }, precision: figure.dataset.format === "count" ? 0 : undefined, callback: format },
        },
      },
      plugins: {
        legend: { display: table.series.length > 1, align: "start", labels: { generateLabels, color: color("--text"), boxWidth: 10, boxHeight: 10, useBorderRadius: true, borderRadius: 2, font: { size: 12 } } },
        tooltip: {
          callbacks: {
            title: ([{ dataIndex, label }]) => (getTable().isPartial[dataIndex] ? `${label} (partial)` : label),
            label: ({ dataset: { label }, datasetIndex, dataIndex, raw }) => {
              const cases = getTable().series[datasetIndex].cases[dataIndex];
              return `${label}: ${format(raw)}${cases === null ? "" : ` of ${count.format(cases)}`}`;
            },
          },
        },
      },
    },
  };
}

const count = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const decimal = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const FORMATS = {
  count: (number) => (number >= 10000 ? compact : count).format(number),
  percent: (share) => `${(100 * share).toFixed(share < 0.1 && share > 0 ? 1 : 0)} %`,
  score: (score) => score.toFixed(2),
  money: (amount) => amount.toPrecision(3),
  number: (number) => compact.format(number),
  decimal: (number) => decimal.format(number),
  ms: (time) => (time >= 1000 ? `${(time / 1000).toFixed(1)} s` : `${Math.round(time)} ms`),
};

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Return the part of a time that tells the points apart: the hour within one day, else the day, with its year where needed. */
function shortTime(label, labels) {
  const [year, month, day] = label.slice(0, 10).split("-");
  const hour = label.slice(11, 16);
  if (hour && labels[0].slice(0, 10) === labels.at(-1).slice(0, 10)) return hour;
  const isThisYear = labels.every((other) => other.slice(0, 4) === String(new Date().getFullYear()));
  const date = `${MONTHS[month - 1]} ${Number(day)}${isThisYear ? "" : ` ${year}`}`;
  return hour ? `${date} ${hour}` : date;
}
