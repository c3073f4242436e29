// One headless Chromium, and pages that note what they complain of and what they ask for.
import { chromium } from "playwright-core";
import { pathToFileURL } from "node:url";
import path from "node:path";

const OPTIONS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

/** Start Chromium with a new, empty profile. CHROMIUM names another browser than Debian's. */
export function start() {
  const executablePath = process.env.CHROMIUM || "/usr/bin/chromium";
  return chromium.launch({ executablePath, headless: true, chromiumSandbox: false, args: OPTIONS });
}

/** Open FOLDER/NAME; `seen.errors` and `seen.outside` must stay empty. */
export async function open(browser, folder, name = "index.html", options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const root = pathToFileURL(path.resolve(folder)).href + "/";
  const seen = { errors: [], outside: [], root };
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) seen.errors.push(message.text()); });
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  page.on("dialog", (dialog) => { seen.errors.push(`dialog ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => {
    if (!request.url().startsWith(root) && !request.url().startsWith("data:")) seen.outside.push(request.url());
  });
  await page.goto(root + name);
  return { page, seen, context };
}
