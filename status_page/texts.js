// Values as people read them, and elements that hold them.
export const number = (value, digits) => value.toLocaleString("en", { maximumFractionDigits: digits });
export const percent = (value) => `${number(value * 100, value > 0.99 && value < 1 ? 2 : 1)} %`;
export const seconds = (value) => (value < 1 ? `${number(value * 1000, 0)} ms` : value < 90 ? `${number(value, 1)} s` : `${number(value / 60, 1)} min`);
export const bytes = (value) => {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  const step = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.abs(value) || 1) / 3)));
  return `${number(value / 1000 ** step, step < 3 ? 0 : 1)} ${units[step]}`;
};
export const known = (value) => typeof value === "number" && Number.isFinite(value);
export const clock = (milliseconds) => new Date(milliseconds).toLocaleString("en-GB", {
  hour: "2-digit", minute: "2-digit", ...(Date.now() - milliseconds > 20 * 3600e3 ? { day: "numeric", month: "short" } : {}),
});
export const ago = (milliseconds) => {
  const passed = Math.max(0, Date.now() - milliseconds) / 1000;
  const [unit, size] = [["day", 86400], ["hour", 3600], ["minute", 60]].find(([, each]) => passed >= each) ?? ["second", 1];
  return new Intl.RelativeTimeFormat("en", { numeric: "always" }).format(-Math.floor(passed / size), unit);
};
export const count = (amount, thing) => `${amount} ${thing}${amount === 1 ? "" : "s"}`;
export const listed = (names) => new Intl.ListFormat("en").format(names);

// An element with properties, and texts or elements in it. What is null is left out.
export function made(tag, properties, ...inside) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {}))
    name in element ? (element[name] = value) : element.setAttribute(name, value);
  element.append(...inside.filter((each) => each !== null && each !== undefined));
  return element;
}

export const write = (place, text) => { if (place.textContent !== text) place.textContent = text; };
export const id = (name) => document.getElementById(name);
