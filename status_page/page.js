// What comes from the proxy's host is text: it is only ever put in as text, never as HTML.
import { copier, tabbed } from "./copying.js";
import { FIGURES, card, table } from "./figures.js";
import { ago, clock, count, id, listed, made, write } from "./texts.js";

const REFRESH = 15_000; // milliseconds
const OLD = 90_000, OLD_FINDINGS = 3600_000; // what is older says nothing of now

// Put new content in place without disturbing who reads or has the focus there: only where it is another.
function show(place, ...inside) {
  const fresh = place.cloneNode(false);
  fresh.append(...inside);
  if (!fresh.isEqualNode(place)) place.replaceChildren(...inside);
}

/* Parts and the sentence above them. */
const WORDS = { up: "Up", down: "Down", unknown: "Unknown" };
const stateOf = (part) => (part.state in WORDS ? part.state : "unknown");
const part = (each) =>
  made("li", { "data-state": stateOf(each) },
    made("span", { className: "mark", "aria-hidden": "true" }),
    made("div", {}, made("strong", {}, each.name), made("p", {}, made("em", {}, WORDS[stateOf(each)]), each.detail ? ` · ${each.detail}` : "")));

function verdict(status, findings) {
  const down = (status?.parts ?? []).filter((each) => stateOf(each) === "down").map((each) => each.name);
  const unknown = (status?.parts ?? []).filter((each) => stateOf(each) === "unknown").map((each) => each.name);
  if (!status) return ["unknown", "Nothing is known of the parts now."];
  if (Date.now() - Date.parse(status.at) > OLD) return ["unknown", `No news since ${clock(Date.parse(status.at))}.`];
  if (down.length) return ["down", `${listed(down)} ${down.length === 1 ? "is" : "are"} down.`];
  if (findings.length) return ["down", findings.length === 1 ? `${findings[0].title} (${findings[0].host})` : `doctor found ${count(findings.length, "problem")}.`];
  if (unknown.length) return ["unknown", `All that is known works; ${listed(unknown)} can’t be told.`];
  return ["up", "Everything works."];
}

/* Findings. */
const typed = (text) => {
  const code = made("code", {}, text);
  return made("div", { className: "typed" }, made("pre", {}, code), copier(code));
};

function finding(each) {
  const told = each.consequences ?? [];
  return made("article", { className: "finding" },
    made("h3", {}, each.title),
    made("p", { className: "place" }, [each.host, each.where].filter(Boolean).join(" · ")),
    each.because ? made("p", {}, each.because) : null,
    each.evidence ? made("pre", { className: "evidence" }, each.evidence) : null,
    each.fix ? made("p", {}, each.fix) : null,
    ...(each.commands ?? []).map(({ on, line }) =>
      made("div", { className: "step" }, made("p", {}, on === "controller" ? "In the project’s folder:" : `On ${on}:`), typed(line))),
    told.length
      ? made("details", {}, made("summary", {}, `${count(told.length, "consequence")} elsewhere`),
          made("ul", {}, ...told.map(({ host, evidence }) => made("li", {}, `${host}: ${evidence}`))))
      : null);
}

function said(doctor) {
  if (!doctor) return "make doctor has not been run since this page is there; what it finds is shown here.";
  const asked = (doctor.hosts ?? []).filter((each) => !each.error).length, deaf = (doctor.hosts ?? []).filter((each) => each.error);
  const found = doctor.findings?.length ? "" : `It found nothing${asked ? ` on ${count(asked, "host")}` : ""}.`;
  const silent = deaf.length ? `Could not be asked: ${listed(deaf.map((each) => each.host))}.` : "";
  return [`make doctor was run ${ago(Date.parse(doctor.at))}.`, found, silent].filter(Boolean).join(" ");
}

/* Once, then again and again while somebody looks. */
async function fetched(name) {
  const answer = await fetch(name, { cache: "no-cache" });
  if (answer.status === 404) return null; // nobody has written it yet
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return answer.json();
}

async function refresh() {
  let status, doctor, silent = false;
  try {
    [status, doctor] = await Promise.all([fetched("status.json"), fetched("findings.json")]);
  } catch {
    silent = true;
  }
  if (silent) {
    id("verdict").dataset.state = "unknown";
    write(id("sentence"), "The proxy does not answer.");
    write(id("fresh"), `asked ${clock(Date.now())}`);
    return;
  }
  const findings = doctor?.findings ?? [];
  const counts = doctor && Date.now() - Date.parse(doctor.at) < OLD_FINDINGS;
  const [state, sentence] = verdict(status, counts ? findings : []);
  id("verdict").dataset.state = state;
  write(id("sentence"), sentence);
  document.title = `${{ up: "✓", down: "!", unknown: "?" }[state]} ${status?.stack ?? doctor?.stack ?? "Registry"} status`;
  write(id("stack"), status?.stack ?? doctor?.stack ?? "registry");
  write(id("fresh"), status ? `as of ${ago(Date.parse(status.at))}` : "");
  for (const each of document.querySelectorAll("[data-live]")) each.hidden = !status;
  if (status) {
    show(id("parts"), ...(status.parts ?? []).map(part));
    // A chart that somebody points at stays until he looks elsewhere.
    if (!id("figures").matches(":hover")) id("figures").replaceChildren(...FIGURES.map((kind) => card(kind, status.figures?.[kind.key])));
    show(id("table"), ...table(status.figures ?? {}));
  }
  id("findings-section").hidden = false;
  write(id("findings-said"), said(doctor));
  if (id("findings").dataset.at !== (doctor?.at ?? "")) {
    id("findings").dataset.at = doctor?.at ?? "";
    id("findings").replaceChildren(...findings.map(finding));
  }
}

for (const code of document.querySelectorAll(".typed code")) code.closest(".typed").append(copier(code));
tabbed([...document.querySelectorAll(".panel")]);
refresh();
setInterval(() => { if (!document.hidden) refresh(); }, REFRESH);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
