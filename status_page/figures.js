// The four figures: a card with a small chart each, and a table for who does not see charts.
import { bytes, clock, known, made, percent, seconds } from "./texts.js";

const SVG = "http://www.w3.org/2000/svg";

export const FIGURES = [
  { key: "pull_success_rate", title: "Pulls that succeed", read: percent, least: 0.1, most: 1,
    now: (figure) => [figure.now, ""], more: (_, seen) => (seen ? `lowest ${percent(seen.low)}` : "") },
  { key: "pull_seconds", title: "Time of a pull", read: seconds, least: 0.5,
    now: (figure) => [figure.average, "on average"], more: (figure) => (known(figure.p95) ? `19 of 20 within ${seconds(figure.p95)}` : "") },
  { key: "storage_bytes", title: "Storage", read: bytes, least: 1e6,
    now: (figure) => [figure.now, known(figure.limit) && figure.limit > 0 ? `of ${bytes(figure.limit)}` : ""], more: growth },
  { key: "cache_hit_rate", title: "Answered from the cache", read: percent, least: 0.1, most: 1,
    now: (figure) => [figure.now, ""], more: (_, seen) => (seen ? `between ${percent(seen.low)} and ${percent(seen.high)}` : "") },
];

function growth(figure, seen) {
  const share = known(figure.now) && known(figure.limit) && figure.limit > 0 ? `${percent(figure.now / figure.limit)} full` : "";
  if (!seen) return share;
  const days = (seen.end - seen.start) / 86400e3;
  const grown = (seen.last - seen.first) / Math.max(days, 1);
  return [share, `${grown < 0 ? "−" : "+"}${bytes(Math.abs(grown))} ${days < 1 ? `since ${clock(seen.start)}` : "a day"}`].filter(Boolean).join(" · ");
}

const history = (figure) => (figure?.history ?? []).filter(([at, value]) => known(at) && known(value)).map(([at, value]) => [at * 1000, value]);

function summary(points) {
  if (points.length < 2) return null;
  const values = points.map(([, value]) => value);
  return { low: Math.min(...values), high: Math.max(...values), first: values[0], last: values.at(-1), start: points[0][0], end: points.at(-1)[0] };
}

export function card(kind, figure) {
  const points = history(figure), seen = summary(points);
  const [now, beside] = kind.now(figure ?? {});
  const more = made("p", { className: "more" }, kind.more(figure ?? {}, seen));
  const head = [made("h3", {}, kind.title),
    made("p", { className: "now" }, known(now) ? kind.read(now) : "–", " ", made("small", {}, known(now) ? beside : "no pulls yet")), more];
  if (!known(now) && kind.key === "storage_bytes") head[1].lastChild.textContent = "not known";
  const chart = seen ? drawn(kind, points, seen, more) : made("p", { className: "empty" }, "a chart needs two values");
  return made("div", { className: "figure" }, ...head, chart);
}

function drawn(kind, points, seen, more) {
  const width = 200, height = 56;
  const span = Math.max(seen.high - seen.low, kind.least);
  const top = Math.min(seen.high + span * 0.15, kind.most ?? Infinity), bottom = Math.max(0, Math.min(seen.low - span * 0.15, top - span));
  const x = (at) => ((at - seen.start) / (seen.end - seen.start || 1)) * width;
  const y = (value) => height - ((value - bottom) / (top - bottom || 1)) * height;
  const line = points.map(([at, value], index) => `${index ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const shape = (tag, attributes) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const label = `${kind.title} from ${clock(seen.start)} to ${clock(seen.end)}: between ${kind.read(seen.low)} and ${kind.read(seen.high)}, last ${kind.read(seen.last)}`;
  const chart = shape("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label });
  const hair = shape("line", { class: "hair", y1: 0, y2: height, visibility: "hidden" });
  chart.append(shape("path", { class: "below", d: `${line}L${width} ${height}L0 ${height}Z` }), shape("path", { class: "curve", d: line }), hair);
  const usual = more.textContent;
  chart.addEventListener("pointermove", (event) => {
    const box = chart.getBoundingClientRect();
    const at = seen.start + ((event.clientX - box.left) / box.width) * (seen.end - seen.start);
    const [near, value] = points.reduce((best, each) => (Math.abs(each[0] - at) < Math.abs(best[0] - at) ? each : best));
    for (const end of ["x1", "x2"]) hair.setAttribute(end, x(near));
    hair.setAttribute("visibility", "visible");
    more.textContent = `${clock(near)}: ${kind.read(value)}`;
  });
  chart.addEventListener("pointerleave", () => {
    hair.setAttribute("visibility", "hidden");
    more.textContent = usual;
  });
  return chart;
}

// At most 24 rows, the newest first; a figure's value at a time is its last one by then.
export function table(figures) {
  const all = FIGURES.map((kind) => ({ kind, points: history(figures[kind.key]) }));
  const times = [...new Set(all.flatMap(({ points }) => points.map(([at]) => at)))].sort((a, b) => b - a);
  const rows = times.filter((_, index) => index % Math.ceil(times.length / 24) === 0);
  const value = ({ kind, points }, at) => {
    const found = points.filter(([each]) => each <= at).at(-1);
    return found ? kind.read(found[1]) : "–";
  };
  return [
    made("thead", {}, made("tr", {}, made("th", { scope: "col" }, "Time"), ...FIGURES.map((kind) => made("th", { scope: "col" }, kind.title)))),
    made("tbody", {}, ...rows.map((at) => made("tr", {}, made("th", { scope: "row" }, clock(at)), ...all.map((each) => made("td", {}, value(each, at)))))),
  ];
}
