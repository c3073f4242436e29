// The leaderboard in headless Chromium. BOARD, HOSTILE: folders of built leaderboards (test_leaderboard_browser.py).
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { open, start } from "./browser.mjs";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const { BOARD, HOSTILE } = process.env;
const RECORD = `runs/${readdirSync(`${BOARD}/runs`).find((name) => name.endsWith(".html"))}`;
let browser;
before(async () => { browser = await start(); });
after(async () => { await browser.close(); });

/** Run `body` on a page and hold it to the rules of every page: no complaint, no request outside, no wide page. */
async function visit(name, body, { folder = BOARD, ...options } = {}) {
  const { page, seen, context } = await open(browser, folder, name, options);
  try {
    await body(page);
    assert.deepEqual(seen.errors, [], "the console stays empty");
    assert.deepEqual(seen.outside, [], "nothing outside of the folder is asked for");
  } finally {
    await context.close();
  }
}

const labels = (page, section = ".board-section.measured") => page.$eval(section, (node) =>
  [...node.querySelectorAll("tbody tr:not([hidden]) > th")].map((head) => head.querySelector("bdi").textContent));
const column = (page, index) => page.$eval(".board-section.measured", (node, at) =>
  [...node.querySelectorAll("tbody tr:not([hidden])")].map((row) => Number.parseFloat(row.cells[at].textContent)), index);
// Sections are laid out on the screen alone, and cut off what leaves them; so that none hides anything, all are laid out.
const isWide = (page) => page.evaluate(() => {
  for (const part of document.querySelectorAll(".board-section")) part.style.contentVisibility = "visible";
  return document.documentElement.scrollWidth > innerWidth;
});

test("a head sorts down, then up, and says so", () => visit("index.html", async (page) => {
  const head = page.locator(".board-section.measured").first().locator("thead tr:last-child th").nth(3);
  await head.locator("button").click();
  assert.equal(await head.getAttribute("aria-sort"), "descending");
  const down = await column(page, 3);
  assert.deepEqual(down, [...down].sort((a, b) => b - a));
  await head.locator("button").click();
  assert.equal(await head.getAttribute("aria-sort"), "ascending");
  const up = await column(page, 3);
  assert.deepEqual(up, [...up].sort((a, b) => a - b));
  assert.ok(up[0] < up.at(-1));
}));

test("names sort by name, ranks from the best", () => visit("index.html", async (page) => {
  const heads = page.locator(".board-section.measured").first().locator("thead tr:last-child th");
  await heads.nth(0).locator("button").click();
  const names = await labels(page);
  assert.deepEqual(names, [...names].sort());
  await heads.nth(4).locator("button").click();
  const ranks = await column(page, 4);
  assert.equal(ranks[0], 1);
  assert.ok(Number.isNaN(ranks.at(-1)), "references have no rank and stand last");
}));

test("filters hide rows and tables, and say how many are left", () => visit("index.html", async (page) => {
  await page.fill("#search", "MLS");
  assert.deepEqual(await labels(page), ["mls"]);
  assert.match(await page.textContent("#shown"), /^\d+ of \d+ rows$/);
  await page.click("button[type=reset]");
  await page.waitForFunction(() => !document.getElementById("shown").textContent.includes("of"));
  await page.selectOption("#task", "semantic_segmentation");
  const shown = await page.$$eval(".board-section.measured:not([hidden]) h3", (heads) => heads.map((h) => h.textContent));
  assert.equal(shown.length, 1);
  assert.match(shown[0], /^Semantic segmentation/);
  await page.selectOption("#task", "");
  await page.selectOption("#origin", "published");
  assert.equal(await page.locator(".board-section.measured:visible").count(), 0);
  assert.ok(await page.locator(".board-section.published:visible").count() > 3);
  await page.selectOption("#origin", "measured");
  assert.equal(await page.locator(".board-section.published:visible").count(), 0);
  await page.selectOption("#epochs", "8");
  assert.ok(!(await labels(page)).includes("scene-type oracle"));
  await page.selectOption("#epochs", "");
  await page.selectOption("#architecture", "resnet18, stem 16");
  assert.ok((await labels(page)).length > 2);
  await page.selectOption("#size", "demo");
  await page.selectOption("#data", "scenes");
  assert.ok((await labels(page)).length > 2);
  await page.selectOption("#data", "COCO");
  assert.equal(await page.locator(".board-section:visible").count(), 0);
}));

test("a value opens its record, and the record leads back", () => visit("index.html", async (page) => {
  await page.locator(".board-section.measured a.cell").first().click();
  assert.match(page.url(), /runs\/[0-9a-f]{16}\.html$/);
  const text = await page.textContent("main");
  for (const part of ["How to run it again", "scenebench evaluate", "End of the log", "Environment", "resolved"]) {
    assert.ok(text.includes(part), part);
  }
  await page.locator(".seeds a").nth(1).click();
  assert.match(await page.textContent(".lead"), /seed 1/);
  await page.click("header a[href^='../index.html']");
  assert.match(page.url(), /index\.html#/);
}));

test("the theme is as the system says, is toggled and remembered", () => visit("index.html", async (page) => {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  assert.equal(await ground(), "rgb(20, 23, 27)");
  await page.click("#theme");
  assert.equal(await page.textContent("#theme"), "Theme: light");
  assert.equal(await ground(), "rgb(255, 255, 255)");
  await page.reload();
  assert.equal(await ground(), "rgb(255, 255, 255)");
  await page.click("#theme");
  assert.equal(await ground(), "rgb(20, 23, 27)");
}, { colorScheme: "dark" }));

for (const name of ["index.html", RECORD]) {
  const kind = name === RECORD ? "a record" : "the board";
  test(`${kind} fits a phone of 360 pixels`, () => visit(name, async (page) => {
    assert.equal(await isWide(page), false);
  }, { viewport: { width: 360, height: 740 } }));

  for (const colorScheme of ["light", "dark"]) {
    test(`${kind} has no violation that axe knows of, ${colorScheme}`, () => visit(name, async (page) => {
      await page.evaluate(() => { for (const part of document.querySelectorAll("details")) part.open = true; });
      const { violations } = await runAxe(page);
      const found = violations.map((each) => `${each.id}: ${each.nodes[0].html.slice(0, 200)}`);
      assert.deepEqual(found, []);
    }, { colorScheme, bypassCSP: true }));
  }
}

async function runAxe(page) {
  await page.addScriptTag({ path: AXE });
  return page.evaluate(() => globalThis.axe.run({ preload: false, resultTypes: ["violations"] }));
}

test("the keyboard reaches the tables, sorts, and opens a record", () => visit("index.html", async (page) => {
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  await page.keyboard.press("Enter");
  const reach = async (selector) => {
    for (let step = 0; step < 40; step += 1) {
      await page.keyboard.press("Tab");
      if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
    }
    assert.fail(`${selector} is not reached`);
  };
  await reach(".sort");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, "solid", "focus is seen");
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("[aria-sort]").count(), 1);
  await reach("a.cell");
  await page.keyboard.press("Enter");
  await page.waitForURL(/runs\//);
}));

test("print leaves out controls and is black on white, also in the dark", () => visit("index.html", async (page) => {
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  assert.equal(await page.locator(".controls").isVisible(), false);
  assert.equal(await page.locator("#theme").isVisible(), false);
  assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), "rgb(255, 255, 255)");
  assert.equal(await page.locator("img.on-dark").first().isVisible(), false);
  assert.equal(await page.locator(".board-section.measured table").first().isVisible(), true);
}));

test("without a script the numbers and records are there", () => visit("index.html", async (page) => {
  assert.ok((await labels(page)).length > 3);
  await page.locator("a.cell").first().click();
  assert.ok((await page.textContent("main")).includes("scenebench evaluate"));
}, { javaScriptEnabled: false }));

test("hostile records stay text on the board", () => visit("index.html", async (page) => {
  assert.equal(await page.title(), "Results – scenebench");
  const all = () => page.$$eval(".board-section.measured:not([hidden]) tbody tr:not([hidden]) > th bdi",
    (names) => names.map((name) => name.textContent));
  assert.ok((await all()).includes("__proto__")); // sizes differ, so each has a table of its own
  await page.fill("#search", "__proto__");
  assert.deepEqual(await all(), ["__proto__"]);
  await page.fill("#search", "");
  await page.locator(".sort").first().click();
  assert.equal(await page.locator("script").count(), 2);
  const pictures = await page.$$eval("main img", (all) => all.map((one) => one.getAttribute("src")));
  assert.ok(pictures.every((source) => /^figures\/[a-z]+(-\d+)?(-dark)?\.svg$/.test(source)), pictures.join(" "));
  const links = await page.$$eval("a", (all) => all.map((link) => link.getAttribute("href")));
  assert.ok(links.every((link) => /^(#|records\.jsonl$|runs\/[0-9a-f]{16}\.html$)/.test(link)), links.join(" "));
}, { folder: HOSTILE }));

test("hostile records stay text on their own pages, and fit a phone", async () => {
  for (const name of readdirSync(`${HOSTILE}/runs`).filter((each) => each.endsWith(".html"))) {
    await visit(`runs/${name}`, async (page) => {
      assert.match(await page.title(), / – scenebench$/);
      assert.equal(await page.locator("script").count(), 1);
      assert.equal(await page.locator("main img, iframe, object, style").count(), 0);
      assert.equal(await isWide(page), false, await page.title());
    }, { folder: HOSTILE, viewport: { width: 360, height: 740 } });
  }
});
