"use strict";
// The theme on every page; sorting and filtering on the leaderboard. It moves and hides rows that the page already has
// and sets no HTML; texts of records are compared, never written.
(() => {
  // --- light and dark: as the system says, unless the reader chose; remembered ------------------------------------
  const THEMES = ["system", "light", "dark"];
  const KEY = "scenebench-theme";

  function storedTheme() {
    try {
      const name = localStorage.getItem(KEY);
      return THEMES.includes(name) ? name : "system";
    } catch {
      return "system"; // storage is switched off
    }
  }

  function storeTheme(name) {
    try {
      localStorage.setItem(KEY, name);
    } catch {
      // storage is switched off: the choice lasts as long as the page
    }
  }

  function setTheme(name) {
    if (name === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
  }

  setTheme(storedTheme()); // before anything is painted

  function startTheme() {
    const button = document.getElementById("theme");
    const show = (name) => { button.textContent = `Theme: ${name}`; };
    show(storedTheme());
    button.hidden = false;
    button.addEventListener("click", () => {
      const now = document.documentElement.dataset.theme || "system";
      const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
      setTheme(next);
      storeTheme(next);
      show(next);
    });
  }

  // --- the tables: rows of the page beside what the embedded data say of them ----------------------------------------
  const FIRST_ROWS = 50; // what a table shows before it is asked for more
  const FILTERS = ["task", "data", "architecture", "epochs", "origin", "size"];
  const order = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  function readTables() {
    const told = JSON.parse(document.getElementById("board-data").textContent).tables;
    return [...document.querySelectorAll(".board-section")].map((section, index) => {
      const body = section.querySelector("tbody");
      const rows = [...body.rows].map((node, number) => {
        const row = told[index].rows[number];
        return { node, ...row, text: row.text.toLowerCase(), isWanted: true };
      });
      const table = { ...told[index], section, body, rows, isWhole: false, more: section.querySelector(".more") };
      table.more.firstElementChild.addEventListener("click", () => {
        table.isWhole = true;
        show(table);
      });
      return table;
    });
  }

  function show(table) {
    let shown = 0;
    let wanted = 0;
    for (const row of table.rows) {
      const isShown = row.isWanted && (table.isWhole || wanted < FIRST_ROWS);
      wanted += row.isWanted;
      shown += isShown;
      if (row.node.hidden === isShown) row.node.hidden = !isShown;
    }
    table.section.hidden = wanted === 0 && table.rows.length > 0;
    table.more.hidden = shown === wanted;
    table.more.firstElementChild.textContent = `Show all ${wanted} rows`;
    return wanted;
  }

  // --- sorting: rows without a value last in both directions ----------------------------------------------------------
  function compare(a, b, sign) {
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (typeof a === "string" ? order.compare(a, b) : a - b);
  }

  function sortBy(table, button) {
    const head = button.closest("th");
    const column = [...head.parentNode.children].indexOf(head);
    const isText = table.rows.some((row) => typeof row.sort[column] === "string");
    const isRank = head.classList.contains("rank");
    const first = isText || isRank ? "ascending" : "descending";
    const other = first === "ascending" ? "descending" : "ascending";
    const direction = head.getAttribute("aria-sort") === first ? other : first;
    for (const cell of head.parentNode.children) cell.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    table.rows.sort((a, b) => compare(a.sort[column], b.sort[column], sign));
    const moved = document.createDocumentFragment();
    for (const row of table.rows) moved.append(row.node);
    table.body.append(moved);
    show(table);
  }

  // --- filtering ---------------------------------------------------------------------------------------------------
  function isOfOrigin(row, origin) {
    if (origin === "measured") return row.origin !== "published";
    return origin === "" || row.origin === origin;
  }

  function applyFilters(tables, controls, words) {
    let shown = 0;
    let all = 0;
    for (const table of tables) {
      const isTable = (controls.task === "" || table.kinds.includes(controls.task))
        && (controls.data === "" || table.data.includes(controls.data))
        && (controls.size === "" || table.size === controls.size);
      for (const row of table.rows) {
        row.isWanted = isTable && isOfOrigin(row, controls.origin)
          && (controls.architecture === "" || row.architecture === controls.architecture)
          && (controls.epochs === "" || row.epochs === Number(controls.epochs))
          && words.every((word) => row.text.includes(word));
      }
      all += table.rows.length;
      shown += show(table);
    }
    for (const kind of ["measured", "published"]) {
      const isEmpty = tables.every((table) => !table.section.classList.contains(kind) || table.section.hidden);
      for (const part of document.querySelectorAll(`.part.${kind}, .warning.${kind}`)) part.hidden = isEmpty;
    }
    document.getElementById("shown").textContent = shown === all ? `${all} rows` : `${shown} of ${all} rows`;
  }

  function startBoard() {
    const tables = readTables();
    const form = document.querySelector(".controls");
    const search = document.getElementById("search");
    const update = () => {
      const controls = Object.fromEntries(FILTERS.map((name) => [name, document.getElementById(name).value]));
      applyFilters(tables, controls, search.value.toLowerCase().split(/\s+/).filter(Boolean));
      for (const table of tables) {
        const details = table.section.querySelector("details:not(.notes)");
        if (details && controls.origin === "published") details.open = true;
      }
    };
    form.hidden = false;
    form.addEventListener("input", update);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(update));
    for (const table of tables) {
      table.section.addEventListener("click", (event) => {
        const button = event.target.closest(".sort");
        if (button) sortBy(table, button);
      });
    }
    update();
    // A link into a closed part opens it.
    const wanted = document.getElementById(location.hash.slice(1));
    if (wanted) wanted.scrollIntoView();
  }

  document.addEventListener("DOMContentLoaded", () => {
    startTheme();
    if (document.getElementById("board-data")) startBoard();
  });
})();
