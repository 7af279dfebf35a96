// The report's behaviour. Everything is readable without it; it asks no network, and writes texts as text alone.
"use strict";
(() => {
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const made = (name, attributes = {}, text = null) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== null) element.textContent = text;
    return element;
  };
  const number = (value) => value.toLocaleString("en-US", { maximumSignificantDigits: Number.isInteger(value) ? 21 : 4 });
  const size = (bytes) => {
    if (bytes < 1000) return `${bytes} B`;
    let unit = "";
    for (unit of ["kB", "MB", "GB", "TB"]) { bytes /= 1000; if (bytes < 999.5) break; }
    return `${bytes.toFixed(bytes < 10 ? 2 : bytes < 100 ? 1 : 0)} ${unit}`;
  };
  const share = (part, whole) => {
    const of = whole ? (100 * part) / whole : 0;
    if (!of) return "0 %";
    return of < 0.01 ? "< 0.01 %" : `${of.toFixed(of < 1 ? 2 : 1)} %`;
  };

  // The theme: that of the system, or one that was chosen. A page of a file may have no storage.
  const themes = ["auto", "light", "dark"], button = one("#theme");
  let theme = "auto";
  try { theme = themes.includes(localStorage.theme) ? localStorage.theme : "auto"; } catch { /* none */ }
  const paint = () => {
    if (theme === "auto") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    try { localStorage.theme = theme; } catch { /* none */ }
    paint();
  });
  paint();

  // Tabs: one panel at a time, arrows go from one to the next (WAI-ARIA Authoring Practices, tabs).
  for (const group of all(".tabs")) {
    const panels = all(":scope > .panel", group);
    const list = made("div", { class: "tablist", role: "tablist", "aria-label": group.dataset.label });
    const tabs = panels.map((panel) => {
      const tab = made("button", { type: "button", role: "tab", id: `${panel.id}-tab`, "aria-controls": panel.id }, panel.dataset.tab);
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", tab.id);
      list.append(tab);
      return tab;
    });
    const choose = (index, focus) => {
      tabs.forEach((tab, i) => {
        tab.setAttribute("aria-selected", String(i === index));
        tab.tabIndex = i === index ? 0 : -1;
        panels[i].hidden = i !== index;
      });
      if (focus) tabs[index].focus();
    };
    tabs.forEach((tab, index) => {
      tab.addEventListener("click", () => choose(index, false));
      tab.addEventListener("keydown", (event) => {
        const to = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: tabs.length - 1 }[event.key];
        if (to !== undefined) { event.preventDefault(); choose((to + tabs.length) % tabs.length, true); }
      });
    });
    const bar = made("div", { class: "tabbar" });
    bar.append(list);
    const units = (group.dataset.switch || "").split(" ").filter(Boolean);
    if (units.length) {
      const box = made("fieldset", { class: "switch" });
      box.append(made("legend", { class: "unseen" }, "Unit"));
      const show = (unit) => { for (const part of all("[data-unit]", group)) part.hidden = part.dataset.unit !== unit; };
      units.forEach((unit, i) => {
        const label = made("label"), input = made("input", { type: "radio", name: `${panels[0].id}-unit`, value: unit });
        input.checked = i === 0;
        input.addEventListener("change", () => show(unit));
        label.append(input, made("span", {}, unit));
        box.append(label);
      });
      bar.append(box);
      show(units[0]);
    }
    group.prepend(bar);
    group.dataset.live = "";
    choose(0, false);
  }

  // What another threshold would drop: bins are exact, since the slider stands at their edges only.
  for (const figure of all(".threshold")) {
    const { edges, files, bytes, at, side, option } = JSON.parse(figure.dataset.values);
    const slider = one("input", figure), reset = one(".reset", figure), moved = one(".moved", figure), told = one(".drops", figure);
    const wide = one("svg", figure).viewBox.baseVal.width / files.length;
    const before = told.textContent;
    const whole = files.reduce((a, b) => a + b, 0);
    const beyond = (bin, edge) => (side === "above" ? bin > edge : bin <= edge);
    const sum = (counts, edge) => counts.reduce((a, count, bin) => a + (beyond(bin, edge) ? count : 0), 0);
    const show = () => {
      const edge = Number(slider.value), gone = sum(files, edge), more = gone - sum(files, at);
      for (const bar of all("[data-bin]", figure)) bar.classList.toggle("beyond", beyond(Number(bar.dataset.bin), edge));
      const x = (edge + 1) * wide;
      moved.setAttribute("x1", x);
      moved.setAttribute("x2", x);
      const change = more > 0 ? `${number(more)} more` : more < 0 ? `${number(-more)} fewer` : "as many";
      const said = `${option} = ${number(edges[edge])} would drop ${number(gone)} of ${number(whole)} records, ${share(gone, whole)}, ${size(sum(bytes, edge))}: ${change}`;
      told.textContent = edge === at ? before : said;
      slider.setAttribute("aria-valuetext", told.textContent);
      reset.hidden = edge === at;
    };
    slider.addEventListener("input", show);
    reset.addEventListener("click", () => { slider.value = at; show(); slider.focus(); });
    slider.value = at;
    // The middle of the handle, 8 px from its edge, under the line.
    slider.style.marginInline = `calc(${100 / files.length}% - 8px)`;
    slider.style.width = `calc(${100 - 200 / files.length}% + 16px)`;
  }

  // Reasons: a filter over their names, and all open at once.
  const filter = one("#reason-filter"), reasons = all("#reasons .reason"), everything = one("#reason-all");
  if (filter) {
    const count = one("#reason-count");
    filter.addEventListener("input", () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const reason of reasons) reason.hidden = !words.every((word) => reason.dataset.words.includes(word));
      const shown = reasons.filter((reason) => !reason.hidden).length;
      count.textContent = shown === reasons.length ? `${shown} reasons` : `${shown} of ${reasons.length} reasons`;
    });
    everything.addEventListener("click", () => {
      const open = everything.getAttribute("aria-pressed") !== "true";
      for (const reason of reasons) reason.open = open && !reason.hidden;
      everything.setAttribute("aria-pressed", String(open));
      everything.textContent = open ? "Close all" : "Open all";
    });
  }

  // The search: the index is read at the first letter.
  const field = one("#search-field");
  if (field) {
    const results = one("#search-results"), count = one("#search-count"), MOST = 100;
    let index = null, waiting = 0;
    const search = () => {
      index ??= JSON.parse(one("#places").textContent);
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      const found = [];
      let total = 0;
      if (words.length) {
        index.repositories.forEach((repository, r) => {
          const name = repository.toLowerCase(), left = words.filter((word) => !name.includes(word));
          index.paths[r].forEach((path, p) => {
            const whole = `${name}:${path.toLowerCase()}`;
            if (left.every((word) => whole.includes(word)) && ++total <= MOST) found.push([repository, path, index.ends[index.found[r][p]]]);
          });
        });
      }
      results.replaceChildren(...found.map(([repository, path, end]) => {
        const item = made("li"), name = made("span");
        name.append(made("span", { class: "repo" }, `${repository}:`), path);
        item.append(name, made("span", { class: end ? "fate" : "kept" }, end || "kept"));
        return item;
      }));
      count.textContent = !words.length ? "" : total > MOST ? `${number(total)} found, the first ${MOST} are shown` : `${number(total)} found`;
    };
    field.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(search, 120); });
  }

  // Where the reader is.
  const links = new Map(all("nav a").map((link) => [link.getAttribute("href").slice(1), link]));
  const seen = new Set();
  const observer = new IntersectionObserver((changes) => {
    for (const change of changes) change.isIntersecting ? seen.add(change.target.id) : seen.delete(change.target.id);
    const here = [...links.keys()].find((id) => seen.has(id));
    for (const [id, link] of links) id === here ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
  }, { rootMargin: "-10% 0px -60% 0px" });
  for (const id of links.keys()) { const target = document.getElementById(id); if (target) observer.observe(target); }

  // On paper everything is open; afterwards as it was.
  let closed = [];
  addEventListener("beforeprint", () => { closed = all("details:not([open])"); for (const one of closed) one.open = true; });
  addEventListener("afterprint", () => { for (const one of closed) one.open = false; });
})();
