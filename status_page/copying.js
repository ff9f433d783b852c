// Texts that are copied, and tabs.
import { id, made, write } from "./texts.js";

/* Copying: without HTTPS a page has no clipboard, so what is selected is copied the old way. */
export function copier(code) {
  const button = made("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    const done = await copied(code);
    write(id("said"), "");
    write(id("said"), done ? "Copied." : "Selected; press Ctrl and C.");
    button.textContent = done ? "Copied" : "Selected";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  return button;
}

async function copied(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(code);
    return document.execCommand("copy");
  }
}

/* Tabs, as the ARIA Authoring Practices have them; without this script all panels are there, one below another. */
export function tabbed(panels) {
  const tabs = panels.map((panel) =>
    made("button", { type: "button", id: `tab-${panel.id}`, role: "tab", "aria-controls": panel.id }, panel.querySelector("h3").textContent));
  const choose = (chosen) => tabs.forEach((tab, index) => {
    tab.setAttribute("aria-selected", String(index === chosen));
    tab.tabIndex = index === chosen ? 0 : -1;
    panels[index].hidden = index !== chosen;
  });
  tabs.forEach((tab, index) => {
    panels[index].setAttribute("role", "tabpanel");
    panels[index].setAttribute("aria-labelledby", tab.id);
    tab.addEventListener("click", () => choose(index));
    tab.addEventListener("keydown", ({ key }) => {
      const next = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: tabs.length - 1 }[key];
      if (next === undefined) return;
      const target = (next + tabs.length) % tabs.length;
      choose(target);
      tabs[target].focus();
    });
  });
  const bar = made("div", { className: "tabs", role: "tablist", "aria-labelledby": "pull-title" }, ...tabs);
  panels[0].before(bar);
  panels[0].parentElement.classList.add("tabbed");
  choose(0);
}
