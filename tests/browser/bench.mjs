// How long the page of BOARD takes to open, sort and filter, painting included; JSON on standard output.
import { open, start } from "./browser.mjs";

const ROUNDS = 5;
const browser = await start();
const began = performance.now();
const { page } = await open(browser, process.env.BOARD);
const seconds = { open_ms: performance.now() - began };

/** Median milliseconds from an action to the frame that shows it. */
function measure(action) {
  return page.evaluate(async ([source, rounds]) => {
    const act = new Function("round", source);
    const times = [];
    for (let round = 0; round < rounds; round += 1) {
      await new Promise((resolve) => requestAnimationFrame(resolve));
      const start = performance.now();
      act(round);
      document.body.getBoundingClientRect(); // style and layout
      times.push(performance.now() - start);
    }
    return times.sort((a, b) => a - b)[Math.floor(rounds / 2)];
  }, [action, ROUNDS]);
}

const filter = (id, values) => `const control = document.getElementById("${id}");
  control.value = ${JSON.stringify(values)}[round % ${values.length}];
  control.dispatchEvent(new Event("input", { bubbles: true }));`;
seconds.sort_by_value_ms = await measure("document.querySelectorAll('.board-section')[0].querySelectorAll('.sort')[3].click()");
seconds.sort_by_name_ms = await measure("document.querySelectorAll('.board-section')[0].querySelectorAll('.sort')[0].click()");
seconds.filter_by_text_ms = await measure(filter("search", ["mls", "densecl 01", ""]));
seconds.filter_by_epochs_ms = await measure(filter("epochs", ["100", "400", ""]));
seconds.filter_by_task_ms = await measure(filter("task", ["classification", "detection", ""]));
seconds.rows = await page.locator(".board-section tbody tr").count();
console.log(JSON.stringify({ ...seconds, chromium: browser.version() }));
await browser.close();
