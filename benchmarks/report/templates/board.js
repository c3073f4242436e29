"use strict";
// Sorting, filtering, the theme, and the records behind a number. All text of records is set through textContent.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 2, minimumFractionDigits: 2 });

  function element(tag, text, ...children) {
    const node = document.createElement(tag);
    if (text) node.textContent = text;
    node.append(...children);
    return node;
  }

  // --- sorting: by value, rows without one last in both directions -----------------------------------------------
  function sortBy(button) {
    const head = button.closest("th");
    const table = head.closest("table");
    const column = [...head.parentNode.children].indexOf(head);
    const isText = "text" in button.dataset;
    const before = head.getAttribute("aria-sort");
    const first = isText ? "ascending" : "descending";
    const other = isText ? "descending" : "ascending";
    const direction = before === first ? other : first;
    for (const cell of head.parentNode.children) cell.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    const body = table.tBodies[0];
    const keyed = [...body.rows].map((row) => {
      const value = row.cells[column].dataset.value;
      return { row, key: value === undefined || value === "" ? null : isText ? value.toLowerCase() : Number(value) };
    });
    keyed.sort((a, b) => {
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
      if (isText) return sign * a.key.localeCompare(b.key);
      return sign * (a.key - b.key);
    });
    body.append(...keyed.map((entry) => entry.row));
  }

  // --- filtering ---------------------------------------------------------------------------------------------------
  const filter = document.getElementById("filter");
  const task = document.getElementById("task");
  const origin = document.getElementById("origin");

  function applyFilters() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const section of document.querySelectorAll("section[data-task]")) {
      section.hidden = task.value !== "" && section.dataset.task !== task.value;
      if (section.dataset.task === "figure") continue;
      for (const row of section.querySelectorAll("tbody tr")) {
        const text = row.dataset.search.toLowerCase();
        const isWanted = origin.value === "" || row.dataset.origin === origin.value;
        row.hidden = !isWanted || !words.every((word) => text.includes(word));
      }
    }
  }

  // --- the records behind a number -----------------------------------------------------------------------------------
  const dialog = document.getElementById("details");
  const title = document.getElementById("details-title");
  const body = document.getElementById("details-body");

  function facts(pairs) {
    const list = element("dl");
    list.className = "facts";
    for (const [name, value] of pairs) {
      if (value !== "" && value !== null && value !== undefined) list.append(element("dt", name), element("dd", String(value)));
    }
    return list;
  }

  function block(name, content, isOpen = false) {
    const text = typeof content === "string" ? content : JSON.stringify(content, null, 2);
    const details = element("details", "", element("summary", name), element("pre", text));
    details.open = isOpen;
    return details;
  }

  function perClass(classes, metric) {
    const metrics = [...new Set(Object.values(classes).flatMap((values) => Object.keys(values)))];
    const chosen = metrics.includes(metric) ? [metric] : metrics;
    const head = element("tr", "", element("th", "category"), ...chosen.map((name) => element("th", name)));
    const rows = Object.entries(classes).map(([name, values]) =>
      element("tr", "", element("th", name), ...chosen.map((key) => element("td", format(values[key])))));
    const table = element("table", "", element("thead", "", head), element("tbody", "", ...rows));
    table.className = "classes";
    return element("details", "", element("summary", "Per category"), table);
  }

  function format(value) {
    return typeof value === "number" ? numbers.format(value) : "undefined";
  }

  function describe(id, metric, isOpen) {
    const record = data.records[id];
    const environment = data.shared[record.environment];
    const run = element("details", "", element("summary", `seed ${record.seed}: ${metric} ${format(record.metrics[metric])}`));
    run.className = "run";
    run.open = isOpen;
    const all = Object.entries(record.metrics).map(([name, value]) => `${name} ${format(value)}`).join(", ");
    run.append(facts([
      ["Metrics", all],
      ["Protocol", `${record.protocol.id}, version ${record.protocol.version} (${record.protocol.hash})`],
      ["Backbone", `${record.backbone.architecture}, ${record.backbone.method}, ${record.backbone.epochs} epochs`],
      ["Pretrained on", record.backbone.dataset && `${record.backbone.dataset} (${record.backbone.dataset_fingerprint})`],
      ["Weights", record.backbone.sha256 && `sha256 ${record.backbone.sha256}`],
      ["Judged on", `${record.dataset.name} (${record.dataset.fingerprint}): ${record.dataset.train_images} training, `
        + `${record.dataset.test_images} test images, ${record.dataset.categories} categories`],
      ["Run", `${record.started}, ${numbers.format(record.wall_seconds)} s, ${numbers.format(record.peak_memory_mb)} MB at most`],
      ["Machine", [environment.processor, environment.accelerator, `${environment.threads} thread(s)`].filter(Boolean).join(", ")],
      ["Code", environment.git_commit && `${environment.git_commit}${environment.git_dirty ? ", with changes" : ""}`],
      ["Notes", record.notes.join(" ")],
    ]));
    run.append(block("How to run it again", record.rerun.join("\n"), true));
    if (Object.keys(record.per_class).length) run.append(perClass(record.per_class, metric));
    run.append(block("Protocol, resolved", data.shared[record.protocol.resolved]));
    const recipe = data.shared[record.backbone.recipe];
    if (Object.keys(recipe).length) run.append(block(`Recipe ${record.backbone.recipe_name}, resolved`, recipe));
    run.append(block("Environment", environment));
    const link = element("a", "The whole record as JSON");
    link.href = `records/${id}.json`;
    run.append(element("p", "", link));
    return run;
  }

  function open(ids, metric) {
    const known = ids.filter((id) => Object.hasOwn(data.records, id));
    if (!known.length) return;
    const first = data.records[known[0]];
    title.textContent = `${first.backbone.label}: ${first.protocol.id}, ${metric}`;
    body.replaceChildren(...known.map((id, index) => describe(id, metric, index === 0)));
    dialog.showModal();
    dialog.scrollTop = 0;
  }

  // --- light and dark ------------------------------------------------------------------------------------------------
  const themes = ["system", "light", "dark"];
  const button = document.getElementById("theme");

  function setTheme(name) {
    if (name === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    button.textContent = `Theme: ${name}`;
  }

  button.addEventListener("click", () => {
    const now = document.documentElement.dataset.theme || "system";
    setTheme(themes[(themes.indexOf(now) + 1) % themes.length]);
  });

  document.addEventListener("click", (event) => {
    const target = event.target.closest("button");
    if (!target) {
      if (event.target === dialog) dialog.close();
    } else if (target.classList.contains("sort")) sortBy(target);
    else if (target.classList.contains("cell")) open(target.dataset.records.split(" "), target.dataset.metric);
  });
  for (const control of [filter, task, origin]) control.addEventListener("input", applyFilters);

  // index.html#record=<id> opens that record.
  const wanted = /^#record=([0-9a-f]+)$/.exec(location.hash);
  if (wanted && Object.hasOwn(data.records, wanted[1])) {
    open([wanted[1]], Object.keys(data.records[wanted[1]].metrics)[0]);
  }
})();
